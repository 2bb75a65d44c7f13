package io.tidemark.files;

import io.tidemark.image.ImageSpec;
import io.tidemark.image.VolumePoints;
import io.tidemark.imageserver.ImageServer;
import io.tidemark.localfile.LocalFiles;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdServer;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.point.PointReader;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Opens views, shares them, and closes those that nobody uses any more. All calls block. */
final class DiskViews implements AutoCloseable {
  /** Views at once (V4). */
  static final int VIEWS_MAX = 16;

  /** How long a view waits for its next use. */
  static final Duration IDLE_LIMIT = Duration.ofSeconds(60);

  private static final Logger LOG = LoggerFactory.getLogger(DiskViews.class);
  private static final Duration SWEEP = Duration.ofSeconds(5);

  /** Of a view of many partitions each sandbox has some connections. */
  private static final int CLIENTS_MAX = VIEWS_MAX * 64;

  private static final String SOCKET = "nbd.sock";

  /** A unix socket's path is no longer than that. */
  private static final int SOCKET_PATH_MAX = 100;

  /** Opens what a view lies over. */
  @FunctionalInterface
  interface Base {
    PointReader open() throws IOException;

    /** What was opened is read no more. */
    default void close() {}
  }

  /** The right to use a view; to be given back. */
  final class Lease implements AutoCloseable {
    private final Slot slot;
    private final DiskView view;
    private final AtomicBoolean returned = new AtomicBoolean();

    private Lease(Slot slot, DiskView view) {
      this.slot = slot;
      this.view = view;
    }

    DiskView view() {
      return view;
    }

    @Override
    public void close() {
      if (returned.compareAndSet(false, true)) {
        giveBack(slot);
      }
    }
  }

  private static final class Slot {
    private final FutureTask<DiskView> opening;
    private int users;
    private long idleSinceNanos;

    Slot(FutureTask<DiskView> opening) {
      this.opening = opening;
    }

    /** Empty while it is being opened, and when that failed. */
    Optional<DiskView> view() {
      if (!opening.isDone()) {
        return Optional.empty();
      }
      try {
        return Optional.of(opening.get());
      } catch (ExecutionException e) {
        LOG.debug("a view did not open", e);
        return Optional.empty();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return Optional.empty();
      }
    }

    boolean alive() {
      return !opening.isDone() || view().map(DiskView::alive).orElse(false);
    }
  }

  private final Path directory;
  private final Path socket;
  private final ImageServer images;
  private final PartitionExports exports;
  private final NbdServer nbd;
  private final MicroClock clock;
  private final boolean replayXfs;
  private final AtomicLong numbers = new AtomicLong();
  private final Map<String, Slot> slots = new LinkedHashMap<>();

  /** What open views lie over, by the view's name. */
  private final Map<String, Base> sources = new ConcurrentHashMap<>();

  private final ScheduledExecutorService sweeper;
  private boolean closed;

  /**
   * @param directory for overlays and mount points, in the node's data directory; what an earlier
   *     process left there is deleted (V1)
   */
  DiskViews(Path directory, VolumePoints points, MicroClock clock, boolean replayXfs)
      throws IOException {
    this.directory = directory.toAbsolutePath();
    this.clock = clock;
    this.replayXfs = replayXfs;
    LocalFiles.deleteTree(this.directory);
    Files.createDirectories(this.directory.getParent());
    Files.createDirectory(
        this.directory,
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    Path here = this.directory.resolve(SOCKET);
    this.socket =
        here.toString().length() <= SOCKET_PATH_MAX
            ? here
            : Files.createTempDirectory("tidemark-").resolve(SOCKET);
    this.images = new ImageServer(this.directory.resolve("overlays"), points);
    this.exports = new PartitionExports(images.exports());
    this.nbd =
        NbdServer.start(
            new NbdListenAddress.Unix(socket),
            exports,
            NbdServerSettings.defaults().withClientsMax(CLIENTS_MAX));
    this.sweeper =
        Executors.newSingleThreadScheduledExecutor(
            work -> {
              Thread thread = new Thread(work, "file-views");
              thread.setDaemon(true);
              return thread;
            });
    sweeper.scheduleWithFixedDelay(
        this::sweep, SWEEP.toMillis(), SWEEP.toMillis(), TimeUnit.MILLISECONDS);
  }

  /**
   * Gives the view of that key, opening it when there is none.
   *
   * @param key differs for disks that differ
   */
  Lease lease(String key, VolumeName volume, Base base) throws IOException {
    Slot slot = slot(key, volume, base);
    try {
      slot.opening.run();
      DiskView view = slot.opening.get();
      synchronized (slots) {
        if (!closed) {
          return new Lease(slot, view);
        }
      }
      end(view); // it was still being opened when the others were ended
      throw stopping();
    } catch (ExecutionException e) {
      forget(key, slot);
      if (e.getCause() instanceof Refusal refusal) {
        throw new Refusal(refusal.code(), refusal.getMessage(), refusal);
      }
      throw new IOException("cannot open a view of " + volume, e.getCause());
    } catch (InterruptedException e) {
      giveBack(slot);
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while opening a view of " + volume, e);
    }
  }

  private static Refusal stopping() {
    return new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the node is stopping");
  }

  private Slot slot(String key, VolumeName volume, Base base) {
    List<DiskView> ended = new ArrayList<>();
    try {
      synchronized (slots) {
        if (closed) {
          throw stopping();
        }
        Slot known = slots.get(key);
        if (known != null && known.users == 0 && !known.alive()) {
          slots.remove(key);
          known.view().ifPresent(ended::add);
          known = null;
        }
        if (known == null) {
          makeRoom(ended);
          known = new Slot(new FutureTask<>(() -> open(volume, base)));
          slots.put(key, known);
        }
        known.users++;
        return known;
      }
    } finally {
      ended.forEach(this::end);
    }
  }

  /** The view that was idle for longest makes room for another. */
  private void makeRoom(List<DiskView> ended) {
    if (slots.size() < VIEWS_MAX) {
      return;
    }
    Map.Entry<String, Slot> oldest = null;
    for (Map.Entry<String, Slot> entry : slots.entrySet()) {
      if (entry.getValue().users == 0
          && (oldest == null
              || entry.getValue().idleSinceNanos - oldest.getValue().idleSinceNanos < 0)) {
        oldest = entry;
      }
    }
    if (oldest == null) {
      throw new Refusal(
          ErrorCode.LIMIT,
          "files of " + VIEWS_MAX + " points are being read, the most at once; try again later");
    }
    slots.remove(oldest.getKey());
    oldest.getValue().view().ifPresent(ended::add);
  }

  private void giveBack(Slot slot) {
    synchronized (slots) {
      slot.users--;
      slot.idleSinceNanos = System.nanoTime();
    }
  }

  private void forget(String key, Slot slot) {
    synchronized (slots) {
      slots.remove(key, slot);
    }
  }

  private DiskView open(VolumeName volume, Base source) throws IOException {
    PointReader base = source.open();
    String name = "view-" + numbers.incrementAndGet();
    sources.put(name, source);
    ImageSpec spec =
        new ImageSpec(
            name,
            volume,
            VolumeId.random(),
            base.sizeBytes(),
            base.point(),
            true,
            "here",
            new MicroTime(clock.micros()));
    try {
      DiskView.await(images.serve(spec, base));
      return new DiskView(
          volume,
          base,
          images.content(name).orElseThrow(),
          directory.getParent(),
          directory.resolve(name),
          export -> new NbdListenAddress.Unix(socket).uri(export),
          name,
          replayXfs);
    } catch (IOException | RuntimeException e) {
      drop(name);
      throw e;
    }
  }

  private void end(DiskView view) {
    view.close();
    drop(view.name());
    try {
      LocalFiles.deleteTree(directory.resolve(view.name()));
    } catch (IOException e) {
      LOG.warn("cannot delete what {} left", view.name(), e);
    }
  }

  private void drop(String name) {
    try {
      DiskView.await(images.drop(name));
      exports.forget(name);
    } catch (IOException | RuntimeException e) {
      LOG.warn("{} is deleted when the node starts again", name, e);
    }
    sources.remove(name).close();
  }

  private void sweep() {
    List<DiskView> ended = new ArrayList<>();
    long now = System.nanoTime();
    synchronized (slots) {
      slots
          .values()
          .removeIf(
              slot -> {
                boolean over =
                    slot.users == 0
                        && (!slot.alive() || now - slot.idleSinceNanos > IDLE_LIMIT.toNanos());
                if (over) {
                  slot.view().ifPresent(ended::add);
                }
                return over;
              });
    }
    ended.forEach(this::end);
  }

  /** Views that are open. */
  int size() {
    synchronized (slots) {
      return slots.size();
    }
  }

  /** Ends every view, used or not. */
  @Override
  public void close() throws IOException {
    List<DiskView> all = new ArrayList<>();
    synchronized (slots) {
      closed = true;
      slots.values().forEach(slot -> slot.view().ifPresent(all::add));
      slots.clear();
    }
    sweeper.shutdown();
    all.forEach(this::end);
    nbd.close();
    images.close();
    LocalFiles.deleteTree(directory);
    if (!socket.startsWith(directory)) {
      LocalFiles.deleteTree(socket.getParent());
    }
  }
}
