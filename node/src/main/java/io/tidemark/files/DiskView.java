package io.tidemark.files;

import io.tidemark.filesystem.DiskLayout;
import io.tidemark.filesystem.FilePath;
import io.tidemark.filesystem.FileSystem;
import io.tidemark.filesystem.Partition;
import io.tidemark.imageserver.LiveContent;
import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.sandbox.Sandbox;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/** A disk at one point, ready for tools: its sandbox, partitions, file systems. */
final class DiskView implements AutoCloseable {
  /** Partitions of one disk whose files can be read at the same time (V4). */
  static final int PARTITIONS_OPEN_MAX = 8;

  private static final long READ_SECONDS_MAX = 60;

  private final VolumeName volume;
  private final PointReader base;
  private final LiveContent content;
  private final Path hidden;
  private final Path directory;
  private final Function<String, String> uris;
  private final String export;
  private final boolean replayXfs;
  private final Sandbox disk;
  private final List<Partition> partitions;
  private final List<Sandbox> others = new ArrayList<>();
  private final Map<Integer, FileSystem> fileSystems = new TreeMap<>();

  /**
   * Opens the sandbox and reads the layout; blocks.
   *
   * @param hidden the node's data, not to be seen by tools
   * @param directory its own, below which sandboxes have theirs
   * @param uris the NBD URI of an export
   */
  DiskView(
      VolumeName volume,
      PointReader base,
      LiveContent content,
      Path hidden,
      Path directory,
      Function<String, String> uris,
      String export,
      boolean replayXfs)
      throws IOException {
    this.volume = volume;
    this.base = base;
    this.content = content;
    this.hidden = hidden;
    this.directory = directory;
    this.uris = uris;
    this.export = export;
    this.replayXfs = replayXfs;
    this.disk = Sandbox.open(hidden, directory.resolve("disk"), uris.apply(export));
    try {
      this.partitions = DiskLayout.read(disk, base.sizeBytes());
    } catch (IOException | RuntimeException e) {
      disk.close();
      throw e;
    }
  }

  /** Also its export's name. */
  String name() {
    return export;
  }

  VolumeName volume() {
    return volume;
  }

  RecoveryPoint point() {
    return base.point();
  }

  PointReader base() {
    return base;
  }

  List<Partition> partitions() {
    return partitions;
  }

  /** Whether its tools still have their disk. */
  synchronized boolean alive() {
    return disk.alive() && others.stream().allMatch(Sandbox::alive);
  }

  /**
   * The file system that a question is about; empty when there are several to choose from and the
   * question is about the root of them all.
   */
  Optional<FileSystem> fileSystem(OptionalInt number, FilePath path) throws IOException {
    if (number.isPresent()) {
      return Optional.of(open(byNumber(number.getAsInt())));
    }
    List<Partition> readable = partitions.stream().filter(Partition::readable).toList();
    if (readable.size() == 1) {
      return Optional.of(open(readable.get(0)));
    }
    if (partitions.size() == 1) {
      return Optional.of(open(partitions.get(0)));
    }
    if (path.equals(FilePath.ROOT)) {
      return Optional.empty();
    }
    throw new Refusal(
        ErrorCode.INVALID,
        "the disk has several partitions: say in which one the path is, "
            + partitions.stream()
                .map(p -> p.number() + (p.type().isEmpty() ? "" : " (" + p.type() + ")"))
                .toList());
  }

  private Partition byNumber(int number) {
    return partitions.stream()
        .filter(partition -> partition.number() == number)
        .findFirst()
        .orElseThrow(
            () ->
                new Refusal(
                    ErrorCode.NOT_FOUND,
                    "there is no partition "
                        + number
                        + ": the disk has "
                        + partitions.stream().map(Partition::number).toList()
                        + (partitions.size() == 1 && partitions.get(0).number() == 0
                            ? ", it has no partition table"
                            : "")));
  }

  private synchronized FileSystem open(Partition partition) throws IOException {
    FileSystem known = fileSystems.get(partition.number());
    if (known != null) {
      return known;
    }
    FileSystem.requireReadable(partition);
    Sandbox sandbox = partition.number() == 0 ? disk : sandbox(partition);
    try {
      FileSystem opened =
          FileSystem.open(
              sandbox,
              partition,
              (offset, length) -> bytes(await(read(partition, offset, length))),
              replayXfs);
      fileSystems.put(partition.number(), opened);
      if (sandbox != disk) {
        others.add(sandbox);
      }
      return opened;
    } finally {
      if (sandbox != disk && !others.contains(sandbox)) {
        sandbox.close();
      }
    }
  }

  private Sandbox sandbox(Partition partition) throws IOException {
    if (others.size() >= PARTITIONS_OPEN_MAX) {
      throw new Refusal(
          ErrorCode.LIMIT,
          "files of "
              + PARTITIONS_OPEN_MAX
              + " partitions of this disk are being read, the most at once; try again in a minute");
    }
    return Sandbox.open(
        hidden,
        directory.resolve("partition-" + partition.number()),
        uris.apply(PartitionExports.name(export, partition.offset(), partition.length())));
  }

  /** Bytes of a partition. */
  CompletionStage<ByteBuffer> read(Partition partition, long offset, int length) {
    if (offset < 0 || offset > partition.length() - length) {
      throw new Refusal(
          ErrorCode.UNREADABLE,
          "the file system is damaged: it says that a file lies past the file system's end");
    }
    return content.read(partition.offset() + offset, length);
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    return bytes;
  }

  static <T> T await(CompletionStage<T> stage) throws IOException {
    try {
      return stage.toCompletableFuture().get(READ_SECONDS_MAX, TimeUnit.SECONDS);
    } catch (ExecutionException | CompletionException e) {
      Throwable cause = e;
      while (cause.getCause() != null && !(cause instanceof Refusal)) {
        cause = cause.getCause();
      }
      if (cause instanceof Refusal refusal) {
        throw refusal;
      }
      throw new IOException("cannot read the image", e);
    } catch (TimeoutException e) {
      throw new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the journal did not answer in time", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while reading the image", e);
    }
  }

  @Override
  public synchronized void close() {
    others.forEach(Sandbox::close);
    disk.close();
  }
}
