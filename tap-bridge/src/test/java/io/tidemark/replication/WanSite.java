package io.tidemark.replication;

import static io.tidemark.testsite.TestSite.get;

import com.typesafe.config.Config;
import io.tidemark.config.Endpoint;
import io.tidemark.fence.WriterFence;
import io.tidemark.index.InMemoryIndexStore;
import io.tidemark.index.StoredIndexReader;
import io.tidemark.index.StoredIndexWriter;
import io.tidemark.point.HistoryView;
import io.tidemark.point.PointReader;
import io.tidemark.point.StoredPoints;
import io.tidemark.position.At;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.ChunkCache;
import io.tidemark.segment.InMemorySegmentStore;
import io.tidemark.site.SiteParts;
import io.tidemark.site.SiteSystem;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.taplink.TapLinkServer;
import io.tidemark.testsite.MemoryCatalog;
import io.tidemark.testsite.TestSite;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A site of one node in this JVM, real but for Cassandra: what is stored is kept in memory. */
final class WanSite implements AutoCloseable {
  private static final long CACHE_BYTES = 32 << 20;

  final String world = UUID.randomUUID().toString();
  final InMemorySegmentStore segments = new InMemorySegmentStore();
  final MemoryCatalog tags = new MemoryCatalog();
  private final InMemoryIndexStore index = new InMemoryIndexStore();
  private final ExecutorService threads = Executors.newFixedThreadPool(2);
  private final String name;
  private final String extra;
  private final LinkSettings link;

  SiteSystem node;
  StoredPoints points;
  TapLinkServer server;

  WanSite(String name, LinkSettings link, String extra) throws Exception {
    this.name = name;
    this.link = link;
    this.extra = extra;
    start(0);
  }

  private void start(int port) throws Exception {
    points =
        new StoredPoints(
            new StoredIndexReader(index, threads, CACHE_BYTES),
            new ChunkCache(segments, CACHE_BYTES),
            MicroClock.system(),
            16,
            CACHE_BYTES / 8);
    Config config =
        TestSite.config(
            world,
            "tidemark.site.name = \""
                + name
                + "\"\ntidemark.volume.leaf-segments = 8\ntidemark.volume.snapshot-every = 25\n"
                + extra);
    node =
        SiteSystem.start(
            config,
            new SiteParts(
                segments,
                new StoredIndexWriter(index, threads),
                index,
                WriterFence.NONE,
                points,
                tags,
                MicroClock.system(),
                Optional.empty()));
    get(node.up());
    server =
        get(
            TapLinkServer.bind(
                node.system(),
                "127.0.0.1",
                port,
                node.journal(),
                link,
                Optional.of(
                    new PastContent(node.site()::history, points, node.histories()::of))));
  }

  /** The node dies and another one takes its place, at the same address. */
  void restart() throws Exception {
    int port = server.address().getPort();
    get(server.close());
    node.system().terminate();
    get(node.system().getWhenTerminated());
    start(port);
  }

  Endpoint address() {
    return new Endpoint("127.0.0.1", server.address().getPort());
  }

  HistoryView history(VolumeName volume) throws Exception {
    return get(node.site().history(volume));
  }

  /** The volume's content at a recovery point. */
  byte[] image(VolumeName volume, long seq) throws Exception {
    HistoryView view = history(volume);
    var segmentsOf = node.histories().of(view.persistenceId());
    var point = get(points.resolve(view, segmentsOf, new At.Seq(new WriteSeq(seq))));
    PointReader reader = get(points.open(view, segmentsOf, point));
    byte[] content = new byte[(int) view.sizeBytes()];
    get(reader.read(0, content.length)).duplicate().get(content);
    return content;
  }

  /** The time of a recovery point. */
  long timeOf(VolumeName volume, long seq) throws Exception {
    HistoryView view = history(volume);
    var segmentsOf = node.histories().of(view.persistenceId());
    return get(points.resolve(view, segmentsOf, new At.Seq(new WriteSeq(seq)))).time().micros();
  }

  @Override
  public void close() {
    node.system().terminate();
    TestSite.join(node.system().getWhenTerminated());
    threads.shutdownNow();
  }
}
