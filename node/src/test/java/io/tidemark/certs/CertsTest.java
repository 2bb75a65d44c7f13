package io.tidemark.certs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.tls.CertificateLife;
import io.tidemark.tls.TlsFiles;
import io.tidemark.tls.TlsTroubles;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Certificates are proven by the handshakes that they allow and those that they do not. */
class CertsTest {
  private static final Instant NOW = Instant.now();

  @TempDir Path directory;

  private int run(StringWriter out, String... arguments) {
    CommandLine line = CertsCommand.commandLine(Clock.fixed(NOW, ZoneOffset.UTC));
    line.setOut(new PrintWriter(out, true));
    line.setErr(new PrintWriter(out, true));
    return line.execute(arguments);
  }

  private SSLContext issued(String authority, String name, String host) {
    Path ca = directory.resolve(authority);
    if (!Files.exists(ca)) {
      assertEquals(0, run(new StringWriter(), "init", ca.toString()));
    }
    Path to = directory.resolve(authority + "-" + name);
    assertEquals(
        0,
        run(
            new StringWriter(),
            "issue",
            ca.toString(),
            name,
            "--host",
            host,
            "--to",
            to.toString()));
    return TlsFiles.in(to).context();
  }

  /** Returns the certificate that the server saw. */
  private static X509Certificate shake(SSLContext server, SSLContext client, String host)
      throws Exception {
    ExecutorService thread = Executors.newSingleThreadExecutor();
    try (SSLServerSocket listening =
        (SSLServerSocket) server.getServerSocketFactory().createServerSocket(0)) {
      listening.setNeedClientAuth(true);
      Future<X509Certificate> seen =
          thread.submit(
              () -> {
                try (SSLSocket accepted = (SSLSocket) listening.accept()) {
                  accepted.startHandshake();
                  accepted.getOutputStream().write(7);
                  return (X509Certificate) accepted.getSession().getPeerCertificates()[0];
                }
              });
      try (SSLSocket socket =
          (SSLSocket)
              client.getSocketFactory().createSocket("127.0.0.1", listening.getLocalPort())) {
        SSLParameters parameters = socket.getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        socket.setSSLParameters(parameters);
        socket.startHandshake();
        if (socket.getInputStream().read() != 7) {
          throw new SSLException("the server hung up");
        }
      }
      return seen.get(10, TimeUnit.SECONDS);
    } finally {
      thread.shutdownNow();
    }
  }

  @Test
  void shouldTrustEachOtherUnderOneAuthority() throws Exception {
    SSLContext node = issued("ca", "node", "127.0.0.1");
    SSLContext tap = issued("ca", "tap", "tap.example.org");
    X509Certificate seen = shake(node, tap, "127.0.0.1");
    assertTrue(seen.getSubjectX500Principal().getName().contains("CN=tap"), seen.toString());
    assertEquals(-1, seen.getBasicConstraints(), "what is issued must not issue");
  }

  @Test
  void shouldNotTrustAnotherAuthorityNorAnotherHost() {
    SSLContext node = issued("ca", "node", "127.0.0.1");
    SSLContext stranger = issued("other", "tap", "127.0.0.1");
    assertThrows(SSLException.class, () -> shake(node, stranger, "127.0.0.1"));
    SSLContext elsewhere = issued("ca", "elsewhere", "node.example.org");
    SSLContext tap = issued("ca", "tap", "127.0.0.1");
    assertThrows(SSLException.class, () -> shake(elsewhere, tap, "127.0.0.1"));
  }

  @Test
  void shouldLastAsLongAsAskedAndNeverLongerThanTheAuthority() throws Exception {
    SSLContext node = issued("ca", "node", "127.0.0.1");
    Path ca = directory.resolve("ca");
    Path to = directory.resolve("long");
    assertEquals(
        0,
        run(
            new StringWriter(),
            "issue",
            ca.toString(),
            "long",
            "--host",
            "127.0.0.1",
            "--days",
            "3650",
            "--to",
            to.toString()));
    X509Certificate seen = shake(node, TlsFiles.in(to).context(), "127.0.0.1");
    Instant end = NOW.plus(CertificateAuthority.AUTHORITY_LIFE);
    assertTrue(!seen.getNotAfter().toInstant().isAfter(end), seen.toString());
    assertTrue(
        seen.getNotAfter().toInstant().isAfter(end.minus(Duration.ofDays(1))), seen.toString());
  }

  /** CA1, CA2: nothing is overwritten, no key is open to others. */
  @Test
  void shouldKeepKeysPrivateAndOverwriteNothing() throws IOException {
    issued("ca", "node", "127.0.0.1");
    Path ca = directory.resolve("ca");
    Path key = ca.resolve(CertificateAuthority.KEY_FILE);
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(key)));
    Path nodeKey = TlsFiles.in(directory.resolve("ca-node")).key();
    assertEquals(
        "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(nodeKey)));
    byte[] before = Files.readAllBytes(key);
    StringWriter out = new StringWriter();
    assertEquals(ErrorCode.ALREADY_EXISTS.exitCode(), run(out, "init", ca.toString()));
    assertTrue(out.toString().contains("ALREADY_EXISTS"), out.toString());
    assertArrayEquals(before, Files.readAllBytes(key));

    Files.setPosixFilePermissions(nodeKey, PosixFilePermissions.fromString("rw-r-----"));
    Refusal open =
        assertThrows(Refusal.class, () -> TlsFiles.in(directory.resolve("ca-node")).context());
    assertEquals(ErrorCode.FORBIDDEN, open.code());
    assertTrue(open.getMessage().contains("chmod 600"), open.getMessage());
  }

  @Test
  void shouldRefuseWhatCannotBeIssued() {
    Path ca = directory.resolve("none");
    StringWriter out = new StringWriter();
    assertEquals(
        ErrorCode.NOT_FOUND.exitCode(),
        run(out, "issue", ca.toString(), "node", "--host", "127.0.0.1"));
    assertTrue(out.toString().contains("tidemark certs init"), out.toString());
    assertEquals(0, run(out, "init", ca.toString()));
    for (String host : List.of("", "a b", "300.1.1.1", "-x", "x\u0000")) {
      assertEquals(
          ErrorCode.INVALID.exitCode(),
          run(out, "issue", ca.toString(), "n", "--host", host),
          host);
    }
    assertEquals(
        ErrorCode.INVALID.exitCode(), run(out, "issue", ca.toString(), "../n", "--host", "h"));
    assertEquals(
        ErrorCode.INVALID.exitCode(),
        run(out, "issue", ca.toString(), "n", "--host", "h", "--days", "0"));
    assertEquals(2, run(out, "issue", ca.toString(), "n"));
    assertEquals(2, run(out));
  }

  @Test
  void shouldSayWhatIsWrongWithAFile() throws IOException {
    issued("ca", "node", "127.0.0.1");
    Path files = directory.resolve("ca-node");
    TlsFiles tls = TlsFiles.in(files);
    byte[] certificate = Files.readAllBytes(tls.certificate());
    for (String damaged : List.of("", "-----BEGIN CERTIFICATE-----\nAAAA\n", "garbage")) {
      Files.writeString(tls.certificate(), damaged);
      assertEquals(ErrorCode.INVALID, assertThrows(Refusal.class, tls::context).code(), damaged);
    }
    Files.write(tls.certificate(), certificate);
    Files.writeString(tls.key(), "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n");
    Refusal refusal = assertThrows(Refusal.class, tls::context);
    assertTrue(refusal.getMessage().contains("openssl pkcs8"), refusal.getMessage());
    Files.delete(tls.authority());
    assertEquals(ErrorCode.INVALID, assertThrows(Refusal.class, tls::context).code());
  }

  /** A certificate that has expired is let in nowhere, and who refuses it says why. */
  @Test
  void shouldSayThatACertificateHasExpired() {
    SSLContext good = issued("authority", "good", "127.0.0.1");
    Path ca = directory.resolve("authority");
    Path to = directory.resolve("stale");
    CommandLine past =
        CertsCommand.commandLine(Clock.fixed(NOW.minus(Duration.ofDays(30)), ZoneOffset.UTC));
    assertEquals(
        0,
        past.execute(
            "issue",
            ca.toString(),
            "stale",
            "--host",
            "127.0.0.1",
            "--days",
            "1",
            "--to",
            to.toString()));
    CertificateLife life = TlsFiles.in(to).life();
    assertEquals(CertificateLife.State.EXPIRED, life.at(NOW));
    assertEquals(CertificateLife.State.ENDING, life.at(life.until().minus(Duration.ofHours(1))));
    assertTrue(life.sentence(NOW).contains("expired at " + life.until()), life.sentence(NOW));
    assertThrows(IOException.class, () -> shake(good, TlsFiles.in(to).context(), "127.0.0.1"));
    assertTrue(
        TlsTroubles.PROCESS.recent().stream()
            .anyMatch(
                trouble ->
                    trouble.message().contains("CN=stale")
                        && trouble.message().contains("expired at")
                        && trouble.code() == ErrorCode.UNAUTHENTICATED),
        TlsTroubles.PROCESS.recent().toString());
  }
}
