package io.tidemark.files;

import akka.actor.typed.ActorSystem;
import io.tidemark.filesystem.FileEntry;
import io.tidemark.filesystem.FileExtent;
import io.tidemark.filesystem.FilePath;
import io.tidemark.filesystem.FileSystem;
import io.tidemark.filesystem.FileType;
import io.tidemark.image.HeldPoints;
import io.tidemark.image.ImageSummary;
import io.tidemark.image.Images;
import io.tidemark.image.VolumePoints;
import io.tidemark.imageserver.ImageServer;
import io.tidemark.imageserver.LiveContent;
import io.tidemark.point.PointReader;
import io.tidemark.position.At;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Files of the site's volumes, read on this node. */
public final class SiteFiles implements VolumeFiles, AutoCloseable {
  /** Requests at work and waiting (V4). */
  static final int WORKERS = 8;

  static final int WAITING_MAX = 64;

  /** Contents under way (V4). */
  static final int CONTENTS_MAX = 32;

  /** Histories under way: they are long, and others want to browse meanwhile (V4). */
  static final int HISTORIES_MAX = 2;

  /** Extents of all contents under way, for they are kept in memory (V4). */
  static final long EXTENTS_MAX = 1_000_000;

  private static final long THREAD_IDLE_SECONDS = 30;
  private static final long END_SECONDS = 10;

  private static final Logger LOG = LoggerFactory.getLogger(SiteFiles.class);

  private final ActorSystem<?> system;
  private final VolumePoints points;
  private final HeldPoints held;
  private final Images images;
  private final ImageServer served;
  private final String node;
  private final DiskViews views;
  private final ThreadPoolExecutor workers;
  private final AtomicInteger contents = new AtomicInteger();
  private final AtomicLong extents = new AtomicLong();
  private final Semaphore histories = new Semaphore(HISTORIES_MAX);

  /**
   * @param directory for what reading takes, emptied at once
   * @param served images of this node
   * @param node this node's name
   * @param replayXfs whether the kernel may mount an xfs, unseen, to replay its log
   */
  public SiteFiles(
      ActorSystem<?> system,
      VolumePoints points,
      HeldPoints held,
      Images images,
      ImageServer served,
      String node,
      Path directory,
      MicroClock clock,
      boolean replayXfs)
      throws IOException {
    this.system = system;
    this.points = points;
    this.held = held;
    this.images = images;
    this.served = served;
    this.node = node;
    this.views = new DiskViews(directory, points, clock, replayXfs);
    AtomicInteger number = new AtomicInteger();
    this.workers =
        new ThreadPoolExecutor(
            WORKERS,
            WORKERS,
            THREAD_IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(WAITING_MAX),
            work -> {
              Thread thread = new Thread(work, "files-" + number.incrementAndGet());
              thread.setDaemon(true);
              return thread;
            });
    workers.allowCoreThreadTimeOut(true);
  }

  private <T> CompletionStage<T> blocking(Callable<T> work) {
    CompletableFuture<T> done = new CompletableFuture<>();
    try {
      workers.execute(
          () -> {
            try {
              done.complete(work.call());
            } catch (Exception e) {
              done.completeExceptionally(e);
            }
          });
    } catch (RejectedExecutionException e) {
      done.completeExceptionally(
          new Refusal(
              ErrorCode.LIMIT,
              WAITING_MAX + " requests for files wait already; try again later",
              e));
    }
    return done;
  }

  @Override
  public CompletionStage<FileListing> list(
      FileQuestion question, Optional<String> after, int limit) {
    return blocking(
        () -> {
          try (DiskViews.Lease lease = lease(question.source())) {
            return list(lease.view(), question, after, limit);
          }
        });
  }

  private static FileListing list(
      DiskView view, FileQuestion question, Optional<String> after, int limit) throws IOException {
    Optional<FileSystem> chosen = view.fileSystem(question.partition(), question.path());
    Optional<FileListing.Found> found = Optional.empty();
    if (chosen.isPresent()) {
      FileSystem fileSystem = chosen.get();
      FileEntry entry = fileSystem.find(question.path());
      FileSystem.Page page =
          entry.type() == FileType.DIRECTORY
              ? fileSystem.list(entry, after, limit)
              : new FileSystem.Page(List.of(), false);
      found =
          Optional.of(
              new FileListing.Found(
                  fileSystem.partition(),
                  fileSystem.journal(),
                  entry,
                  page.entries(),
                  page.more()));
    }
    return new FileListing(view.volume(), view.point(), view.partitions(), found);
  }

  @Override
  public CompletionStage<FileContent> content(FileQuestion question) {
    return this.<FileContent>blocking(() -> open(question));
  }

  private ContentSource open(FileQuestion question) throws IOException {
    if (contents.incrementAndGet() > CONTENTS_MAX) {
      contents.decrementAndGet();
      throw new Refusal(
          ErrorCode.LIMIT,
          CONTENTS_MAX + " files are being fetched, the most at once; try again later");
    }
    DiskViews.Lease lease = null;
    try {
      lease = lease(question.source());
      return source(lease, question);
    } catch (IOException | RuntimeException e) {
      contents.decrementAndGet();
      if (lease != null) {
        lease.close();
      }
      throw e;
    }
  }

  private ContentSource source(DiskViews.Lease lease, FileQuestion question) throws IOException {
    DiskView view = lease.view();
    Optional<FileSystem> fileSystem = view.fileSystem(question.partition(), question.path());
    if (fileSystem.isEmpty()) {
      throw new Refusal(ErrorCode.INVALID, "say which partition and which file in it");
    }
    FileEntry entry = fileSystem.get().find(question.path());
    if (entry.type() != FileType.FILE) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'"
              + Refusal.printable(question.path().shown())
              + "' is no file but a "
              + entry.type().word()
              + (entry.type() == FileType.DIRECTORY ? ": list it, and name a file in it" : ""));
    }
    Optional<List<FileExtent>> where = fileSystem.get().extents(entry);
    int held = where.map(List::size).orElse(0);
    if (extents.addAndGet(held) > EXTENTS_MAX) {
      extents.addAndGet(-held);
      throw new Refusal(
          ErrorCode.LIMIT,
          "the files that are being fetched lie in more than "
              + EXTENTS_MAX
              + " places, the most at once; try again later");
    }
    AtomicBoolean ended = new AtomicBoolean();
    return new ContentSource(
        view,
        fileSystem.get(),
        entry,
        where,
        () -> {
          if (ended.compareAndSet(false, true)) {
            contents.decrementAndGet();
            extents.addAndGet(-held);
            lease.close();
          }
        });
  }

  // Where the files are

  private DiskViews.Lease lease(FileSource source) throws IOException {
    if (source instanceof FileSource.Point point) {
      return lease(DiskView.await(points.locate(point.volume(), point.at())));
    }
    return lease(DiskView.await(images.get(((FileSource.Image) source).name())));
  }

  private DiskViews.Lease lease(VolumePoints.Located located) throws IOException {
    return views.lease(
        "point " + located.volume() + " " + located.point().seq(),
        located.name(),
        new HeldPoint(located, "files:" + UUID.randomUUID()));
  }

  /** A point that is held while a view lies over it (J8). */
  private final class HeldPoint implements DiskViews.Base {
    private final VolumePoints.Located located;
    private final String holder;

    HeldPoint(VolumePoints.Located located, String holder) {
      this.located = located;
      this.holder = holder;
    }

    @Override
    public PointReader open() throws IOException {
      return DiskView.await(held.open(located, holder));
    }

    @Override
    public void close() {
      held.release(located.name(), holder);
    }
  }

  /** Of an image that is served here its very content; of another node's the point it shows. */
  private DiskViews.Lease lease(ImageSummary image) throws IOException {
    Optional<LiveContent> here =
        image.node().equals(node) ? served.content(image.name()) : Optional.empty();
    if (here.isPresent()) {
      if (image.writable() && image.clients() > 0) {
        throw new Refusal(
            ErrorCode.BUSY,
            "the image '"
                + image.name()
                + "' has clients that may be writing: disconnect them, or read the files of "
                + image.volume()
                + " at seq:"
                + image.at().seq());
      }
      return views.lease(
          "image " + image.name() + " " + image.opened() + " " + here.get().changes(),
          image.volume(),
          () -> new LiveReader(image.at(), here.get()));
    }
    if (image.writable()) {
      throw new Refusal(
          ErrorCode.INVALID,
          "the writable image '"
              + image.name()
              + "' is served by the node "
              + image.node()
              + ": ask that node for its files");
    }
    VolumePoints.Located located =
        DiskView.await(points.locate(image.volume(), new At.Seq(image.at().seq())));
    if (!located.point().time().equals(image.at().time())) {
      throw new Refusal(
          ErrorCode.NOT_FOUND,
          "the volume of image '" + image.name() + "' was deleted and created again");
    }
    return lease(located);
  }

  // History

  @Override
  public CompletionStage<FileHistory> history(
      VolumeName volume, OptionalInt partition, FilePath path, List<At> ats, boolean hash) {
    if (ats.isEmpty() || ats.size() > HISTORY_POINTS_MAX) {
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.LIMIT,
              "a history looks at 1 to " + HISTORY_POINTS_MAX + " points, not " + ats.size()));
    }
    if (!histories.tryAcquire()) {
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.LIMIT,
              HISTORIES_MAX + " histories are being looked at, the most at once; try again later"));
    }
    CompletionStage<FileHistory> history =
        blocking(
            () ->
                new FileVersions(system, points, this::lease, volume, partition, path, hash)
                    .among(ats));
    return history.whenComplete((done, failure) -> histories.release());
  }

  /** Ends every view. Blocks. */
  @Override
  public void close() throws IOException {
    workers.shutdown();
    views.close();
    try {
      if (!workers.awaitTermination(END_SECONDS, TimeUnit.SECONDS)) {
        LOG.warn("requests for files are still at work");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
