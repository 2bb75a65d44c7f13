package io.tidemark.files;

import akka.actor.typed.ActorSystem;
import akka.stream.javadsl.Sink;
import akka.util.ByteString;
import io.tidemark.filesystem.FileEntry;
import io.tidemark.filesystem.FileExtent;
import io.tidemark.filesystem.FilePath;
import io.tidemark.filesystem.FileSystem;
import io.tidemark.filesystem.FileType;
import io.tidemark.filesystem.Partition;
import io.tidemark.image.VolumePoints;
import io.tidemark.index.MappedExtent;
import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;

/**
 * Finds the versions of one path among points, in the order of their writes. Where the index tells
 * that nothing was written in between, the file is not looked at again.
 */
final class FileVersions {
  /** Reasons for which a point is left out, not the whole history. */
  private static final Set<ErrorCode> SKIPPED =
      Set.of(
          ErrorCode.BEYOND_HEAD,
          ErrorCode.BEYOND_HORIZON,
          ErrorCode.DARK_INTERVAL,
          ErrorCode.UNREADABLE);

  /** What the index is asked for at once, and how often for one pair of points. */
  private static final long WINDOW_BYTES = 256L << 20;

  private static final int WINDOWS_MAX = 1_024;

  /** Where a partition table may lie: at the disk's begin and end. */
  private static final long TABLE_BYTES = 1L << 20;

  /** Of a file with more extents only the metadata is compared. */
  private static final int EXTENTS_COMPARED_MAX = 1_000;

  /** How long one history may take (V4). */
  private static final Duration LIMIT = Duration.ofMinutes(30);

  /** Opens the view of a point. */
  @FunctionalInterface
  interface Views {
    DiskViews.Lease lease(VolumePoints.Located located) throws IOException;
  }

  /** How the path was found at a point. */
  private record Seen(
      RecoveryPoint point,
      Partition partition,
      Optional<FileEntry> entry,
      Optional<List<FileExtent>> extents,
      Optional<String> sha256) {}

  private final ActorSystem<?> system;
  private final VolumePoints points;
  private final Views views;
  private final VolumeName volume;
  private final OptionalInt partition;
  private final FilePath path;
  private final boolean hash;
  private final long begunNanos = System.nanoTime();

  FileVersions(
      ActorSystem<?> system,
      VolumePoints points,
      Views views,
      VolumeName volume,
      OptionalInt partition,
      FilePath path,
      boolean hash) {
    this.system = system;
    this.points = points;
    this.views = views;
    this.volume = volume;
    this.partition = partition;
    this.path = path;
    this.hash = hash;
  }

  FileHistory among(List<At> ats) throws IOException {
    List<FileHistory.Skipped> skipped = new ArrayList<>();
    Map<Long, VolumePoints.Located> located = new TreeMap<>();
    for (At at : ats) {
      try {
        VolumePoints.Located found = DiskView.await(points.locate(volume, at));
        located.put(found.point().seq().value(), found);
      } catch (Refusal e) {
        boolean unknownTag = at instanceof At.Tag && e.code() == ErrorCode.NOT_FOUND;
        skip(at.toString(), e, unknownTag, skipped);
      }
    }
    List<FileHistory.Version> versions = new ArrayList<>();
    Seen before = null;
    for (VolumePoints.Located next : located.values()) {
      if (left().isNegative()) {
        throw tooLong(null);
      }
      try {
        before = add(next, before, versions);
      } catch (Refusal e) {
        skip("seq:" + next.point().seq(), e, false, skipped);
      }
    }
    return new FileHistory(versions, located.size(), skipped);
  }

  private Duration left() {
    return LIMIT.minusNanos(System.nanoTime() - begunNanos);
  }

  private static Refusal tooLong(Throwable cause) {
    return new Refusal(
        ErrorCode.LIMIT,
        "the history takes longer than " + LIMIT.toMinutes() + " min: ask for fewer points",
        cause);
  }

  private static void skip(
      String at, Refusal why, boolean always, List<FileHistory.Skipped> skipped) {
    if (!always && !SKIPPED.contains(why.code())) {
      throw why;
    }
    skipped.add(new FileHistory.Skipped(at, why.code(), why.getMessage()));
  }

  /** Looks at a point; what was seen becomes a version or prolongs the one before. */
  private Seen add(VolumePoints.Located next, Seen before, List<FileHistory.Version> versions)
      throws IOException {
    int last = versions.size() - 1;
    RecoveryPoint point = next.point();
    PointReader reader = DiskView.await(points.open(next));
    if (before != null && !written(reader, places(before.partition(), reader), before.point())) {
      versions.set(last, versions.get(last).until(point));
      return new Seen(point, before.partition(), before.entry(), before.extents(), before.sha256());
    }
    Seen seen = look(next);
    if (before != null && same(before, seen, reader)) {
      versions.set(last, versions.get(last).until(point));
    } else {
      versions.add(new FileHistory.Version(point, point, 1, seen.entry(), seen.sha256()));
    }
    return seen;
  }

  private Seen look(VolumePoints.Located located) throws IOException {
    try (DiskViews.Lease lease = views.lease(located)) {
      DiskView view = lease.view();
      FileSystem fileSystem =
          view.fileSystem(partition, path)
              .orElseThrow(
                  () -> new Refusal(ErrorCode.INVALID, "say in which partition the path is"));
      Optional<FileEntry> entry = find(fileSystem);
      Optional<List<FileExtent>> extents = Optional.empty();
      Optional<String> sha256 = Optional.empty();
      if (entry.isPresent() && entry.get().type() == FileType.FILE) {
        extents = fileSystem.extents(entry.get());
        if (hash) {
          sha256 =
              Optional.of(
                  sha256(new ContentSource(view, fileSystem, entry.get(), extents, () -> {})));
        }
      }
      return new Seen(located.point(), fileSystem.partition(), entry, extents, sha256);
    }
  }

  private Optional<FileEntry> find(FileSystem fileSystem) throws IOException {
    try {
      return Optional.of(fileSystem.find(path));
    } catch (Refusal e) {
      if (e.code() == ErrorCode.NOT_FOUND) {
        return Optional.empty();
      }
      throw e;
    }
  }

  private String sha256(FileContent content) throws IOException {
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
    try {
      content
          .bytes(0, content.entry().size())
          .completionTimeout(left())
          .runWith(Sink.foreach((ByteString piece) -> digest.update(piece.toArrayUnsafe())), system)
          .toCompletableFuture()
          .get();
      return HexFormat.of().formatHex(digest.digest());
    } catch (ExecutionException e) {
      if (left().isNegative()) {
        throw tooLong(e);
      }
      throw new IOException("cannot read the file to its end", e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while reading the file", e);
    }
  }

  private boolean same(Seen before, Seen now, PointReader reader) throws IOException {
    if (before.entry().isEmpty() || now.entry().isEmpty()) {
      return before.entry().isEmpty() && now.entry().isEmpty();
    }
    FileEntry was = before.entry().get();
    FileEntry is = now.entry().get();
    if (was.type() != is.type() || was.size() != is.size()) {
      return false;
    }
    if (hash && is.type() == FileType.FILE) {
      return before.sha256().equals(now.sha256());
    }
    return was.inode() == is.inode()
        && was.modified().equals(is.modified())
        && was.target().equals(is.target())
        && !rewritten(before, now, reader);
  }

  /** A file can be written without a newer time, through a mapping or within the clock's tick. */
  private static boolean rewritten(Seen before, Seen now, PointReader reader) throws IOException {
    if (now.extents().isEmpty() || now.extents().get().size() > EXTENTS_COMPARED_MAX) {
      return false;
    }
    List<ByteRange> places = new ArrayList<>();
    for (FileExtent extent : now.extents().get()) {
      long from = now.partition().offset() + extent.diskOffset();
      long to = Math.min(from + extent.length(), reader.sizeBytes());
      if (from < to) {
        places.add(new ByteRange(from, to - from));
      }
    }
    return !before.extents().equals(now.extents()) || written(reader, places, before.point());
  }

  /** Everything that a file system and its partition's place depend on. */
  private static List<ByteRange> places(Partition of, PointReader reader) {
    long size = reader.sizeBytes();
    if (of.number() == 0) {
      return List.of(new ByteRange(0, size));
    }
    long table = Math.min(TABLE_BYTES, size);
    return List.of(
        new ByteRange(0, table),
        new ByteRange(of.offset(), of.length()),
        new ByteRange(size - table, table));
  }

  /** Whether anything there was written after the point; yes when it cannot be told cheaply. */
  private static boolean written(PointReader reader, List<ByteRange> places, RecoveryPoint since)
      throws IOException {
    int windows = 0;
    for (ByteRange place : places) {
      for (long at = place.offset(); at < place.end(); at += WINDOW_BYTES) {
        windows++;
        if (windows > WINDOWS_MAX) {
          return true;
        }
        ByteRange window = new ByteRange(at, Math.min(WINDOW_BYTES, place.end() - at));
        for (MappedExtent extent : DiskView.await(reader.extents(window))) {
          if (extent.seq() > since.seq().value()) {
            return true;
          }
        }
      }
    }
    return false;
  }
}
