package io.tidemark.node;

import akka.management.javadsl.AkkaManagement;
import com.datastax.oss.driver.api.core.CqlSession;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigUtil;
import io.tidemark.cassandra.CassandraIndexStore;
import io.tidemark.cassandra.CassandraSegmentStore;
import io.tidemark.cassandra.CassandraSessions;
import io.tidemark.cassandra.CassandraSettings;
import io.tidemark.cassandra.CassandraTagCatalog;
import io.tidemark.cassandra.CassandraWriterFence;
import io.tidemark.cassandra.EmbeddedCassandra;
import io.tidemark.cassandra.Schema;
import io.tidemark.compare.PointComparisons;
import io.tidemark.config.Endpoint;
import io.tidemark.config.NodeSettings;
import io.tidemark.drillrun.DrillRunner;
import io.tidemark.export.ExportJobs;
import io.tidemark.files.SiteFiles;
import io.tidemark.http.AdminRoutes;
import io.tidemark.http.AdminServer;
import io.tidemark.http.AdminServices;
import io.tidemark.http.RecoveryServices;
import io.tidemark.image.HeldPoints;
import io.tidemark.image.SitePoints;
import io.tidemark.imageserver.ImageServer;
import io.tidemark.imageserver.SiteImages;
import io.tidemark.index.IndexStore;
import io.tidemark.index.StoredIndexReader;
import io.tidemark.index.StoredIndexWriter;
import io.tidemark.job.JobRegistry;
import io.tidemark.link.ClusterLinks;
import io.tidemark.link.Links;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdServer;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.nbd.NbdTls;
import io.tidemark.plan.ClusterPlans;
import io.tidemark.plan.Plans;
import io.tidemark.point.StoredPoints;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.PastContent;
import io.tidemark.rollback.RollbackJobs;
import io.tidemark.rollback.RollbackRun;
import io.tidemark.segment.ChunkCache;
import io.tidemark.segment.SegmentStore;
import io.tidemark.site.SiteParts;
import io.tidemark.site.SiteSystem;
import io.tidemark.sizing.SizingJobs;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.taplink.LiveLinks;
import io.tidemark.taplink.SiteLines;
import io.tidemark.taplink.TapLinkServer;
import io.tidemark.tls.CertificateLife;
import io.tidemark.tls.TlsFiles;
import io.tidemark.tls.TlsTroubles;
import io.tidemark.verify.TapComparison;
import io.tidemark.verify.VerifyJobs;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import javax.net.ssl.SSLContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Everything that a node runs, started in order and stopped in the opposite one. */
final class NodeProcess implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(NodeProcess.class);
  private static final Duration JOIN_LIMIT = Duration.ofSeconds(60);
  private static final Duration CERTIFICATE_CHECK = Duration.ofHours(12);
  private static final Duration STEP_LIMIT = Duration.ofSeconds(30);
  private static final int INDEX_THREADS = 2;
  private static final long INDEX_CACHE_BYTES = 64L << 20;

  /** Stops one thing. */
  @FunctionalInterface
  private interface Stop {
    void run() throws Exception;
  }

  private record Stopping(String what, Stop stop) {}

  /**
   * Why a node does not go on.
   *
   * @param again whether it is to be started again
   */
  record End(Refusal reason, boolean again) {}

  private final NodeSettings settings;
  private final Optional<SSLContext> tls;
  private final MicroClock clock = MicroClock.system();
  private final Deque<Stopping> started = new ArrayDeque<>();
  private final Map<String, String> addresses = Collections.synchronizedMap(new LinkedHashMap<>());
  private final CompletableFuture<End> ended = new CompletableFuture<>();

  private volatile boolean closing;

  private NodeProcess(NodeSettings settings) {
    this.settings = settings;
    this.tls = settings.tls().map(TlsFiles::context);
  }

  /**
   * Starts a node; blocks until it serves.
   *
   * @throws Refusal when it cannot, with everything stopped again (P1)
   */
  static NodeProcess start(NodeSettings settings) throws Exception {
    NodeProcess node = new NodeProcess(settings);
    try {
      node.startAll();
      return node;
    } catch (Exception e) {
      node.close();
      throw e;
    }
  }

  private void startAll() throws Exception {
    MicroTime begun = new MicroTime(clock.micros());
    Ports.requireFree(settings);
    CassandraSettings cassandra = cassandra(CassandraSettings.of(settings.config()));
    CqlSession session = CassandraSessions.open(cassandra);
    started("Cassandra session", session::close);
    Schema.create(session, cassandra);
    CassandraSegmentStore segments =
        new CassandraSegmentStore(session, cassandra, Runtime.getRuntime().availableProcessors());
    started("segment store", segments::close);
    CassandraIndexStore index = new CassandraIndexStore(session, cassandra);
    ExecutorService indexThreads = pool("index-read", INDEX_THREADS);
    started("index readers", indexThreads::shutdown);
    StoredPoints points =
        new StoredPoints(
            new StoredIndexReader(index, indexThreads, INDEX_CACHE_BYTES),
            new ChunkCache(segments, cassandra.chunkCacheBytes()),
            clock,
            cassandra.readsInFlight(),
            cassandra.chunkCacheBytes() / 8);
    SiteSystem site =
        startSystem(
            akkaOverrides().withFallback(settings.config()),
            new SiteParts(
                segments,
                new StoredIndexWriter(index, pool("index-build", INDEX_THREADS)),
                index,
                new CassandraWriterFence(session, cassandra),
                points,
                new CassandraTagCatalog(session, cassandra),
                clock,
                Optional.of(() -> CassandraSessions.openAsync(cassandra))));
    started("actor system", () -> site.stop().toCompletableFuture().join());
    await(
        site.up(),
        JOIN_LIMIT,
        () -> "the node did not become a member of its cluster" + certificateTrouble());
    settings.tls().map(TlsFiles::life).ifPresent(life -> watchCertificate(site, life));
    site.system().getWhenTerminated().thenRun(this::actorSystemEnded);
    site.remotes()
        .rejoin()
        .thenAccept(reason -> ended.complete(new End(new Refusal(ErrorCode.FAILED, reason), true)));
    startManagement(site);
    LiveLinks taps = startTapLink(site, points);
    startServices(site, session, segments, index, points, taps, begun);
  }

  private CassandraSettings cassandra(CassandraSettings cassandra) {
    if (!cassandra.embedded()) {
      addresses.put("cassandra", String.join(", ", cassandra.contactPoints()));
      return cassandra;
    }
    EmbeddedCassandra child = EmbeddedCassandra.start(cassandra.server(), settings.data());
    started("Cassandra", child::close);
    child.givenUp().thenAccept(reason -> ended.complete(new End(reason, false)));
    addresses.put("cassandra", text(child.contactPoint()));
    return cassandra.withContactPoint(child.contactPoint());
  }

  private static SiteSystem startSystem(Config config, SiteParts parts) {
    try {
      return SiteSystem.start(config, parts);
    } catch (Refusal e) {
      throw e;
    } catch (RuntimeException e) {
      LOG.error("the actor system did not start", e);
      throw new Refusal(
          ErrorCode.FAILED, "the node's actor system did not start: " + e.getMessage(), e);
    }
  }

  /** The order in which a node stops is ours, so Akka must not stop on its own at a signal. */
  private Config akkaOverrides() {
    StringBuilder text = new StringBuilder("tidemark.akka.jvm-shutdown-hooks = off\n");
    text.append("tidemark.remote.memory = ")
        .append(ConfigUtil.quoteString(settings.data().resolve("other-sites.json").toString()))
        .append('\n');
    settings
        .management()
        .ifPresent(
            endpoint ->
                text.append(
                    """
                    tidemark.akka.management.http {
                      hostname = "%1$s"
                      bind-hostname = "%1$s"
                      port = %2$d
                      bind-port = %2$d
                    }
                    """
                        .formatted(endpoint.host(), endpoint.port())));
    return ConfigFactory.parseString(text.toString());
  }

  private void watchCertificate(SiteSystem site, CertificateLife life) {
    site.system()
        .scheduler()
        .scheduleAtFixedRate(
            Duration.ZERO,
            CERTIFICATE_CHECK,
            () -> {
              Instant now = now();
              switch (life.at(now)) {
                case VALID -> LOG.info("{}", life.sentence(now));
                case ENDING -> LOG.warn("{}", life.sentence(now));
                default -> LOG.error("{} ({})", life.sentence(now), ErrorCode.UNAUTHENTICATED);
              }
            },
            site.system().executionContext());
  }

  private Instant now() {
    return new MicroTime(clock.micros()).toInstant();
  }

  /** What may keep a node from its cluster, for the end of a sentence. */
  private String certificateTrouble() {
    List<String> troubles = new ArrayList<>();
    settings
        .tls()
        .map(TlsFiles::life)
        .filter(life -> life.at(now()) != CertificateLife.State.VALID)
        .ifPresent(life -> troubles.add(life.sentence(now())));
    TlsTroubles.PROCESS.recent().forEach(trouble -> troubles.add(trouble.message()));
    return troubles.isEmpty() ? "" : " (" + String.join("; ", troubles) + ")";
  }

  private void startManagement(SiteSystem site) throws Exception {
    if (settings.management().isEmpty()) {
      return;
    }
    AkkaManagement management = AkkaManagement.get(site.system());
    await(
        management.start(),
        STEP_LIMIT,
        "the management address " + settings.management().get() + " cannot be used");
    started("management", () -> management.stop().toCompletableFuture().join());
    addresses.put("management", settings.management().get().toString());
  }

  private LiveLinks startTapLink(SiteSystem site, StoredPoints points) throws Exception {
    Endpoint wanted = settings.tapLink();
    TapLinkServer link =
        await(
            TapLinkServer.bind(
                site.system(),
                wanted.host(),
                wanted.port(),
                site.journal(),
                linkSettings(),
                Optional.of(new PastContent(site.site()::history, points, site.histories()::of))),
            STEP_LIMIT,
            "the tap link address " + wanted + " cannot be used; set tidemark.tap-link.port");
    started("tap link", () -> link.close().toCompletableFuture().join());
    addresses.put("tap-link", text(link.address()));
    addresses.put(
        "artery", akka.cluster.typed.Cluster.get(site.system()).selfMember().address().toString());
    return link.links();
  }

  private void startServices(
      SiteSystem site,
      CqlSession session,
      SegmentStore segments,
      IndexStore index,
      StoredPoints points,
      LiveLinks taps,
      MicroTime begun)
      throws Exception {
    SitePoints volumePoints =
        new SitePoints(site.site(), site.retention(), points, site.groups(), site.histories()::of);
    ImageServer server = new ImageServer(settings.data().resolve("images"), volumePoints);
    started("image server", server::close);
    NbdServer nbd =
        NbdServer.start(
            new NbdListenAddress.Tcp(settings.images().host(), settings.images().port()),
            server.exports(),
            tls.map(context -> new NbdTls(context, true, true))
                .map(NbdServerSettings.defaults()::withTls)
                .orElseGet(NbdServerSettings::defaults));
    started("images' NBD server", nbd::close);
    NbdListenAddress listening = nbd.addresses().get(0);
    addresses.put("images", listening.toString());
    SiteImages images =
        SiteImages.start(
            site.system(),
            NodeIdentity.of(settings.data()),
            server,
            volumePoints,
            tls.isPresent() ? listening::tlsUri : listening::uri,
            clock);
    started("images", images::stop);
    await(images.resume(), STEP_LIMIT, "the journal did not tell which images were open");
    JobRegistry jobs = new JobRegistry(clock);
    started("jobs", jobs::close);
    HeldPoints held = new HeldPoints(volumePoints);
    started("held points", held::close);
    ExportJobs exports =
        new ExportJobs(settings.data().resolve("exports"), jobs, volumePoints, held);
    started("exports", exports::close);
    VerifyJobs verifications =
        new VerifyJobs(
            jobs,
            site.site(),
            site.histories()::of,
            index,
            segments,
            new TapComparison(site.site(), volumePoints, taps),
            held);
    started("verifications", verifications::close);
    SizingJobs sizing = new SizingJobs(jobs, site.site(), site.histories()::of, held);
    PointComparisons comparisons = new PointComparisons(volumePoints, held);
    started("comparisons", comparisons::close);
    RollbackJobs rollbacks =
        new RollbackJobs(
            settings.data().resolve("rollbacks"),
            jobs,
            new RollbackRun.Parts(site.site(), volumePoints, held, taps, clock));
    started("rollbacks", rollbacks::close);
    rollbacks.resume();
    DrillRunner drills =
        DrillRunner.start(
            site.system(),
            NodeIdentity.of(settings.data()),
            settings.data().resolve("checks"),
            new DrillRunner.Parts(
                site.site(), volumePoints, images, localUris(server, listening), clock));
    started("drills", drills::close);
    SiteFiles files =
        new SiteFiles(
            site.system(),
            volumePoints,
            held,
            images,
            server,
            NodeIdentity.of(settings.data()),
            settings.data().resolve("files"),
            clock,
            settings.config().getBoolean("tidemark.files.replay-xfs"));
    started("files", files::close);
    ClusterStatus status =
        new ClusterStatus(
            site.system(),
            session,
            site.remotes(),
            settings.tls().map(TlsFiles::life),
            begun,
            addresses,
            CassandraSettings.of(settings.config()).embedded()
                ? Optional.of(settings.data().resolve("cassandra"))
                : Optional.empty());
    Links links = links(site, segments, points);
    Plans plans =
        ClusterPlans.start(
            site.system(),
            new ClusterPlans.Parts(
                site.site(),
                site.groups(),
                links,
                site.remotes(),
                volumePoints,
                images,
                Files.createDirectories(settings.data().resolve("hooks")),
                clock,
                site.events()));
    AdminServices services =
        new AdminServices(
            site.site(),
            site.retention(),
            site.groups(),
            links,
            plans,
            volumePoints,
            images,
            jobs,
            exports,
            verifications,
            sizing,
            new RecoveryServices(comparisons, rollbacks, drills),
            files,
            status,
            clock);
    InetSocketAddress admin =
        await(
            AdminServer.bind(
                site.system(),
                new AdminRoutes(services),
                settings.http().host(),
                settings.http().port()),
            STEP_LIMIT,
            "the admin address " + settings.http() + " cannot be used");
    addresses.put("http", "http://" + text(admin));
    addresses.forEach(
        (purpose, address) -> site.remotes().announce(purpose, announced(purpose, address)));
  }

  /** As other sites reach it. */
  private String announced(String purpose, String address) {
    String elsewhere = settings.config().getString("tidemark.tap-link.announced");
    if (!elsewhere.isEmpty() && !elsewhere.matches(".{1,255}:[1-9]\\d{0,4}")) {
      throw new Refusal(
          ErrorCode.INVALID,
          "tidemark.tap-link.announced is '"
              + Refusal.printable(elsewhere)
              + "': give HOST:PORT as other sites reach it, or nothing");
    }
    return purpose.equals("tap-link") && !elsewhere.isEmpty() ? elsewhere : address;
  }

  private Links links(SiteSystem site, SegmentStore segments, StoredPoints points) {
    return ClusterLinks.start(
        site.system(),
        new ClusterLinks.Parts(
            site.site(),
            site.groups(),
            site.remotes(),
            new SiteLines(site.system(), linkSettings()),
            segments,
            points,
            site.histories(),
            clock,
            site.events()));
  }

  private LinkSettings linkSettings() {
    return tls.map(LinkSettings.defaults()::withTls).orElseGet(LinkSettings::defaults);
  }

  /**
   * How checks that this node starts reach images: they have no certificate, so that with TLS there
   * is a socket that only this user can open.
   */
  private UnaryOperator<String> localUris(ImageServer server, NbdListenAddress listening)
      throws IOException {
    if (tls.isEmpty()) {
      return listening::uri;
    }
    Path directory = settings.data().toAbsolutePath().resolve("local");
    Files.createDirectories(directory);
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
    try {
      NbdServer nbd =
          NbdServer.start(
              new NbdListenAddress.Unix(directory.resolve("images")),
              server.exports(),
              NbdServerSettings.defaults());
      started("images' local NBD server", nbd::close);
      return nbd.addresses().get(0)::uri;
    } catch (Refusal e) {
      LOG.warn("drills cannot open images, and will say so: {}", e.getMessage());
      return listening::tlsUri;
    }
  }

  private static String text(InetSocketAddress address) {
    return new Endpoint(address.getAddress().getHostAddress(), address.getPort()).toString();
  }

  private static ExecutorService pool(String name, int threads) {
    AtomicInteger number = new AtomicInteger();
    return Executors.newFixedThreadPool(
        threads,
        work -> {
          Thread thread = new Thread(work, name + "-" + number.incrementAndGet());
          thread.setDaemon(true);
          return thread;
        });
  }

  private static <T> T await(CompletionStage<T> stage, Duration limit, String otherwise)
      throws InterruptedException {
    return await(stage, limit, () -> otherwise);
  }

  private static <T> T await(CompletionStage<T> stage, Duration limit, Supplier<String> otherwise)
      throws InterruptedException {
    try {
      return stage.toCompletableFuture().get(limit.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      Throwable cause = Failures.cause(e.getCause());
      if (cause instanceof Refusal refusal) {
        throw refusal;
      }
      throw new Refusal(ErrorCode.FAILED, otherwise.get() + ": " + cause.getMessage(), cause);
    } catch (TimeoutException e) {
      throw new Refusal(
          ErrorCode.FAILED, otherwise.get() + " within " + limit.toSeconds() + " seconds", e);
    }
  }

  private void started(String what, Stop stop) {
    LOG.info("started: {}", what);
    started.push(new Stopping(what, stop));
  }

  private void actorSystemEnded() {
    if (closing) {
      return;
    }
    Refusal reason =
        new Refusal(
            ErrorCode.FAILED,
            "its actor system ended, most likely because it lost its cluster; the log in "
                + settings.data().resolve("log")
                + " has the reason");
    ended.complete(new End(reason, false));
  }

  /** What listens where, by purpose. */
  Map<String, String> addresses() {
    return Map.copyOf(addresses);
  }

  /** Completes when the node cannot go on. */
  CompletionStage<End> ended() {
    return ended;
  }

  /** Stops everything in the opposite order; what fails to stop is logged and passed over. */
  @Override
  public synchronized void close() {
    closing = true;
    while (!started.isEmpty()) {
      Stopping next = started.pop();
      try {
        next.stop().run();
        LOG.info("stopped: {}", next.what());
      } catch (Exception e) {
        LOG.warn("did not stop in order: {}", next.what(), e);
      }
    }
  }
}
