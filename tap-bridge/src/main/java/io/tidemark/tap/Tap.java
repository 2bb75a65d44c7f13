package io.tidemark.tap;

import io.tidemark.capture.CaptureMemory;
import io.tidemark.hook.Applications;
import io.tidemark.journal.TapStatus;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdExports;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdServer;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.taporder.HoldOrders;
import io.tidemark.taporder.QuiesceHooks;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;

/** The data tap: serves volumes over NBD and captures every change. */
public final class Tap implements AutoCloseable {
  private final TapSettings settings;
  private final List<TapVolume> volumes;
  private final NbdServer server;
  private final ScheduledExecutorService watch;
  private final Optional<Applications> applications;
  private boolean stopped;
  private boolean clean;

  private Tap(
      TapSettings settings,
      List<TapVolume> volumes,
      NbdServer server,
      ScheduledExecutorService watch,
      Optional<Applications> applications) {
    this.settings = settings;
    this.volumes = volumes;
    this.server = server;
    this.watch = watch;
    this.applications = applications;
  }

  /**
   * Starts a tap: listens at once, serves each volume as soon as it may ({@link #ready}).
   *
   * @throws Refusal when a backing store, a state directory or an address cannot be used
   */
  public static Tap start(TapSettings settings) {
    CaptureMemory memory = new CaptureMemory(settings.memoryBytesMax());
    List<TapVolume> volumes = new ArrayList<>();
    Map<String, HoldOrders> holds = new ConcurrentHashMap<>();
    ScheduledExecutorService watch =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "tidemark-watch");
              thread.setDaemon(true);
              return thread;
            });
    Optional<Applications> applications =
        settings.applications().map(file -> new Applications(file, settings.ownFiles()));
    QuiesceHooks hooks = applications.map(QuiesceHooks.class::cast).orElseGet(QuiesceHooks::none);
    try {
      for (VolumeSpec spec : settings.volumes()) {
        volumes.add(TapVolume.open(spec, settings, memory, hooks, holds));
      }
      NbdServer server = NbdServer.start(settings.listen(), exports(volumes), settings.nbd());
      String address = hostName() + "/" + server.addresses().get(0);
      volumes.forEach(volume -> volume.start(watch, address));
      return new Tap(settings, volumes, server, watch, applications);
    } catch (RuntimeException e) {
      applications.ifPresent(Applications::close);
      volumes.forEach(volume -> volume.stop(Duration.ZERO));
      watch.shutdownNow();
      throw e;
    }
  }

  private static String hostName() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "localhost"; // only a name for people
    }
  }

  private static NbdExports exports(List<TapVolume> volumes) {
    return new NbdExports() {
      @Override
      public Optional<NbdExport> find(String name) {
        if (name.isEmpty() && volumes.size() == 1) {
          return volumes.get(0).export();
        }
        return volumes.stream()
            .filter(volume -> volume.spec().name().value().equals(name))
            .findFirst()
            .flatMap(TapVolume::export);
      }

      @Override
      public List<NbdExportInfo> list() {
        return volumes.stream().flatMap(v -> v.export().stream()).map(NbdExport::info).toList();
      }
    };
  }

  /**
   * Completes when every volume is served. A volume that was attached before is served at once; a
   * new one once a node has let the tap in. Fails with the Refusal of the first that may not be.
   */
  public CompletableFuture<Void> ready() {
    CompletableFuture<Void> failed = new CompletableFuture<>();
    List<CompletableFuture<Void>> each = volumes.stream().map(TapVolume::served).toList();
    for (CompletableFuture<Void> one : each) {
      one.whenComplete(
          (done, failure) -> {
            if (failure != null) {
              failed.completeExceptionally(failure);
            }
          });
    }
    CompletableFuture<Void> all = CompletableFuture.allOf(each.toArray(CompletableFuture[]::new));
    return CompletableFuture.anyOf(all, failed).thenApply(done -> null);
  }

  /** Waits for {@link #ready}; throws its Refusal. */
  public void awaitReady() {
    try {
      ready().join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof Refusal refusal) {
        throw refusal;
      }
      throw new Refusal(ErrorCode.FAILED, "the tap failed: " + e.getCause(), e);
    }
  }

  /** Where it listens, ports filled in. */
  public List<NbdListenAddress> addresses() {
    return server.addresses();
  }

  /** The NBD URI of each volume at the first address. */
  public Map<VolumeName, String> uris() {
    Map<VolumeName, String> uris = new LinkedHashMap<>();
    for (TapVolume volume : volumes) {
      VolumeName name = volume.spec().name();
      uris.put(name, server.addresses().get(0).uri(name.value()));
    }
    return uris;
  }

  /** How a volume is captured; empty before it is served, or without capture. */
  public Optional<TapStatus> status(VolumeName name) {
    return volumes.stream()
        .filter(volume -> volume.spec().name().equals(name))
        .findFirst()
        .flatMap(TapVolume::status);
  }

  /** Volumes that are not served because they may not be written at this site yet (T7). */
  public List<VolumeName> standingBy() {
    return volumes.stream()
        .filter(TapVolume::standingBy)
        .map(volume -> volume.spec().name())
        .toList();
  }

  /** Whether a node takes the volume's writes now. */
  public boolean connected(VolumeName name) {
    return volumes.stream().anyMatch(v -> v.spec().name().equals(name) && v.connected());
  }

  /**
   * Stops in order: applications are thawed, no new clients or requests, then the journal takes
   * what is captured, for at most the settings' drain time, then every link and log is closed.
   * Repeating it is safe.
   *
   * @return whether everything was journaled
   */
  public synchronized boolean stop() {
    if (!stopped) {
      stopped = true;
      // First of all: thawing may need to write to the volumes.
      applications.ifPresent(Applications::close);
      server.close();
      long deadline = System.nanoTime() + settings.drain().toNanos();
      clean = true;
      for (TapVolume volume : volumes) {
        clean &= volume.stop(Duration.ofNanos(Math.max(0, deadline - System.nanoTime())));
      }
      watch.shutdownNow();
    }
    return clean;
  }

  /** As {@link #stop}. */
  @Override
  public void close() {
    stop();
  }
}
