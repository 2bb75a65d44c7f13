package io.tidemark.cassandra;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The command line of the embedded Cassandra: a Java 17 with the openings that it needs. */
final class CassandraCommand {
  /** The only Java that this Cassandra runs on with these flags. */
  static final int JAVA_VERSION = 17;

  /** Of the child's own temporary files, below its home; emptied at each start. */
  static final String TEMPORARY = "tmp";

  /** Replaces itself by the command it is given, so the process is the same one. */
  private static final Path NICE = Path.of("/usr/bin/nice");

  /** The statuses by which nice(1) says that it could not begin the command that it was given. */
  static final Set<Integer> NOT_RUN = Set.of(126, 127);

  static final String MAIN = "io.tidemark.cassandra.runtime.CassandraMain";

  private static final Pattern RELEASE = Pattern.compile("JAVA_VERSION=\"(?:1\\.)?(\\d+)[^\"]*\"");
  private static final long DIRECT_MEMORY_BYTES_MIN = 512L << 20;

  private static final List<String> OPENS =
      List.of(
          "java.base/java.lang",
          "java.base/java.lang.module",
          "java.base/java.lang.reflect",
          "java.base/java.util",
          "java.base/java.util.concurrent",
          "java.base/java.util.concurrent.atomic",
          "java.base/java.nio",
          "java.base/java.net",
          "java.base/java.math",
          "java.base/java.io",
          "java.base/sun.nio.ch",
          "java.base/jdk.internal.loader",
          "java.base/jdk.internal.ref",
          "java.base/jdk.internal.reflect",
          "java.base/jdk.internal.math",
          "java.base/jdk.internal.module",
          "java.base/jdk.internal.util.jar",
          "jdk.management/com.sun.management.internal");

  private static final List<String> EXPORTS =
      List.of(
          "java.base/jdk.internal.misc",
          "java.base/jdk.internal.ref",
          "java.base/sun.nio.ch",
          "java.base/java.lang.ref",
          "java.management.rmi/com.sun.jmx.remote.internal.rmi",
          "java.rmi/sun.rmi.registry",
          "java.rmi/sun.rmi.server",
          "java.sql/java.sql",
          "jdk.unsupported/sun.misc",
          "jdk.attach/sun.tools.attach");

  private CassandraCommand() {}

  /**
   * @throws Refusal {@code INVALID} without a Java 17 or without the runtime's jar files
   */
  static List<String> of(EmbeddedCassandraSettings settings, Path home, Path log) {
    Path java = executable(java(settings.javaHome()));
    Path lib = settings.libDirectory().toAbsolutePath().normalize();
    Path jamm = jamm(lib);
    List<String> command = new ArrayList<>();
    if (settings.nice() > 0 && Files.isExecutable(NICE)) {
      command.addAll(List.of(NICE.toString(), "-n", "" + settings.nice()));
    }
    command.add(java.toString());
    command.addAll(
        List.of(
            "-Xms" + settings.heapBytes(),
            "-Xmx" + settings.heapBytes(),
            "-Xss512k",
            "-XX:+UseG1GC",
            "-XX:G1HeapRegionSize=16m",
            "-XX:+PerfDisableSharedMem",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:MaxDirectMemorySize=" + Math.max(settings.heapBytes(), DIRECT_MEMORY_BYTES_MIN),
            "-Djdk.attach.allowAttachSelf=true",
            "-javaagent:" + jamm,
            "-Dio.netty.tryReflectionSetAccessible=true",
            "-Djava.net.preferIPv4Stack=true",
            "-Dcassandra.config=" + home.resolve("conf/cassandra.yaml").toUri(),
            "-Dcassandra.storagedir=" + home,
            "-Djava.io.tmpdir=" + home.resolve(TEMPORARY),
            "-Dcassandra-foreground=yes",
            "-Dcassandra.ring_delay_ms=" + (settings.seeds().isEmpty() ? 0 : 2000),
            "-Dcassandra.load_ring_state=false",
            "-Dcassandra.superuser_setup_delay_ms=0",
            "-Dlogback.configurationFile=cassandra-logback.xml",
            "-Dtidemark.cassandra.log=" + log));
    if (settings.seeds().isEmpty()) {
      command.add("-Dcassandra.skip_wait_for_gossip_to_settle=0");
    }
    for (String module : OPENS) {
      command.add("--add-opens=" + module + "=ALL-UNNAMED");
    }
    for (String module : EXPORTS) {
      command.add("--add-exports=" + module + "=ALL-UNNAMED");
    }
    command.addAll(settings.jvmOptions());
    command.addAll(List.of("-cp", lib + "/*", MAIN));
    return command;
  }

  private static Path java(Optional<Path> configured) {
    if (configured.isEmpty()) {
      require(Runtime.version().feature(), "the Java that runs this node");
      return Path.of(System.getProperty("java.home"));
    }
    Path release = configured.get().resolve("release");
    try {
      Matcher matcher = RELEASE.matcher(Files.readString(release));
      if (!matcher.find()) {
        throw new Refusal(ErrorCode.INVALID, release + " does not say which Java it is");
      }
      require(Integer.parseInt(matcher.group(1)), configured.get().toString());
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          "tidemark.cassandra.embedded-server.java-home = %s is no Java: its file 'release' cannot"
                  .formatted(configured.get())
              + " be read; name the directory of a Java "
              + JAVA_VERSION
              + ", or leave it empty for the one that runs the node",
          e);
    }
    return configured.get();
  }

  private static Path executable(Path home) {
    // The child runs in another directory.
    Path java = home.resolve("bin").resolve("java").toAbsolutePath().normalize();
    if (!Files.isRegularFile(java) || !Files.isExecutable(java)) {
      throw new Refusal(
          ErrorCode.INVALID,
          "%s, which the embedded Cassandra needs, is no program that can be run: set"
                  .formatted(java)
              + " tidemark.cassandra.embedded-server.java-home to a Java "
              + JAVA_VERSION);
    }
    return java;
  }

  private static void require(int version, String what) {
    if (version != JAVA_VERSION) {
      throw new Refusal(
          ErrorCode.INVALID,
          "the embedded Cassandra needs Java %d, but %s is Java %d; set"
                  .formatted(JAVA_VERSION, what, version)
              + " tidemark.cassandra.embedded-server.java-home to a Java "
              + JAVA_VERSION);
    }
  }

  private static Path jamm(Path lib) {
    if (!Files.isDirectory(lib)) {
      throw notBuilt(lib);
    }
    try (Stream<Path> jars = Files.list(lib)) {
      return jars.filter(jar -> jar.getFileName().toString().matches("jamm-.*\\.jar"))
          .findFirst()
          .orElseThrow(() -> notBuilt(lib));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Refusal notBuilt(Path lib) {
    return new Refusal(
        ErrorCode.INVALID,
        lib
            + " does not hold the Cassandra runtime; build the module cassandra-runtime, or set -D"
            + EmbeddedCassandraSettings.LIB_PROPERTY);
  }
}
