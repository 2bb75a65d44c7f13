package io.tidemark.imageserver;

import io.tidemark.image.ImageSpec;
import io.tidemark.image.VolumePoints;
import io.tidemark.localfile.LocalFiles;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdExports;
import io.tidemark.overlay.Overlay;
import io.tidemark.overlay.OverlayBase;
import io.tidemark.point.PointReader;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The images that this node serves: an export and, for a writable one, an overlay under {@code
 * <data>/images/NAME}. Which images those are is decided elsewhere.
 */
public final class ImageServer implements AutoCloseable {
  /** Data and buffers of all requests under way on all images. */
  public static final long BYTES_UNDER_WAY_MAX = 64L << 20;

  private static final int DISK_THREADS = 4;
  private static final int STOP_SECONDS_MAX = 30;
  private static final Logger LOG = LoggerFactory.getLogger(ImageServer.class);

  /**
   * How an image fares on this node.
   *
   * @param overlayBytes data written by clients
   * @param clients connections now
   * @param failedReads requests that ended in EIO
   * @param problem the newest reason for one
   */
  public record Condition(
      long overlayBytes, int clients, long failedReads, Optional<String> problem) {}

  private final Path directory;
  private final VolumePoints points;
  private final ByteWindow window = new ByteWindow(BYTES_UNDER_WAY_MAX);
  private final Map<String, ImageExport> serving = new ConcurrentSkipListMap<>();
  private final ExecutorService disk;
  private final NbdExports exports = new Exports();

  /**
   * @param directory holds a directory for each writable image; created if missing
   */
  public ImageServer(Path directory, VolumePoints points) throws IOException {
    this.directory = Files.createDirectories(directory);
    this.points = points;
    AtomicInteger number = new AtomicInteger();
    // Threads of its own: file I/O blocks, and overlays never wait for one another's network reads.
    this.disk =
        Executors.newFixedThreadPool(
            DISK_THREADS,
            work -> {
              Thread thread = new Thread(work, "image-disk-" + number.incrementAndGet());
              thread.setDaemon(true);
              return thread;
            });
  }

  /** What the node's image NBD server offers. */
  public NbdExports exports() {
    return exports;
  }

  /**
   * Opens the point, and the overlay for a writable image, and offers the export. Serving one that
   * is served already does nothing.
   *
   * @param again it was served before, by an earlier process: its overlay must be there
   * @return fails as {@code VolumePoints.open} does, with {@code CORRUPT} for a damaged overlay, or
   *     with {@code FAILED} for a local disk error
   */
  public CompletionStage<Void> serve(ImageSpec spec, boolean again) {
    if (serving.containsKey(spec.name())) {
      return CompletableFuture.completedStage(null);
    }
    return points.open(spec.located()).thenAcceptAsync(reader -> offer(spec, reader, again), disk);
  }

  /** As {@link #serve(ImageSpec, boolean)} for a new image over a base that is open already. */
  public CompletionStage<Void> serve(ImageSpec spec, PointReader base) {
    return CompletableFuture.runAsync(() -> offer(spec, base, false), disk);
  }

  /**
   * The content of an image as its clients see it, changes and all; it counts as no client. Reads
   * fail once the image is dropped.
   */
  public Optional<LiveContent> content(String name) {
    return Optional.ofNullable(serving.get(name));
  }

  private void offer(ImageSpec spec, PointReader reader, boolean again) {
    try {
      Optional<Overlay> overlay =
          spec.writable()
              ? Optional.of(
                  Overlay.open(
                      overlayDirectory(spec.name()),
                      new OverlayBase(spec.volumeId(), spec.point().seq(), spec.sizeBytes()),
                      again,
                      reader::read,
                      disk))
              : Optional.empty();
      String description =
          spec.volume() + " at seq:" + spec.point().seq() + " time:" + spec.point().time();
      ImageExport export = new ImageExport(spec.name(), description, reader, overlay, window);
      ImageExport other = serving.putIfAbsent(spec.name(), export);
      if (other != null && overlay.isPresent()) {
        overlay.get().abandon();
      }
    } catch (IOException e) {
      throw failed("cannot open the overlay of image '" + spec.name() + "'", e);
    }
  }

  private static Refusal failed(String what, IOException cause) {
    return new Refusal(ErrorCode.FAILED, what + ": " + cause.getMessage(), cause);
  }

  private Path overlayDirectory(String name) {
    Path path = directory.resolve(name).normalize();
    if (!directory.equals(path.getParent())) {
      throw new Refusal(ErrorCode.INVALID, "'" + Refusal.printable(name) + "' is no image name");
    }
    return path;
  }

  /** The images that are served now. */
  public Set<String> names() {
    return Set.copyOf(serving.keySet());
  }

  /** How the image fares, empty when this node does not serve it. */
  public Optional<Condition> condition(String name) {
    return Optional.ofNullable(serving.get(name))
        .map(e -> new Condition(e.overlayBytes(), e.clients(), e.failures(), e.problem()));
  }

  /**
   * Stops serving the image, once requests under way have ended, and deletes its overlay. Repeating
   * is safe.
   */
  public CompletionStage<Void> drop(String name) {
    ImageExport export = serving.remove(name);
    CompletionStage<Void> idle =
        export == null ? CompletableFuture.completedStage(null) : export.shutDown();
    return idle.thenRunAsync(
        () -> {
          try {
            if (export != null && export.overlay().isPresent()) {
              export.overlay().get().abandon();
            }
            LocalFiles.deleteTree(overlayDirectory(name));
          } catch (IOException e) {
            throw failed("cannot delete the overlay of image '" + name + "'", e);
          }
        },
        disk);
  }

  /** Deletes what is left of images that are not in the set. Blocks. */
  public void deleteOverlaysExcept(Set<String> names) throws IOException {
    List<Path> orphans = new ArrayList<>();
    try (DirectoryStream<Path> found = Files.newDirectoryStream(directory)) {
      for (Path path : found) {
        String name = path.getFileName().toString();
        if (!names.contains(name) && !serving.containsKey(name)) {
          orphans.add(path);
        }
      }
    }
    for (Path orphan : orphans) {
      LOG.info("deleting {}, left by an image that was closed", orphan);
      LocalFiles.deleteTree(orphan);
    }
  }

  /** Stops serving; overlays are flushed and kept for the next start. Blocks. */
  @Override
  public void close() throws IOException {
    List<ImageExport> open = List.copyOf(serving.values());
    serving.clear();
    IOException failure = null;
    for (ImageExport export : open) {
      try {
        export.shutDown().toCompletableFuture().get(STOP_SECONDS_MAX, TimeUnit.SECONDS);
        if (export.overlay().isPresent()) {
          export.overlay().get().close();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        failure = add(failure, new IOException("interrupted while stopping", e));
      } catch (java.util.concurrent.TimeoutException
          | java.util.concurrent.ExecutionException
          | IOException e) {
        failure = add(failure, new IOException("image " + export.info().name() + ": " + e, e));
      }
    }
    disk.shutdown();
    if (failure != null) {
      throw failure;
    }
  }

  private static IOException add(IOException first, IOException next) {
    if (first == null) {
      return next;
    }
    first.addSuppressed(next);
    return first;
  }

  private final class Exports implements NbdExports {
    @Override
    public Optional<NbdExport> find(String name) {
      return Optional.ofNullable(serving.get(name));
    }

    @Override
    public List<NbdExportInfo> list() {
      return serving.values().stream().map(ImageExport::info).toList();
    }
  }
}
