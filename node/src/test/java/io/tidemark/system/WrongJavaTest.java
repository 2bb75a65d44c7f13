package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A Java that cannot run Tidemark or its Cassandra is named before anything else happens. */
class WrongJavaTest {
  private static final Path LAUNCHER = Path.of("../tidemark").toAbsolutePath().normalize();
  private static final Path JDKS = Path.of("/usr/lib/jvm");

  @TempDir Path directory;

  private record Ran(int exitCode, String output) {}

  private Ran run(ProcessBuilder builder) throws Exception {
    Path log = Files.createTempFile(directory, "run", ".log");
    Process process = builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
    assertTrue(process.waitFor(60, TimeUnit.SECONDS), "it ends");
    return new Ran(process.exitValue(), Files.readString(log));
  }

  /** A JDK's directory with nothing in it but a program that says which version it is. */
  private Path java(String name, String says) throws IOException {
    Path home = directory.resolve(name);
    Files.createDirectories(home.resolve("bin"));
    Path java =
        Files.writeString(home.resolve("bin/java"), "#!/bin/sh\necho '" + says + "' >&2\nexit 1\n");
    assertTrue(java.toFile().setExecutable(true));
    return home;
  }

  private void launcherRefuses(Optional<Path> javaHome, Optional<Path> path, String... words)
      throws Exception {
    ProcessBuilder builder = new ProcessBuilder(LAUNCHER.toString(), "volume", "list");
    builder.environment().remove("JAVA_HOME");
    javaHome.ifPresent(home -> builder.environment().put("JAVA_HOME", home.toString()));
    path.ifPresent(
        first -> builder.environment().merge("PATH", first.toString(), (all, p) -> p + ":" + all));
    Ran ran = run(builder);
    assertEquals(2, ran.exitCode(), ran.output());
    for (String word : words) {
      assertTrue(ran.output().contains(word), ran.output());
    }
    assertEquals(1, ran.output().lines().count(), ran.output());
  }

  @Test
  void shouldNotLaunchOnAJavaThatIsTooOldOrIsNone() throws Exception {
    assumeTrue(Files.isExecutable(LAUNCHER), "requires the launcher beside this module");
    Path eleven = java("eleven", "openjdk version \"11.0.22\" 2024-01-16");
    Path eight = java("eight", "java version \"1.8.0_412\"");
    launcherRefuses(Optional.of(eleven), Optional.empty(), "Java 11", "17", "INVALID", "JAVA_HOME");
    launcherRefuses(Optional.of(eight), Optional.empty(), "is Java 8,", "INVALID");
    launcherRefuses(Optional.empty(), Optional.of(eleven.resolve("bin")), "is Java 11,", "INVALID");
    Path said = java("said", "openjdk version \"25\"");
    Files.writeString(said.resolve("release"), "JAVA_VERSION=\"16.0.2\"\n");
    launcherRefuses(Optional.of(said), Optional.empty(), "is Java 16,", "INVALID");
    launcherRefuses(
        Optional.of(java("mute", "hello")), Optional.empty(), "does not say which Java", "INVALID");
    launcherRefuses(
        Optional.of(directory.resolve("none")), Optional.empty(), "no bin/java in it", "INVALID");
  }

  /** Its Cassandra runs on 17 alone: another Java of this machine is told where to name one. */
  @Test
  void shouldNameTheJavaThatItsCassandraNeeds() throws Exception {
    Optional<Path> newer = newerJdk();
    assumeTrue(newer.isPresent(), "requires a JDK newer than 17 in " + JDKS);
    Path config =
        Files.writeString(
            directory.resolve("site.conf"),
            """
            tidemark { http.port = %d, tap-link.port = %d, images.port = %d
              cluster.port = %d, management.enabled = off }
            """
                .formatted(
                    FreePorts.freePort(),
                    FreePorts.freePort(),
                    FreePorts.freePort(),
                    FreePorts.freePort()));
    Ran ran =
        run(
            new ProcessBuilder(
                List.of(
                    newer.get().resolve("bin/java").toString(),
                    "-cp",
                    System.getProperty("java.class.path"),
                    "io.tidemark.cli.Main",
                    "up",
                    "--config",
                    config.toString(),
                    "--data",
                    directory.resolve("data").toString())));
    assertEquals(2, ran.exitCode(), ran.output());
    assertTrue(ran.output().contains("needs Java 17, but the Java that runs"), ran.output());
    assertTrue(ran.output().contains("embedded-server.java-home"), ran.output());
    assertFalse(ran.output().contains("\tat "), ran.output());
  }

  private static Optional<Path> newerJdk() throws IOException {
    if (!Files.isDirectory(JDKS)) {
      return Optional.empty();
    }
    try (Stream<Path> homes = Files.list(JDKS)) {
      for (Path home : homes.filter(h -> Files.isReadable(h.resolve("release"))).toList()) {
        if (Files.readString(home.resolve("release"))
            .matches("(?s).*JAVA_VERSION=\"(1[89]|[2-9]\\d).*")) {
          return Optional.of(home);
        }
      }
    }
    return Optional.empty();
  }
}
