package io.tidemark.bench;

import com.datastax.oss.driver.api.core.CqlSession;
import io.tidemark.cassandra.CassandraIndexStore;
import io.tidemark.cassandra.CassandraSegmentStore;
import io.tidemark.cassandra.CassandraSessions;
import io.tidemark.cassandra.CassandraSettings;
import io.tidemark.cassandra.CassandraTagCatalog;
import io.tidemark.cassandra.CassandraWriterFence;
import io.tidemark.cassandra.EmbeddedCassandra;
import io.tidemark.cassandra.Schema;
import io.tidemark.config.NodeSettings;
import io.tidemark.image.SitePoints;
import io.tidemark.index.StoredIndexReader;
import io.tidemark.index.StoredIndexWriter;
import io.tidemark.journal.JournalSession;
import io.tidemark.journal.TapIdentity;
import io.tidemark.localfile.LocalFiles;
import io.tidemark.point.StoredPoints;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.segment.ChunkCache;
import io.tidemark.site.Retention;
import io.tidemark.site.Site;
import io.tidemark.site.SiteParts;
import io.tidemark.site.SiteSystem;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** A one-node site inside this process, with a Cassandra of its own, in a temporary directory. */
final class BenchSite implements AutoCloseable {
  static final long ANSWER_SECONDS_MAX = 600;
  private static final int INDEX_THREADS = 2;
  private static final long INDEX_CACHE_BYTES = 64L << 20;

  private final Deque<AutoCloseable> started = new ArrayDeque<>();
  private final Thread onInterrupt = new Thread(this::close, "bench-clear");
  private final MicroClock clock = MicroClock.system();
  private final Path directory;
  private CassandraSettings settings;
  private EmbeddedCassandra cassandra;
  private CqlSession session;
  private CassandraSegmentStore segments;
  private CassandraIndexStore index;
  private ExecutorService indexThreads;
  private SiteSystem system;

  private BenchSite(Path directory) {
    this.directory = directory;
  }

  /**
   * Starts a site; takes about fifteen seconds. Blocks.
   *
   * @param parent where its directory is made
   * @param settings over the defaults, by full path
   */
  static BenchSite start(Path parent, Map<String, ?> settings) throws IOException {
    Files.createDirectories(parent);
    BenchSite site = new BenchSite(Files.createTempDirectory(parent, "tidemark-bench-"));
    Runtime.getRuntime().addShutdownHook(site.onInterrupt);
    site.started.push(() -> LocalFiles.deleteTree(site.directory));
    try {
      site.startAll(settings);
      return site;
    } catch (RuntimeException e) {
      site.close();
      throw e;
    }
  }

  private void startAll(Map<String, ?> given) {
    Map<String, Object> overrides = new HashMap<>();
    overrides.put("tidemark.data", directory.toString());
    overrides.put("tidemark.management.enabled", false);
    overrides.put("tidemark.cluster.port", 0);
    overrides.put("tidemark.cassandra.embedded-server.native-port", 0);
    overrides.put("tidemark.cassandra.embedded-server.storage-port", 0);
    overrides.putAll(given);
    NodeSettings node = NodeSettings.load(Optional.empty(), overrides);
    CassandraSettings configured = CassandraSettings.of(node.config());
    cassandra = EmbeddedCassandra.start(configured.server(), node.data());
    started.push(cassandra);
    settings = configured.withContactPoint(cassandra.contactPoint());
    session = CassandraSessions.open(settings);
    started.push(session);
    Schema.create(session, settings);
    segments =
        new CassandraSegmentStore(session, settings, Runtime.getRuntime().availableProcessors());
    started.push(segments);
    index = new CassandraIndexStore(session, settings);
    indexThreads = Executors.newFixedThreadPool(INDEX_THREADS);
    started.push(indexThreads::shutdown);
    system =
        SiteSystem.start(
            node.config(),
            new SiteParts(
                segments,
                new StoredIndexWriter(index, indexThreads),
                index,
                new CassandraWriterFence(session, settings),
                coldPoints(),
                new CassandraTagCatalog(session, settings),
                clock,
                Optional.of(() -> CassandraSessions.openAsync(settings))));
    started.push(() -> await(system.stop()));
    await(system.up());
  }

  /** Points whose caches are empty. */
  StoredPoints coldPoints() {
    return new StoredPoints(
        new StoredIndexReader(index, indexThreads, INDEX_CACHE_BYTES),
        new ChunkCache(segments, settings.chunkCacheBytes()),
        clock,
        settings.readsInFlight(),
        settings.chunkCacheBytes() / 8);
  }

  /** The site's volumes through points whose caches are empty. */
  SitePoints coldSitePoints() {
    return new SitePoints(
        site(), system.retention(), coldPoints(), system.groups(), system.histories()::of);
  }

  SiteSystem system() {
    return system;
  }

  Site site() {
    return system.site();
  }

  Retention retention() {
    return system.retention();
  }

  CqlSession session() {
    return session;
  }

  String keyspace() {
    return settings.keyspace();
  }

  MicroClock clock() {
    return clock;
  }

  Path directory() {
    return directory;
  }

  /** Creates a volume and attaches to it as its tap. */
  JournalSession attach(VolumeName volume, long sizeBytes) {
    await(site().createVolume(volume, sizeBytes, false));
    return await(tap(volume, sizeBytes));
  }

  /** Attaches to a volume as its tap. */
  CompletionStage<JournalSession> tap(VolumeName volume, long sizeBytes) {
    return system.journal().attach(new TapIdentity(volume, UUID.randomUUID(), "bench", sizeBytes));
  }

  /** CPU time of Cassandra so far, in seconds. */
  double cassandraCpuSeconds() {
    return ProcessHandle.of(cassandra.pid())
            .flatMap(process -> process.info().totalCpuDuration())
            .orElseThrow()
            .toMillis()
        / 1e3;
  }

  /** Bytes that Cassandra has sent to its disks so far. */
  long cassandraDiskBytes() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/" + cassandra.pid() + "/io"))) {
        if (line.startsWith("write_bytes:")) {
          return Long.parseLong(line.substring("write_bytes:".length()).strip());
        }
      }
      return 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static <T> T await(CompletionStage<T> stage) {
    return stage.toCompletableFuture().orTimeout(ANSWER_SECONDS_MAX, TimeUnit.SECONDS).join();
  }

  /** Stops everything and deletes the directory; what fails is said and passed over. */
  @Override
  public synchronized void close() {
    while (!started.isEmpty()) {
      try {
        started.pop().close();
      } catch (Exception e) {
        System.err.println("tidemark: while stopping: " + e);
      }
    }
    if (Thread.currentThread() != onInterrupt) {
      try {
        Runtime.getRuntime().removeShutdownHook(onInterrupt);
      } catch (IllegalStateException e) {
        System.err.println("tidemark: interrupted");
      }
    }
  }
}
