package io.tidemark.tap;

import io.tidemark.backing.FileBackingStore;
import io.tidemark.backing.RangeLocks;
import io.tidemark.backing.TapExport;
import io.tidemark.capture.ActivityLog;
import io.tidemark.capture.BackingContent;
import io.tidemark.capture.CaptureMemory;
import io.tidemark.capture.CaptureSink;
import io.tidemark.capture.ContentSource;
import io.tidemark.capture.Resync;
import io.tidemark.capture.VolumeCapture;
import io.tidemark.fill.FillContent;
import io.tidemark.fill.FillExport;
import io.tidemark.fill.FillMap;
import io.tidemark.fill.FillSink;
import io.tidemark.fill.Filler;
import io.tidemark.journal.ContentRun;
import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapStatus;
import io.tidemark.nbd.NbdExport;
import io.tidemark.order.OrderKind;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.taplink.TapLinkClient;
import io.tidemark.taporder.HoldOrders;
import io.tidemark.taporder.LeaseOrders;
import io.tidemark.taporder.OrderDesk;
import io.tidemark.taporder.QuiesceHooks;
import io.tidemark.taprollback.RollbackOrders;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One volume of a tap: backing store, activity log, capture, link and export. It is served from the
 * first grant on, or, when the activity log knows the incarnation, once it is clear that no node
 * can be reached (T1). A store that is behind the journal is filled from it while it is served
 * (T6); a volume that is not to be written here yet is waited for (T7).
 *
 * <pre>
 *   connecting --granted, or no node and a known volume--&gt; serving
 *   connecting --FENCED--&gt; standing by --granted--&gt; serving
 *   serving --granted, and the store is behind--&gt; clients out, connecting anew --granted--&gt; serving
 * </pre>
 */
final class TapVolume {
  private static final Logger log = LoggerFactory.getLogger(TapVolume.class);

  /** How often it is looked whether writes have waited for a lease for too long. */
  private static final long LEASE_LOOK_MILLIS = 500;

  private final VolumeSpec spec;
  private final TapSettings settings;
  private final CaptureMemory memory;
  private final FileBackingStore store;
  private final RangeLocks locks = new RangeLocks();
  private final StoreContent content;
  private final Path directory;
  private final CompletableFuture<Void> served = new CompletableFuture<>();
  private final OrderDesk orders = new OrderDesk();
  private final HoldOrders holds;
  private Optional<ActivityLog> activity;
  private ScheduledExecutorService watch;
  private String address;
  private boolean standingBy;
  private boolean stopped;
  private Thread renewing;

  // What there is from a grant on until the store is found to be behind.
  private volatile TapLinkClient link;
  private VolumeCapture capture;
  private Resync resync;
  private Filler filler;
  private ScheduledFuture<?> leaseWatch;
  private volatile TapExport export;
  private FillExport filling;
  private volatile RollbackOrders rollbacks;

  /** For orders that come between the grant and the first client. */
  private volatile CompletableFuture<RollbackOrders> serving = new CompletableFuture<>();

  private TapVolume(
      VolumeSpec spec,
      TapSettings settings,
      CaptureMemory memory,
      FileBackingStore store,
      Path directory,
      Optional<ActivityLog> activity,
      QuiesceHooks applications,
      Map<String, HoldOrders> process) {
    this.spec = spec;
    this.settings = settings;
    this.memory = memory;
    this.store = store;
    this.content = new StoreContent(store, locks);
    this.directory = directory;
    this.activity = activity;
    this.holds = new HoldOrders(spec.name().value(), this::capture, process);
    holds.register(orders);
    new LeaseOrders(spec.name().value(), this::capture).register(orders);
    orders.handle(applications);
    orders.handle(OrderKind.ROLLBACK, this::rollback);
  }

  /** A node that waited for the tap gives its order at the grant: it waits for the export. */
  private CompletionStage<byte[]> rollback(long id, byte[] body, Duration left) {
    long began = System.nanoTime();
    return serving
        .copy()
        .orTimeout(left.toNanos(), TimeUnit.NANOSECONDS)
        .exceptionally(
            late -> {
              throw new Refusal(
                  ErrorCode.NOT_ACKNOWLEDGED,
                  "the tap does not serve volume '%s' yet".formatted(spec.name()),
                  late);
            })
        .thenCompose(taken -> taken.carryOut(id, body, left.minusNanos(System.nanoTime() - began)));
  }

  private synchronized Optional<VolumeCapture> capture() {
    return Optional.ofNullable(capture);
  }

  /**
   * Opens what is on this machine; nothing is connected or served yet.
   *
   * @param process the holds of all volumes of this process
   */
  static TapVolume open(
      VolumeSpec spec,
      TapSettings settings,
      CaptureMemory memory,
      QuiesceHooks applications,
      Map<String, HoldOrders> process) {
    FileBackingStore store = FileBackingStore.open(spec.backing(), 1, false);
    try {
      boolean file = Files.isRegularFile(spec.backing());
      if (settings.nodes().isEmpty() && settings.stateDirectory().isEmpty() && !file) {
        return new TapVolume(
            spec, settings, memory, store, Path.of(""), Optional.empty(), applications, process);
      }
      Path directory = settings.stateOf(spec, file);
      if (settings.nodes().isEmpty()) {
        refuseIfCaptured(spec, directory);
        return new TapVolume(
            spec, settings, memory, store, directory, Optional.empty(), applications, process);
      }
      return new TapVolume(
          spec,
          settings,
          memory,
          store,
          directory,
          Optional.of(openLog(spec, directory)),
          applications,
          process);
    } catch (RuntimeException e) {
      closeQuietly(store);
      throw e;
    }
  }

  private static void refuseIfCaptured(VolumeSpec spec, Path directory) {
    if (Files.exists(directory.resolve(ActivityLog.FILE_NAME))) {
      throw new Refusal(
          ErrorCode.INVALID,
          "%s was captured before: writes past the journal would be lost to it; serve it with a"
                  .formatted(spec.backing())
              + " node, or remove "
              + directory
              + " to give its protection up");
    }
  }

  private static ActivityLog openLog(VolumeSpec spec, Path directory) {
    try {
      return ActivityLog.open(directory);
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.FAILED, "volume " + spec.name() + ": no activity log: " + e.getMessage(), e);
    }
  }

  /** Begins to serve or to connect. */
  void start(ScheduledExecutorService watch, String address) {
    this.watch = watch;
    this.address = address;
    if (activity.isEmpty()) {
      serve(CaptureSink.none(), store.sizeBytes() / 512 * 512);
      return;
    }
    connect();
  }

  private synchronized void connect() {
    TapLinkClient client =
        new TapLinkClient(
            settings.nodes(),
            new TapLinkClient.Identity(spec.name(), address, store.sizeBytes()),
            activity.orElseThrow(),
            new Captures(),
            settings.link(),
            orders,
            watch);
    link = client;
    client.firstGrant().whenComplete(this::firstGranted);
    client.firstRound().thenRun(this::serveWithoutNode);
  }

  /** What the link asks of the volume, on its own thread. */
  private final class Captures implements TapLinkClient.CaptureFactory {
    @Override
    public VolumeCapture capture(SessionGrant grant) throws IOException {
      return captureFor(grant);
    }

    @Override
    public void fenced(String reason) throws IOException {
      standBy(reason);
    }
  }

  private synchronized VolumeCapture captureFor(SessionGrant grant) throws IOException {
    ActivityLog known = activity.orElseThrow();
    if (Superseding.isBehind(known.state(), grant)) {
      if (capture != null) {
        renew(grant);
        throw new Refusal(
            ErrorCode.NOT_SYNCHRONIZED,
            "the backing store of %s is behind the journal, which went on elsewhere to epoch %d; it is brought up to date"
                .formatted(spec.name(), grant.epoch().value()));
      }
      standingBy = true; // it is not served before that has succeeded
      openGate();
      Superseding.supersede(spec.name().value(), directory, known, grant);
    } else {
      if (!Superseding.isSameEpoch(known.state(), grant)) {
        openGate();
      }
      if (capture == null) {
        Superseding.forgetOther(directory, grant.volume());
      }
    }
    if (capture == null) {
      startCapture(grant.sizeBytes());
    }
    return capture;
  }

  /** Whoever shut the volume to clients did so in an epoch that is over. */
  private void openGate() throws IOException {
    if (rollbacks == null) {
      RollbackOrders.forget(directory);
    } else {
      rollbacks.epochOver();
    }
  }

  private synchronized void standBy(String reason) throws IOException {
    if (capture != null) {
      capture.fenced(reason);
      return;
    }
    if (!standingBy) {
      standingBy = true;
      if (activity.orElseThrow().state().incarnation().isPresent()) {
        activity.get().fenced();
      }
      log.warn("volume {}: standing by until it may be written here: {}", spec.name(), reason);
    }
  }

  private synchronized void startCapture(long sizeBytes) throws IOException {
    BackingContent compared = content;
    Optional<FillMap> map = FillMap.open(directory);
    if (map.isPresent()) {
      filler =
          new Filler(
              spec.name().value(),
              sizeBytes,
              map.get(),
              directory,
              store,
              locks,
              new CurrentLink(),
              settings.fillBytesPerSecond());
      compared = new FillContent(content, filler);
    }
    try {
      capture =
          new VolumeCapture(
              spec.name().value(),
              sizeBytes,
              directory,
              activity.orElseThrow(),
              compared,
              memory,
              settings.limits(),
              MicroClock.system());
      leaseWatch =
          watch.scheduleWithFixedDelay(
              capture::expireLease, LEASE_LOOK_MILLIS, LEASE_LOOK_MILLIS, TimeUnit.MILLISECONDS);
    } finally {
      if (capture == null && filler != null) {
        filler.close();
        filler = null;
      }
    }
  }

  /** The journal by the link that there is. */
  private final class CurrentLink implements ContentSource {
    private TapLinkClient now() throws IOException {
      TapLinkClient client = link;
      if (client == null) {
        throw new IOException("no node is connected");
      }
      return client;
    }

    @Override
    public ByteBuffer hashes(ByteRange range, int blockBytes)
        throws IOException, InterruptedException {
      return now().hashes(range, blockBytes);
    }

    @Override
    public ContentRun content(ByteRange range) throws IOException, InterruptedException {
      return now().content(range);
    }
  }

  private void firstGranted(SessionGrant grant, Throwable failure) {
    if (failure != null) {
      served.completeExceptionally(failure);
    } else {
      serveCaptured();
    }
  }

  /** No node answers: a volume that was attached before is served all the same (T1). */
  private synchronized void serveWithoutNode() {
    Optional<ActivityLog> known =
        activity.filter(log -> log.state().incarnation().isPresent() && !standingBy && !stopped);
    if (known.isEmpty() || resync != null || renewing != null) {
      return;
    }
    if (capture == null) {
      try {
        if (Superseding.isCutShort(directory, known.get().state())) {
          log.warn("volume {}: its store is to be filled, and no node answers", spec.name());
          return;
        }
        startCapture(known.get().state().sizeBytes());
      } catch (IOException e) {
        served.completeExceptionally(
            new Refusal(
                ErrorCode.FAILED, "volume " + spec.name() + ": no capture: " + e.getMessage(), e));
        return;
      }
    }
    serveCaptured();
  }

  private synchronized void serveCaptured() {
    if (resync != null || capture == null || stopped) {
      return;
    }
    standingBy = false;
    BackingContent compared = filler == null ? content : new FillContent(content, filler);
    resync = new Resync(spec.name().value(), capture, compared, link, capture.sizeBytes());
    serve(filler == null ? capture : new FillSink(capture, filler), capture.sizeBytes());
  }

  private void serve(CaptureSink sink, long sizeBytes) {
    try {
      TapExport made =
          new TapExport(
              spec.name().value(),
              "Tidemark volume " + spec.name(),
              sizeBytes,
              false,
              store,
              sink,
              locks);
      if (capture != null) {
        NbdExport front = made;
        if (filler != null) {
          filling = new FillExport(made, filler);
          front = filling;
          filler.start();
        }
        rollbacks = new RollbackOrders(spec.name().value(), front, capture, directory, watch);
        serving.complete(rollbacks);
      }
      export = made; // only now: nobody enters past the gate
      served.complete(null);
    } catch (Refusal e) {
      served.completeExceptionally(e);
    }
  }

  /**
   * What is served is behind: all clients out, for good, and from the beginning, in a thread of its
   * own, since the link's is among those that end.
   */
  private void renew(SessionGrant grant) throws IOException {
    if (renewing != null || stopped) {
      return;
    }
    capture.fenced("the journal went on elsewhere"); // whatever of its clients is still under way
    if (rollbacks != null) {
      rollbacks.gate().shut(true);
    }
    log.warn(
        "volume {}: the journal went on elsewhere; clients have to connect again", spec.name());
    renewing = new Thread(() -> startAnew(grant), "tidemark-renew-" + spec.name());
    renewing.setDaemon(true);
    renewing.start();
  }

  private void startAnew(SessionGrant grant) {
    end();
    synchronized (this) {
      renewing = null;
      link = null;
      capture = null;
      resync = null;
      filler = null;
      filling = null;
      export = null;
      rollbacks = null;
      serving = new CompletableFuture<>();
      if (stopped) {
        return;
      }
      standingBy = true;
      try {
        activity = Optional.of(openLog(spec, directory));
        openGate();
        Superseding.supersede(spec.name().value(), directory, activity.get(), grant);
        standingBy = false;
      } catch (IOException | Refusal e) {
        log.error(
            "volume {}: its store cannot be given up for the journal's content", spec.name(), e);
      }
      connect(); // tries it again, if need be
    }
  }

  VolumeSpec spec() {
    return spec;
  }

  /** Completes when clients can connect; fails with the Refusal that keeps them from it. */
  CompletableFuture<Void> served() {
    return served;
  }

  Optional<NbdExport> export() {
    RollbackOrders gated = rollbacks;
    return gated == null ? Optional.ofNullable(export) : gated.gate().export();
  }

  /** Whether it waits until it may be written at this site. */
  synchronized boolean standingBy() {
    return standingBy;
  }

  /** Whether a node takes its writes now. */
  boolean connected() {
    TapLinkClient client = link;
    return client != null && client.connected();
  }

  synchronized Optional<TapStatus> status() {
    return Optional.ofNullable(capture).map(VolumeCapture::status);
  }

  /** After the last request: waits for the journal, takes leave, marks what is left. */
  boolean stop(Duration drain) {
    VolumeCapture source;
    Thread renewal;
    synchronized (this) {
      stopped = true;
      source = capture;
      renewal = renewing;
    }
    if (renewal != null) {
      awaitEnd(renewal);
      source = null;
    }
    boolean clean = source == null || drained(source, drain);
    holds.close();
    clean &= end();
    closeQuietly(store);
    return clean;
  }

  private static void awaitEnd(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends what serves and captures; the activity log is closed. */
  private boolean end() {
    TapLinkClient client = link;
    if (client != null) {
      client.close();
    }
    VolumeCapture source;
    Resync comparing;
    Filler fills;
    FillExport front;
    synchronized (this) {
      source = capture;
      comparing = resync;
      fills = filler;
      front = filling;
      if (leaseWatch != null) {
        leaseWatch.cancel(false);
      }
    }
    if (fills != null) {
      fills.close();
    }
    if (comparing != null) {
      comparing.close();
    }
    if (rollbacks != null) {
      rollbacks.close();
    }
    if (front != null) {
      front.close();
    }
    boolean clean = true;
    try {
      if (source != null) {
        source.close();
      } else if (activity.isPresent()) {
        activity.get().close();
      }
    } catch (IOException e) {
      log.warn("volume {}: its activity log keeps its marks: {}", spec.name(), e.getMessage());
      clean = false;
    }
    if (export != null) {
      export.close();
    }
    return clean;
  }

  private boolean drained(VolumeCapture source, Duration drain) {
    try {
      boolean drained = source.drain(drain);
      if (!drained) {
        log.warn(
            "volume {}: stopped with {} unjournaled; they are compared at the next start",
            spec.name(),
            source.status());
      }
      return drained;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  private static void closeQuietly(FileBackingStore store) {
    try {
      store.close();
    } catch (IOException e) {
      log.warn("closing a backing store: {}", e.getMessage());
    }
  }
}
