package io.tidemark.replication;

import static io.tidemark.testsite.TestSite.get;

import akka.actor.Address;
import akka.cluster.typed.Cluster;
import com.typesafe.config.Config;
import io.tidemark.config.Endpoint;
import io.tidemark.fence.WriterFence;
import io.tidemark.image.ImageSummary;
import io.tidemark.image.Images;
import io.tidemark.image.OpenImage;
import io.tidemark.image.SitePoints;
import io.tidemark.index.InMemoryIndexStore;
import io.tidemark.index.StoredIndexReader;
import io.tidemark.index.StoredIndexWriter;
import io.tidemark.link.ClusterLinks;
import io.tidemark.link.Links;
import io.tidemark.plan.ClusterPlans;
import io.tidemark.plan.Plans;
import io.tidemark.point.HistoryView;
import io.tidemark.point.PointReader;
import io.tidemark.point.StoredPoints;
import io.tidemark.position.At;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.ChunkCache;
import io.tidemark.segment.InMemorySegmentStore;
import io.tidemark.site.SiteParts;
import io.tidemark.site.SiteSystem;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.taplink.SiteLines;
import io.tidemark.taplink.TapLinkServer;
import io.tidemark.testsite.MemoryCatalog;
import io.tidemark.testsite.TestSite;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;

/** A site of one node in this JVM, real but for Cassandra: what is stored is kept in memory. */
public final class WanSite implements AutoCloseable {
  private static final long CACHE_BYTES = 32 << 20;

  public final String world = UUID.randomUUID().toString();
  final InMemorySegmentStore segments = new InMemorySegmentStore();
  final MemoryCatalog tags = new MemoryCatalog();
  private final InMemoryIndexStore index = new InMemoryIndexStore();
  private final ExecutorService readers = Executors.newFixedThreadPool(2);
  private final ExecutorService builders = Executors.newFixedThreadPool(2);
  private final String name;
  private final String extra;
  private final LinkSettings link;
  private String seeds;

  public SiteSystem node;
  public Links links;
  public StoredPoints points;
  public final Path hooks;
  public TapLinkServer server;
  public Plans plans;

  /** What plans ask other sites goes through it. */
  public LossyRemotes lossy;

  public final Images images = new OpenPoints();
  private SitePoints located;

  public WanSite(String name, LinkSettings link, String extra) throws Exception {
    this(name, link, extra, Optional.empty());
  }

  /**
   * @param joins a site whose cluster it joins
   */
  public WanSite(String name, LinkSettings link, String extra, Optional<WanSite> joins)
      throws Exception {
    this.name = name;
    this.link = link;
    this.extra = extra;
    this.hooks = Files.createTempDirectory("tidemark-hooks-" + name);
    this.seeds = joins.map(WanSite::clusterAddress).orElse("");
    start(0);
  }

  private String clusterAddress() {
    Address address = Cluster.get(node.system()).selfMember().address();
    return address.getHost().orElseThrow() + ":" + address.getPort().orElseThrow();
  }

  private void start(int port) throws Exception {
    points =
        new StoredPoints(
            new StoredIndexReader(index, readers, CACHE_BYTES),
            new ChunkCache(segments, CACHE_BYTES),
            MicroClock.system(),
            16,
            CACHE_BYTES / 8);
    Config config =
        TestSite.config(
            world,
            "tidemark.site.name = \""
                + name
                + "\"\ntidemark.cluster.seeds = ["
                + (seeds.isEmpty() ? "" : '"' + seeds + '"')
                + "]\ntidemark.remote.poll-every = 300 ms"
                + "\ntidemark.plan.retry-every = 100 ms\ntidemark.plan.task-limit = 20 s"
                + "\ntidemark.plan.wake-every = 300 ms"
                + "\ntidemark.link.retry-max = 500 ms"
                + "\ntidemark.link.retry-min = 100 ms"
                + "\ntidemark.volume.leaf-segments = 8\ntidemark.volume.snapshot-every = 25\n"
                + extra);
    node =
        SiteSystem.start(
            config,
            new SiteParts(
                segments,
                new StoredIndexWriter(index, builders),
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
                Optional.of(new PastContent(node.site()::history, points, node.histories()::of))));
    node.remotes().announce("tap-link", address().toString());
    links =
        ClusterLinks.start(
            node.system(),
            new ClusterLinks.Parts(
                node.site(),
                node.groups(),
                node.remotes(),
                new SiteLines(node.system(), link),
                segments,
                points,
                node.histories(),
                MicroClock.system(),
                node.events()));
    located =
        new SitePoints(node.site(), node.retention(), points, node.groups(), node.histories()::of);
    lossy = new LossyRemotes(node.remotes());
    plans =
        ClusterPlans.start(
            node.system(),
            new ClusterPlans.Parts(
                node.site(),
                node.groups(),
                links,
                lossy,
                located,
                images,
                hooks,
                MicroClock.system(),
                node.events()));
  }

  /**
   * Real points, that no client connects to: images are served by nodes, which there are none of.
   */
  private final class OpenPoints implements Images {
    private final Map<String, ImageSummary> open = new ConcurrentHashMap<>();

    @Override
    public CompletionStage<ImageSummary> open(OpenImage request) {
      String image = request.name().orElseThrow();
      if (open.containsKey(image)) {
        return refused(ErrorCode.ALREADY_EXISTS, image);
      }
      return located
          .locate(request.volume(), request.at())
          .thenApply(
              found ->
                  open.computeIfAbsent(
                      image,
                      n ->
                          new ImageSummary(
                              n,
                              request.volume(),
                              "nbd://none/" + n,
                              found.point(),
                              found.sizeBytes(),
                              request.writable(),
                              "Serving",
                              name,
                              MicroTime.ZERO,
                              1,
                              0,
                              0,
                              0,
                              Optional.empty())));
    }

    @Override
    public CompletionStage<List<ImageSummary>> list() {
      return CompletableFuture.completedStage(List.copyOf(open.values()));
    }

    @Override
    public CompletionStage<ImageSummary> get(String image) {
      ImageSummary found = open.get(image);
      return found == null
          ? refused(ErrorCode.NOT_FOUND, image)
          : CompletableFuture.completedStage(found);
    }

    @Override
    public CompletionStage<Void> close(String image, boolean force) {
      return open.remove(image) == null
          ? refused(ErrorCode.NOT_FOUND, image)
          : CompletableFuture.completedStage(null);
    }

    private static <T> CompletionStage<T> refused(ErrorCode code, String image) {
      return CompletableFuture.failedStage(new Refusal(code, "image " + image));
    }
  }

  /** The node dies and another one takes its place, at the same address. */
  public void restart() throws Exception {
    restart(Optional.empty());
  }

  /**
   * @param joins a site whose cluster it joins again
   */
  public void restart(Optional<WanSite> joins) throws Exception {
    seeds = joins.map(WanSite::clusterAddress).orElse("");
    int port = server.address().getPort();
    get(server.close());
    node.system().terminate();
    get(node.system().getWhenTerminated());
    start(port);
  }

  Endpoint address() {
    return new Endpoint("127.0.0.1", server.address().getPort());
  }

  public HistoryView history(VolumeName volume) throws Exception {
    return get(node.site().history(volume));
  }

  /** The volume's content at a recovery point. */
  public byte[] image(VolumeName volume, long seq) throws Exception {
    return image(history(volume), seq);
  }

  /** Of any line of history. */
  public byte[] image(HistoryView view, long seq) throws Exception {
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
    try (Stream<Path> left = Files.list(hooks)) {
      left.forEach(file -> file.toFile().delete());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    hooks.toFile().delete();
    readers.shutdownNow();
    builders.shutdownNow();
  }
}
