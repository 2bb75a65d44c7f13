package io.tidemark.testsite;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.SECONDS;

import akka.actor.typed.javadsl.Adapter;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.tidemark.fence.WriterFence;
import io.tidemark.index.SegmentHistory;
import io.tidemark.journal.TapIdentity;
import io.tidemark.point.HistoryView;
import io.tidemark.point.PointReader;
import io.tidemark.point.Points;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.site.SiteParts;
import io.tidemark.site.SiteSystem;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.zip.CRC32C;

/** Nodes of one site in this JVM, over one {@link World}. */
public final class TestSite implements AutoCloseable {
  public static final Duration PATIENCE = Duration.ofSeconds(30);
  public static final int CHUNK_BYTES = 4096;
  public static final long VOLUME_BYTES = 1 << 20;

  public final String worldName = UUID.randomUUID().toString();
  public final World world = World.of(worldName);
  public final MemorySegmentStore store = new MemorySegmentStore();
  public final MemoryIndex index = new MemoryIndex();
  public final MemoryCatalog catalog = new MemoryCatalog();
  public final List<SiteSystem> nodes = new ArrayList<>();
  public volatile PointReader reader;

  /** The same for all nodes. */
  public volatile WriterFence fence = WriterFence.NONE;

  /** Of nodes that are started from now on. */
  public volatile MicroClock clock = MicroClock.system();

  private final String extra;

  /**
   * @param extra settings over the test's own, HOCON
   */
  public TestSite(String extra) {
    this.extra = extra;
  }

  /** Settings of a test: everything in memory, everything quick. */
  public static Config config(String world, String extra) {
    return ConfigFactory.parseString(
            """
                tidemark.cluster.port = 0
                tidemark.journal.read-plugin = memory-query
                tidemark.journal.heartbeat = 200 ms
                tidemark.journal.resend-after = 500 ms
                tidemark.volume.orphan-delay = 200 ms
                tidemark.volume.retry-min = 50 ms
                tidemark.volume.retry-max = 200 ms
                tidemark.volume.session-silence = 3 s
                tidemark.group.wake-every = 500 ms
                tidemark.tag.sweep-every = 200 ms
                tidemark.akka {
                  persistence.journal.plugin = memory-journal
                  persistence.snapshot-store.plugin = memory-snapshots
                  loglevel = WARNING
                  cluster.split-brain-resolver.stable-after = 2 s
                  cluster.down-removal-margin = 1 s
                  cluster.failure-detector.acceptable-heartbeat-pause = 2 s
                  cluster.sharding.number-of-shards = 16
                  cluster.sharding.rebalance-interval = 1 s
                  cluster.sharding.least-shard-allocation-strategy.rebalance-absolute-limit = 16
                  cluster.sharding.least-shard-allocation-strategy.rebalance-relative-limit = 1.0
                }
                memory-journal {
                  class = "io.tidemark.testsite.MemoryJournal"
                  plugin-dispatcher = "akka.actor.default-dispatcher"
                  world = WORLD
                }
                memory-snapshots {
                  class = "io.tidemark.testsite.MemorySnapshots"
                  plugin-dispatcher = "akka.actor.default-dispatcher"
                  world = WORLD
                }
                memory-query {
                  class = "io.tidemark.testsite.MemoryReadJournal$Provider"
                  world = WORLD
                }
                """
                    .replace("WORLD", world)
                + extra)
        .withFallback(ConfigFactory.load());
  }

  /** Starts a node that joins the first one, and awaits its membership. */
  public SiteSystem startNode() throws Exception {
    String seeds =
        nodes.isEmpty() ? "" : "tidemark.cluster.seeds = [\"" + hostPort(nodes.get(0)) + "\"]\n";
    SiteSystem node =
        SiteSystem.start(
            config(worldName, seeds + extra),
            new SiteParts(store, index, index, fence, points(), catalog, clock, Optional.empty()));
    nodes.add(node);
    get(node.up());
    return node;
  }

  private static String hostPort(SiteSystem node) {
    var address = akka.cluster.typed.Cluster.get(node.system()).selfMember().address();
    return address.getHost().orElseThrow() + ":" + address.getPort().orElseThrow();
  }

  /** The head's content is that of {@link #reader}; nothing else is asked for. */
  private Points points() {
    return new Points() {
      @Override
      public CompletionStage<RecoveryPoint> resolve(
          HistoryView view, SegmentHistory history, At at) {
        return CompletableFuture.failedFuture(new UnsupportedOperationException());
      }

      @Override
      public CompletionStage<PointReader> open(
          HistoryView view, SegmentHistory history, RecoveryPoint point) {
        return CompletableFuture.failedFuture(new UnsupportedOperationException());
      }

      @Override
      public CompletionStage<PointReader> openHead(
          HistoryView view,
          SegmentHistory history,
          Supplier<CompletionStage<HistoryView>> renewed) {
        return CompletableFuture.completedStage(reader);
      }
    };
  }

  /** Ends a node without a word to the others, as far as one JVM allows. */
  public void crash(SiteSystem node) throws Exception {
    nodes.remove(node);
    Adapter.toClassic(node.system()).terminate();
    get(node.system().getWhenTerminated());
  }

  @Override
  public void close() {
    nodes.forEach(node -> node.system().terminate());
    nodes.forEach(
        node ->
            node.system().getWhenTerminated().toCompletableFuture().orTimeout(60, SECONDS).join());
  }

  public static <T> T get(CompletionStage<T> stage) throws Exception {
    try {
      return stage.toCompletableFuture().get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Exception cause) {
        throw cause;
      }
      throw e;
    }
  }

  /** For lambdas. */
  public static <T> T join(CompletionStage<T> stage) {
    return stage.toCompletableFuture().orTimeout(PATIENCE.toMillis(), MILLISECONDS).join();
  }

  /** Looks again every few milliseconds until the condition holds. */
  public static void await(String what, BooleanSupplier condition) throws TimeoutException {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        throw new TimeoutException("never: " + what);
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(10));
    }
  }

  /** Tries again until it does not throw. */
  public static <T> T eventually(Supplier<CompletionStage<T>> call) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (true) {
      try {
        return get(call.get());
      } catch (Exception e) {
        if (System.nanoTime() > deadline) {
          throw e;
        }
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
      }
    }
  }

  public static TapIdentity tap(VolumeName volume, UUID id) {
    return new TapIdentity(volume, id, "host:/run/tap.sock", VOLUME_BYTES);
  }

  /** A segment of {@code writes} sector writes, one microsecond apart. */
  public static SegmentMeta segment(long firstSeq, int writes, long firstMicros) {
    return segment(SegmentKind.LIVE, firstSeq, writes, firstMicros);
  }

  public static SegmentMeta segment(SegmentKind kind, long firstSeq, int writes, long firstMicros) {
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(kind, new WriteSeq(firstSeq), CHUNK_BYTES);
    for (int i = 0; i < writes; i++) {
      builder.add(firstMicros + i, (firstSeq + i) % 1024 * 512, 512, false);
    }
    int chunks = (int) ((builder.dataBytes() + CHUNK_BYTES - 1) / CHUNK_BYTES);
    int[] crcs = new int[chunks];
    for (int i = 0; i < chunks; i++) {
      CRC32C crc = new CRC32C();
      crc.update(
          new byte[(int) Math.min(CHUNK_BYTES, builder.dataBytes() - (long) i * CHUNK_BYTES)]);
      crcs[i] = (int) crc.getValue();
    }
    return builder.build(crcs);
  }

  public static List<ByteBuffer> data(SegmentMeta meta) {
    return List.of(ByteBuffer.allocate((int) meta.dataBytes()));
  }
}
