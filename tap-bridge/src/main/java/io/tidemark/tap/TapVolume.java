package io.tidemark.tap;

import io.tidemark.backing.FileBackingStore;
import io.tidemark.backing.RangeLocks;
import io.tidemark.backing.TapExport;
import io.tidemark.capture.ActivityLog;
import io.tidemark.capture.CaptureMemory;
import io.tidemark.capture.CaptureSink;
import io.tidemark.capture.Resync;
import io.tidemark.capture.VolumeCapture;
import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapStatus;
import io.tidemark.nbd.NbdExport;
import io.tidemark.order.OrderKind;
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
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One volume of a tap: backing store, activity log, capture, link and export. It is served from the
 * first grant on; at once when the activity log knows the incarnation, whether or not a node can be
 * reached (T1).
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
  private final Optional<ActivityLog> activity;
  private final CompletableFuture<Void> served = new CompletableFuture<>();
  private final OrderDesk orders = new OrderDesk();
  private final HoldOrders holds;
  private TapLinkClient link;
  private VolumeCapture capture;
  private Resync resync;
  private ScheduledExecutorService watch;
  private ScheduledFuture<?> leaseWatch;
  private volatile TapExport export;
  private volatile RollbackOrders rollbacks;

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
    if (activity.isEmpty()) {
      serve(CaptureSink.none(), store.sizeBytes() / 512 * 512);
      return;
    }
    ActivityLog log = activity.get();
    if (log.state().incarnation().isPresent()) {
      startCapture(log.state().sizeBytes());
    }
    TapLinkClient client =
        new TapLinkClient(
            settings.nodes(),
            new TapLinkClient.Identity(spec.name(), address, store.sizeBytes()),
            log,
            this::captureFor,
            settings.link(),
            orders,
            watch);
    synchronized (this) {
      link = client;
      if (capture != null) {
        resync = new Resync(spec.name().value(), capture, content, client, capture.sizeBytes());
        serve(capture, capture.sizeBytes());
      }
    }
    client.firstGrant().whenComplete((grant, failure) -> firstGranted(grant, failure));
  }

  private synchronized VolumeCapture captureFor(SessionGrant grant) {
    if (capture == null) {
      startCapture(grant.sizeBytes());
    }
    return capture;
  }

  private synchronized void startCapture(long sizeBytes) {
    try {
      capture =
          new VolumeCapture(
              spec.name().value(),
              sizeBytes,
              directory,
              activity.orElseThrow(),
              content,
              memory,
              settings.limits(),
              MicroClock.system());
      leaseWatch =
          watch.scheduleWithFixedDelay(
              capture::expireLease, LEASE_LOOK_MILLIS, LEASE_LOOK_MILLIS, TimeUnit.MILLISECONDS);
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.FAILED, "volume " + spec.name() + ": no capture: " + e.getMessage(), e);
    }
  }

  private synchronized void firstGranted(SessionGrant grant, Throwable failure) {
    if (failure != null) {
      served.completeExceptionally(failure);
    } else if (resync == null) {
      resync = new Resync(spec.name().value(), capture, content, link, capture.sizeBytes());
      serve(capture, capture.sizeBytes());
    }
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
        rollbacks = new RollbackOrders(spec.name().value(), made, capture, directory, watch);
        orders.handle(OrderKind.ROLLBACK, rollbacks);
      }
      export = made; // only now: nobody enters past the gate
      served.complete(null);
    } catch (Refusal e) {
      served.completeExceptionally(e);
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

  /** Whether a node takes its writes now. */
  synchronized boolean connected() {
    return link != null && link.connected();
  }

  synchronized Optional<TapStatus> status() {
    return Optional.ofNullable(capture).map(VolumeCapture::status);
  }

  /** After the last request: waits for the journal, takes leave, marks what is left. */
  boolean stop(Duration drain) {
    boolean clean = true;
    TapLinkClient client;
    VolumeCapture source;
    Resync comparing;
    synchronized (this) {
      client = link;
      source = capture;
      comparing = resync;
      if (leaseWatch != null) {
        leaseWatch.cancel(false);
      }
    }
    if (source != null) {
      clean = drained(source, drain);
    }
    holds.close();
    if (client != null) {
      client.close();
    }
    if (comparing != null) {
      comparing.close();
    }
    if (rollbacks != null) {
      rollbacks.close();
    }
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
    closeQuietly(store);
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
