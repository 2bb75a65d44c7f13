package io.tidemark.cassandra;

import com.typesafe.config.Config;
import io.tidemark.config.Choice;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * How a node runs its own Cassandra; the reference file documents each setting.
 *
 * @param libDirectory the jar files of the Cassandra runtime
 * @param javaHome of a Java 17; the running one when empty
 * @param nativePort of the CQL clients; 0 for any free port
 * @param storagePort of the cluster protocol; 0 for any free port
 * @param seeds {@code address:storagePort} of the nodes to join; empty for a cluster of its own
 * @param heapBytes the child JVM's heap
 * @param jvmOptions further options of the child JVM, after its own
 * @param nice how far the child steps back for other processes of the machine, 0 to 19 as in
 *     nice(1)
 * @param memtableBytes rows in memory before they are flushed
 * @param commitLogGroupWindow how long a {@code GROUP} sync waits
 * @param commitLogDirect whether the commit log bypasses the page cache
 * @param minimumFreeBytes free space below which it does not start
 */
public record EmbeddedCassandraSettings(
    Path libDirectory,
    Optional<Path> javaHome,
    String address,
    int nativePort,
    int storagePort,
    List<String> seeds,
    long heapBytes,
    List<String> jvmOptions,
    int nice,
    long memtableBytes,
    CommitLogSync commitLogSync,
    Duration commitLogGroupWindow,
    boolean commitLogDirect,
    long minimumFreeBytes,
    Duration startTimeout,
    Duration stopTimeout,
    RestartPolicy restart) {

  private static final int NICE_MAX = 19;

  /** System property that names the runtime's directory when the settings do not. */
  public static final String LIB_PROPERTY = "tidemark.cassandra.lib";

  /**
   * When and how often a Cassandra that died is started again.
   *
   * @param attempts failed starts in a row before giving up
   */
  public record RestartPolicy(
      boolean enabled, int attempts, Duration backoffMin, Duration backoffMax) {}

  /** Reads {@code tidemark.cassandra.embedded-server}. */
  static EmbeddedCassandraSettings of(Config config) {
    String javaHome = config.getString("java-home");
    String lib = config.getString("lib-directory");
    return new EmbeddedCassandraSettings(
        Path.of(lib.isEmpty() ? System.getProperty(LIB_PROPERTY, "cassandra-lib") : lib),
        javaHome.isEmpty() ? Optional.empty() : Optional.of(Path.of(javaHome)),
        config.getString("address"),
        config.getInt("native-port"),
        config.getInt("storage-port"),
        List.of(),
        config.getBytes("heap"),
        List.copyOf(config.getStringList("jvm-options")),
        nice(config.getInt("nice")),
        config.getBytes("memtable"),
        Choice.of(config, "commit-log-sync", CommitLogSync.class),
        config.getDuration("commit-log-group-window"),
        Choice.of(config, "commit-log-access", Access.class) == Access.DIRECT,
        config.getBytes("minimum-free"),
        config.getDuration("start-timeout"),
        config.getDuration("stop-timeout"),
        new RestartPolicy(
            config.getBoolean("restart.enabled"),
            config.getInt("restart.attempts"),
            config.getDuration("restart.backoff-min"),
            config.getDuration("restart.backoff-max")));
  }

  private enum Access {
    DIRECT,
    MMAP
  }

  private static int nice(int configured) {
    if (configured < 0 || configured > NICE_MAX) {
      throw new Refusal(
          ErrorCode.INVALID,
          "tidemark.cassandra.embedded-server.nice is %d; set 0 to %d"
              .formatted(configured, NICE_MAX));
    }
    return configured;
  }

  public EmbeddedCassandraSettings withAnyFreePorts() {
    return withPorts(0, 0);
  }

  public EmbeddedCassandraSettings withPorts(int nativePort, int storagePort) {
    return new EmbeddedCassandraSettings(
        libDirectory,
        javaHome,
        address,
        nativePort,
        storagePort,
        seeds,
        heapBytes,
        jvmOptions,
        nice,
        memtableBytes,
        commitLogSync,
        commitLogGroupWindow,
        commitLogDirect,
        minimumFreeBytes,
        startTimeout,
        stopTimeout,
        restart);
  }

  /** One of several nodes: its own address, and the addresses of those to join. */
  public EmbeddedCassandraSettings withNode(String address, List<String> seeds) {
    return new EmbeddedCassandraSettings(
        libDirectory,
        javaHome,
        address,
        nativePort,
        storagePort,
        List.copyOf(seeds),
        heapBytes,
        jvmOptions,
        nice,
        memtableBytes,
        commitLogSync,
        commitLogGroupWindow,
        commitLogDirect,
        minimumFreeBytes,
        startTimeout,
        stopTimeout,
        restart);
  }

  String summary() {
    return "%s:%d, heap %d MiB, commit log %s"
        .formatted(
            address, nativePort, heapBytes >> 20, commitLogSync.name().toLowerCase(Locale.ROOT));
  }
}
