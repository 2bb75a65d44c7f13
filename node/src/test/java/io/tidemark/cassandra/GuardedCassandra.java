package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.typesafe.config.ConfigFactory;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * A real Cassandra as operators run it: clients need TLS, a certificate of the authority, a user
 * and a password; roles may do what they were granted. It ends with this process.
 */
public final class GuardedCassandra implements AutoCloseable {
  private static final long START_NANOS = TimeUnit.SECONDS.toNanos(240);
  private final Process process;
  private final Path log;

  private GuardedCassandra(Process process, Path log) {
    this.process = process;
    this.log = log;
  }

  /** Starts it; {@link #awaitSession} tells when it serves. */
  public static GuardedCassandra start(
      Path directory, PrivateAuthority authority, Path lib, int nativePort, int storagePort)
      throws Exception {
    Path home = Files.createDirectories(directory.toAbsolutePath());
    Files.createDirectories(home.resolve("conf"));
    Files.createDirectories(home.resolve(CassandraCommand.TEMPORARY));
    EmbeddedCassandraSettings settings =
        CassandraSettings.of(
                ConfigFactory.parseString(
                        """
                        tidemark.cassandra.embedded-server {
                          lib-directory = "%s", heap = 512 MiB, memtable = 64 MiB
                          jvm-options = ["-XX:TieredStopAtLevel=1"]
                        }"""
                            .formatted(lib))
                    .withFallback(ConfigFactory.defaultReference())
                    .resolve())
            .server()
            .withPorts(nativePort, storagePort);
    String open = CassandraYaml.of(settings, home);
    String guarded =
        open.replace("AllowAllAuthenticator", "PasswordAuthenticator")
                .replace("AllowAllAuthorizer", "CassandraAuthorizer")
            + """
            role_manager: CassandraRoleManager
            client_encryption_options:
              enabled: true
              optional: false
              require_client_auth: true
              store_type: PKCS12
              keystore: %s
              keystore_password: %s
              truststore: %s
              truststore_password: %s
            """
                .formatted(
                    authority.keystore("server", "SAN=ip:127.0.0.1"),
                    PrivateAuthority.PASSWORD,
                    authority.truststore(),
                    PrivateAuthority.PASSWORD);
    if (!guarded.contains("PasswordAuthenticator") || !guarded.contains("CassandraAuthorizer")) {
      throw new IllegalStateException("cassandra.yaml has other words for who may do what");
    }
    Files.writeString(home.resolve("conf/cassandra.yaml"), guarded);
    Path log = home.resolve("cassandra.log");
    Process process =
        new ProcessBuilder(CassandraCommand.of(settings, home, log))
            .directory(home.toFile())
            .redirectErrorStream(true)
            .redirectOutput(home.resolve("console.log").toFile())
            .start();
    return new GuardedCassandra(process, log);
  }

  /** Opens a session, trying again while Cassandra starts and makes its first user. */
  public CqlSession awaitSession(CassandraSettings settings) throws Exception {
    long deadline = System.nanoTime() + START_NANOS;
    while (true) {
      try {
        return CassandraSessions.open(settings);
      } catch (Refusal e) {
        // The first user is made a moment after Cassandra serves; nothing else is to be awaited.
        boolean starting =
            e.code() == ErrorCode.FAILED || e.getMessage().contains("does not accept the user");
        if (!starting) {
          throw e;
        }
        if (System.nanoTime() > deadline || process.waitFor(200, TimeUnit.MILLISECONDS)) {
          throw new IOException("Cassandra does not serve, see " + log, e);
        }
      }
    }
  }

  /** Drains and ends it. */
  @Override
  public void close() throws IOException {
    if (process.isAlive()) {
      process.getOutputStream().write("stop\n".getBytes(StandardCharsets.US_ASCII));
      process.getOutputStream().flush();
      process
          .onExit()
          .completeOnTimeout(process, 30, TimeUnit.SECONDS)
          .thenAccept(Process::destroyForcibly)
          .join();
    }
  }
}
