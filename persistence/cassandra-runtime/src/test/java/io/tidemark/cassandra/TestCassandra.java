package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** A real embedded Cassandra, shared by all tests of the JVM, on free ports. */
final class TestCassandra {
  private static EmbeddedCassandra shared;
  private static CassandraSettings sharedSettings;
  private static CqlSession sharedSession;

  private TestCassandra() {}

  /** Settings of a test: any free ports, a small heap, the runtime that this module built. */
  static CassandraSettings settings(String overrides) {
    String lib = System.getProperty(EmbeddedCassandraSettings.LIB_PROPERTY, "target/cassandra-lib");
    Config config =
        ConfigFactory.parseString(overrides)
            .withFallback(
                ConfigFactory.parseString(
                    """
                    tidemark.cassandra.embedded-server {
                      lib-directory = "%s", native-port = 0, storage-port = 0
                      heap = 512 MiB, memtable = 64 MiB
                      jvm-options = ["-XX:TieredStopAtLevel=1"]
                    }"""
                        .formatted(lib)))
            .withFallback(ConfigFactory.defaultReference())
            .resolve();
    return CassandraSettings.of(config);
  }

  static Path directory(String name) {
    try {
      return Files.createTempDirectory(Files.createDirectories(Path.of("target/data")), name);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void delete(Path directory) {
    try (Stream<Path> files = Files.walk(directory)) {
      files
          .sorted(Comparator.reverseOrder())
          .forEach(
              file -> {
                try {
                  Files.delete(file);
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              });
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static synchronized EmbeddedCassandra shared() {
    if (shared == null) {
      CassandraSettings settings = settings("");
      Path directory = directory("shared");
      shared = EmbeddedCassandra.start(settings.server(), directory);
      sharedSettings = settings.withContactPoint(shared.contactPoint());
      sharedSession = CassandraSessions.open(sharedSettings);
      Schema.create(sharedSession, sharedSettings);
      Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(directory)));
    }
    return shared;
  }

  private static void stop(Path directory) {
    sharedSession.close();
    shared.close();
    delete(directory);
  }

  static CassandraSettings sharedSettings() {
    shared();
    return sharedSettings;
  }

  static CqlSession session() {
    shared();
    return sharedSession;
  }
}
