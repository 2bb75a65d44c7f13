package io.tidemark.certs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.Behaviors;
import akka.stream.javadsl.Keep;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import com.typesafe.config.ConfigFactory;
import io.tidemark.config.Endpoint;
import io.tidemark.journal.Journal;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.LineIdentity;
import io.tidemark.replication.Parcel;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.taplink.SiteLines;
import io.tidemark.taplink.TapLinkServer;
import io.tidemark.tls.TlsFiles;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Lines between sites with TLS on a real socket: who is let in, and what is said to who is not. */
class LineCertificatesTest {
  private static final Instant NOW = Instant.now();
  private static final String LOCAL = "127.0.0.1";
  private static final ErrorCode BEHIND_THE_HANDSHAKE = ErrorCode.BUSY;

  @TempDir static Path directory;
  private static ActorSystem<Void> system;
  private static SSLContext good;
  private static SSLContext expired;
  private static SSLContext stranger;

  @BeforeAll
  static void issue() {
    system = ActorSystem.create(Behaviors.empty(), "lines", ConfigFactory.load());
    good = issued("authority", "good", NOW);
    expired = issued("authority", "expired", NOW.minus(Duration.ofDays(30)));
    stranger = issued("other", "stranger", NOW);
  }

  private static SSLContext issued(String authority, String name, Instant now) {
    CommandLine line = CertsCommand.commandLine(Clock.fixed(NOW, ZoneOffset.UTC));
    String ca = directory.resolve(authority).toString();
    line.execute("init", ca);
    CommandLine then = CertsCommand.commandLine(Clock.fixed(now, ZoneOffset.UTC));
    Path to = directory.resolve(name);
    assertEquals(
        0, then.execute("issue", ca, name, "--host", LOCAL, "--days", "1", "--to", to.toString()));
    return TlsFiles.in(to).context();
  }

  @AfterAll
  static void stop() throws Exception {
    system.terminate();
    system.getWhenTerminated().toCompletableFuture().get(30, TimeUnit.SECONDS);
  }

  /** How a line ends whose far end refuses all that pass the handshake. */
  private static Refusal end(SSLContext server, SSLContext client) throws Exception {
    Journal behind =
        tap ->
            CompletableFuture.failedStage(new Refusal(BEHIND_THE_HANDSHAKE, "the handshake held"));
    TapLinkServer listening =
        TapLinkServer.bind(system, LOCAL, 0, behind, LinkSettings.defaults().withTls(server))
            .toCompletableFuture()
            .get(30, TimeUnit.SECONDS);
    try {
      LineIdentity who =
          new LineIdentity(UUID.randomUUID(), new VolumeName("disk"), 1 << 20, "site a");
      var line =
          Source.<Parcel>maybe()
              .viaMat(
                  new SiteLines(system, LinkSettings.defaults().withTls(client))
                      .open(new Endpoint(LOCAL, listening.address().getPort()), who),
                  Keep.right())
              .toMat(Sink.ignore(), Keep.right())
              .run(system);
      Throwable failure =
          assertThrows(
                  ExecutionException.class,
                  () -> line.toCompletableFuture().get(30, TimeUnit.SECONDS))
              .getCause();
      return assertInstanceOf(Refusal.class, failure);
    } finally {
      listening.close().toCompletableFuture().get(30, TimeUnit.SECONDS);
    }
  }

  @Test
  void shouldLetInWhoShowsACertificateOfTheAuthority() throws Exception {
    assertEquals(BEHIND_THE_HANDSHAKE, end(good, good).code());
  }

  @Test
  void shouldSayThatACertificateIsNotAcceptedAtEitherEnd() throws Exception {
    for (Refusal refusal :
        new Refusal[] {
          end(good, expired), end(expired, good), end(good, stranger), end(stranger, good)
        }) {
      assertEquals(ErrorCode.UNAUTHENTICATED, refusal.code(), refusal.getMessage());
      assertTrue(refusal.getMessage().contains("certificate"), refusal.getMessage());
    }
  }
}
