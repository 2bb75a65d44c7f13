package io.tidemark.export;

import io.tidemark.image.HeldPoints;
import io.tidemark.image.VolumePoints;
import io.tidemark.image.VolumePoints.Located;
import io.tidemark.job.JobControl;
import io.tidemark.job.JobRegistry;
import io.tidemark.job.JobSummary;
import io.tidemark.localfile.LocalFiles;
import io.tidemark.point.PointReader;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Export jobs of this node. A job writes to {@code FILE.part} and gives it its name when it is
 * complete and synced (E1); a small record under the node's data directory names the part, so that
 * the next start removes what a killed node has left (E2).
 */
public final class ExportJobs implements Exports, AutoCloseable {
  public static final int EXPORTS_MAX = 4;
  public static final int PATH_CHARS_MAX = 4096;
  static final String PART_SUFFIX = ".part";
  private static final String RECORD_SUFFIX = ".export";
  private static final int DISK_THREADS = 2;
  private static final Logger LOG = LoggerFactory.getLogger(ExportJobs.class);

  /** The formats that can be written. */
  private enum Format {
    RAW,
    QCOW2,
    VMDK,
    VHDX;

    DiskFileWriter writer(FileChannel file, long sizeBytes, DiskLabel label) {
      return switch (this) {
        case RAW -> new RawWriter(file, sizeBytes);
        case QCOW2 -> new Qcow2Writer(file, sizeBytes);
        case VMDK -> new VmdkWriter(file, sizeBytes, label);
        case VHDX -> new VhdxWriter(file, sizeBytes, label);
      };
    }

    static Format of(String name) {
      return switch (name) {
        case "raw" -> RAW;
        case "qcow2" -> QCOW2;
        case "vmdk" -> VMDK;
        case "vhdx" -> VHDX;
        default ->
            throw new Refusal(
                ErrorCode.INVALID,
                "the format '"
                    + Refusal.printable(name)
                    + "' cannot be written; supported are raw, qcow2, vmdk and vhdx");
      };
    }
  }

  private final Path records;
  private final JobRegistry jobs;
  private final VolumePoints points;
  private final HeldPoints held;
  private final Semaphore slots = new Semaphore(EXPORTS_MAX);
  private final ExecutorService disk;

  /**
   * Removes what a killed node has left.
   *
   * @param records a directory of its own under the node's data; created if missing
   */
  public ExportJobs(Path records, JobRegistry jobs, VolumePoints points, HeldPoints held)
      throws IOException {
    this.records = Files.createDirectories(records);
    this.jobs = jobs;
    this.points = points;
    this.held = held;
    AtomicInteger number = new AtomicInteger();
    this.disk =
        Executors.newFixedThreadPool(
            DISK_THREADS,
            work -> {
              Thread thread = new Thread(work, "export-disk-" + number.incrementAndGet());
              thread.setDaemon(true);
              return thread;
            });
    removeLeftovers();
  }

  private void removeLeftovers() throws IOException {
    try (DirectoryStream<Path> found = Files.newDirectoryStream(records, "*" + RECORD_SUFFIX)) {
      for (Path record : found) {
        Path part = Path.of(Files.readString(record));
        if (part.toString().endsWith(PART_SUFFIX) && Files.deleteIfExists(part)) {
          LOG.warn("removed {}, left by an export that the end of the node cut short", part);
        }
        Files.delete(record);
      }
    }
  }

  @Override
  public CompletionStage<JobSummary> export(ExportRequest request) {
    Format format;
    Path target;
    try {
      format = Format.of(request.format());
      target = target(request.path());
    } catch (Refusal refusal) {
      return CompletableFuture.failedStage(refusal);
    }
    return points
        .locate(request.volume(), request.at())
        .thenApply(located -> start(located, format, target));
  }

  private static Path target(String text) {
    Path path;
    try {
      if (text.length() > PATH_CHARS_MAX) {
        throw new Refusal(
            ErrorCode.INVALID, "the path is longer than " + PATH_CHARS_MAX + " characters");
      }
      path = Path.of(text).normalize();
    } catch (InvalidPathException e) {
      throw new Refusal(ErrorCode.INVALID, "'" + Refusal.printable(text) + "' is no path", e);
    }
    if (!path.isAbsolute() || path.getFileName() == null) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'"
              + Refusal.printable(text)
              + "' is no absolute path of a file; the file is written on the node's machine");
    }
    if (!Files.isDirectory(path.getParent())) {
      throw new Refusal(
          ErrorCode.INVALID,
          "there is no directory '"
              + path.getParent()
              + "' on the node's machine; create it first");
    }
    refuseExisting(path);
    return path;
  }

  private static void refuseExisting(Path path) {
    if (Files.exists(path, java.nio.file.LinkOption.NOFOLLOW_LINKS)) {
      throw new Refusal(
          ErrorCode.ALREADY_EXISTS,
          "'" + path + "' exists; remove it first or choose another name");
    }
  }

  private JobSummary start(Located located, Format format, Path target) {
    if (!slots.tryAcquire()) {
      throw new Refusal(
          ErrorCode.BUSY,
          EXPORTS_MAX + " exports are running, the most that may; wait for one to end");
    }
    String subject =
        "export of " + located.name() + " seq:" + located.point().seq() + " to " + target;
    return jobs.start(
        "export",
        subject,
        control ->
            held.open(located, holder(control))
                .thenComposeAsync(
                    reader -> run(control, reader, format, target, label(located, target)), disk)
                .whenComplete((done, failure) -> ended(located, control)));
  }

  private static String holder(JobControl control) {
    return "export:" + control.id();
  }

  private void ended(Located located, JobControl control) {
    slots.release();
    held.release(located.name(), holder(control));
  }

  /** Another id for each point and file, the same when the same export is repeated. */
  private static DiskLabel label(Located located, Path target) {
    String what = located.volume() + " " + located.point().seq() + " " + target;
    return new DiskLabel(
        target.getFileName().toString(),
        UUID.nameUUIDFromBytes(what.getBytes(StandardCharsets.UTF_8)));
  }

  private CompletionStage<Void> run(
      JobControl control, PointReader reader, Format format, Path target, DiskLabel label) {
    Path part = target.resolveSibling(target.getFileName() + PART_SUFFIX);
    Path record = records.resolve(control.id() + RECORD_SUFFIX);
    FileChannel file;
    try {
      refuseExisting(part);
      writeRecord(record, part);
      file =
          FileChannel.open(
              part,
              StandardOpenOption.CREATE_NEW,
              StandardOpenOption.SPARSE,
              StandardOpenOption.WRITE);
    } catch (FileAlreadyExistsException e) {
      deleteRecord(record);
      throw new Refusal(ErrorCode.ALREADY_EXISTS, "'" + part + "' exists; remove it first", e);
    } catch (IOException e) {
      deleteRecord(record);
      throw clear(part, e);
    }
    DiskFileWriter writer = format.writer(file, reader.sizeBytes(), label);
    return new PointCopy(reader, writer, control, disk)
        .run()
        .thenRunAsync(() -> complete(control, writer, part, target), disk)
        .handleAsync(
            (done, failure) -> {
              try {
                writer.close();
                Files.deleteIfExists(part);
                Files.deleteIfExists(record);
              } catch (IOException e) {
                LOG.warn(
                    "cannot remove {} of an export; the node's next start tries again", part, e);
              }
              if (failure != null) {
                throw new CompletionException(clear(part, failure));
              }
              return null;
            },
            disk);
  }

  private void writeRecord(Path record, Path part) throws IOException {
    try (FileChannel channel =
        FileChannel.open(record, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      LocalFiles.writeFully(channel, StandardCharsets.UTF_8.encode(part.toString()), 0);
      channel.force(true);
    }
    LocalFiles.syncDirectory(records);
  }

  private static void deleteRecord(Path record) {
    try {
      Files.deleteIfExists(record);
    } catch (IOException e) {
      LOG.warn("cannot delete {}; the node's next start tries again", record, e);
    }
  }

  private static void complete(JobControl control, DiskFileWriter writer, Path part, Path target) {
    try {
      if (control.cancelled()) {
        throw new CancellationException();
      }
      writer.finish();
      // A link, unlike a rename, never replaces a file that somebody created meanwhile.
      try {
        Files.createLink(target, part);
      } catch (FileAlreadyExistsException e) {
        throw new Refusal(
            ErrorCode.ALREADY_EXISTS, "'" + target + "' was created meanwhile by another", e);
      } catch (UnsupportedOperationException | IOException e) {
        LOG.debug("no hard link to {}", target, e);
        refuseExisting(target);
        Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
      }
      LocalFiles.syncDirectory(target.getParent());
      control.note("path", target.toString());
      control.note("fileBytes", Long.toString(Files.size(target)));
    } catch (IOException e) {
      throw clear(part, e);
    }
  }

  /** A disk error as a refusal that says which file it was. */
  private static RuntimeException clear(Path part, Throwable failure) {
    Throwable cause = failure;
    while ((cause instanceof CompletionException || cause instanceof java.io.UncheckedIOException)
        && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (LocalFiles.diskFull(cause)) {
      return new Refusal(
          ErrorCode.FAILED,
          "the disk of '" + part.getParent() + "' is full; free space there or export elsewhere",
          cause);
    }
    if (cause instanceof IOException) {
      return new Refusal(ErrorCode.FAILED, "cannot write '" + part + "': " + cause, cause);
    }
    return cause instanceof RuntimeException known ? known : new CompletionException(cause);
  }

  /** Cancels what runs and waits for it to clean up. Blocks. */
  @Override
  public void close() {
    jobs.close();
    disk.shutdown();
  }
}
