package io.tidemark.overlay;

import io.tidemark.localfile.LocalFiles;
import io.tidemark.position.ByteRange;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.function.Supplier;

/**
 * The changes of one writable image, over a base that never changes. Any number of calls may be
 * under way; file I/O happens on the given executor. Stages fail with an {@link
 * UncheckedIOException} for a local disk that failed and with what the base failed with.
 */
public final class Overlay {
  public static final int BLOCK_BYTES_MIN = 4 * 1024;
  public static final int BLOCK_BYTES_MAX = 64 * 1024;
  static final long BLOCKS_WANTED_MAX = 1L << 26;
  static final String DATA_FILE = "overlay.data";
  static final String MAP_FILE = "overlay.map";
  private static final int ZEROES_BYTES = 1 << 20;

  /** Reads the recovery point beneath. */
  @FunctionalInterface
  public interface Base {
    CompletionStage<ByteBuffer> read(long offset, int length);
  }

  /** A run of bytes of equal state. */
  public record Run(ByteRange range, BlockState state) {}

  private final long sizeBytes;
  private final int blockBytes;
  private final Base base;
  private final Executor io;
  private final FileChannel data;
  private final OverlayLog log;
  private final BlockMap map;
  private final RangeLocks locks = new RangeLocks();
  private final List<CompletableFuture<Void>> flushWaiters = new ArrayList<>();
  private boolean flushing;
  private volatile IOException broken;

  private Overlay(
      OverlayBase identity,
      Base base,
      Executor io,
      FileChannel data,
      OverlayLog log,
      BlockMap map) {
    this.sizeBytes = identity.sizeBytes();
    this.blockBytes = blockBytes(identity.sizeBytes());
    this.base = base;
    this.io = io;
    this.data = data;
    this.log = log;
    this.map = map;
  }

  /** As small as O5 allows. */
  static int blockBytes(long sizeBytes) {
    long bytes = BLOCK_BYTES_MIN;
    while (bytes < BLOCK_BYTES_MAX && sizeBytes / bytes > BLOCKS_WANTED_MAX) {
      bytes *= 2;
    }
    return (int) bytes;
  }

  /**
   * Opens the overlay in the directory, or creates an empty one where there is none. Blocks.
   *
   * @param mustExist refuse rather than create: clients were given it before
   * @throws Refusal {@code CORRUPT} when the files are damaged, of another image or missing
   */
  public static Overlay open(
      Path directory, OverlayBase identity, boolean mustExist, Base base, Executor io)
      throws IOException {
    int blockBytes = blockBytes(identity.sizeBytes());
    BlockMap map = new BlockMap((identity.sizeBytes() + blockBytes - 1) / blockBytes);
    Path dataFile = directory.resolve(DATA_FILE);
    Path mapFile = directory.resolve(MAP_FILE);
    boolean exists = Files.exists(mapFile);
    if (!exists && mustExist) {
      throw new Refusal(
          ErrorCode.CORRUPT,
          "the overlay's block map " + mapFile + " is missing; close the image and open it anew");
    }
    if (!exists) {
      createData(directory, dataFile, identity.sizeBytes());
    }
    if (!Files.exists(dataFile) || Files.size(dataFile) != identity.sizeBytes()) {
      throw new Refusal(
          ErrorCode.CORRUPT,
          "the overlay's data file "
              + dataFile
              + " is missing or not as large as the volume; close the image and open it anew");
    }
    OverlayLog log =
        exists
            ? OverlayLog.open(mapFile, identity, blockBytes, map)
            : OverlayLog.create(mapFile, identity, blockBytes);
    FileChannel data =
        FileChannel.open(dataFile, StandardOpenOption.READ, StandardOpenOption.WRITE);
    return new Overlay(identity, base, io, data, log, map);
  }

  private static void createData(Path directory, Path file, long sizeBytes) throws IOException {
    Files.createDirectories(directory);
    try (FileChannel channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.SPARSE,
            StandardOpenOption.WRITE)) {
      LocalFiles.writeFully(channel, ByteBuffer.allocate(1), sizeBytes - 1);
      channel.force(true);
    }
    LocalFiles.syncDirectory(directory);
    Path parent = directory.toAbsolutePath().getParent();
    LocalFiles.syncDirectory(parent);
  }

  /** Bytes in blocks that are in the overlay. */
  public long dataBytes() {
    return map.dataBlocks() * blockBytes;
  }

  /** The range cut into runs of equal state, in order. */
  public List<Run> runs(ByteRange range) {
    List<Run> runs = new ArrayList<>();
    if (range.length() == 0) {
      return runs;
    }
    long first = range.offset() / blockBytes;
    long last = (range.end() - 1) / blockBytes;
    map.runs(
        first,
        last - first + 1,
        (block, count, state) -> {
          long from = Math.max(range.offset(), block * blockBytes);
          long to = Math.min(range.end(), (block + count) * blockBytes);
          runs.add(new Run(new ByteRange(from, to - from), state));
        });
    return runs;
  }

  /** Fills the buffer, from its position to its limit, with the content from the offset on. */
  public CompletionStage<Void> read(ByteBuffer into, long offset) {
    List<CompletableFuture<?>> parts = new ArrayList<>();
    for (Run run : runs(new ByteRange(offset, into.remaining()))) {
      ByteBuffer slice =
          into.slice(
              into.position() + (int) (run.range().offset() - offset), (int) run.range().length());
      parts.add(
          switch (run.state()) {
            case BASE ->
                base.read(run.range().offset(), (int) run.range().length())
                    .thenAccept(slice::put)
                    .toCompletableFuture();
            case DATA -> onDisk(() -> readData(slice, run.range().offset()));
            case ZERO -> onDisk(() -> putZeroes(slice));
          });
    }
    return all(parts);
  }

  private static void putZeroes(ByteBuffer into) {
    while (into.remaining() >= Long.BYTES) {
      into.putLong(0);
    }
    while (into.hasRemaining()) {
      into.put((byte) 0);
    }
  }

  private void readData(ByteBuffer into, long offset) throws IOException {
    if (!LocalFiles.readFully(data, into, offset)) {
      throw new IOException("the overlay's data file was cut short");
    }
  }

  /**
   * Writes the pieces one after the other.
   *
   * @param pieces not moved, not to be changed until the stage completes
   */
  public CompletionStage<Void> write(long offset, List<ByteBuffer> pieces) {
    long length = pieces.stream().mapToLong(ByteBuffer::remaining).sum();
    ByteRange range = new ByteRange(offset, length);
    return length == 0
        ? CompletableFuture.completedStage(null)
        : exclusively(range, () -> writeFilled(range, at -> writePieces(at, pieces)));
  }

  private void writePieces(long offset, List<ByteBuffer> pieces) throws IOException {
    long at = offset;
    for (ByteBuffer piece : pieces) {
      LocalFiles.writeFully(data, piece.duplicate(), at);
      at += piece.remaining();
    }
  }

  private void writeZeroes(long offset, long length) throws IOException {
    ByteBuffer zeroes = ByteBuffer.allocateDirect((int) Math.min(ZEROES_BYTES, length));
    long done = 0;
    while (done < length) {
      zeroes.clear().limit((int) Math.min(zeroes.capacity(), length - done));
      LocalFiles.writeFully(data, zeroes, offset + done);
      done += zeroes.limit();
    }
  }

  /**
   * Makes a range read back as zeroes.
   *
   * @param allocate whether its space is to be taken, as for WRITE_ZEROES with NO_HOLE
   */
  public CompletionStage<Void> zero(ByteRange range, boolean allocate) {
    if (range.length() == 0) {
      return CompletableFuture.completedStage(null);
    }
    if (allocate) {
      return exclusively(range, () -> writeFilled(range, at -> writeZeroes(at, range.length())));
    }
    return exclusively(range, () -> zeroBlocks(range));
  }

  private CompletionStage<Void> zeroBlocks(ByteRange range) {
    long first = (range.offset() + blockBytes - 1) / blockBytes;
    long end = range.end() == sizeBytes ? map.blocks() : range.end() / blockBytes;
    if (first >= end) {
      return zeroEdge(range.offset(), range.end());
    }
    CompletionStage<Void> head = zeroEdge(range.offset(), first * blockBytes);
    CompletionStage<Void> tail = zeroEdge(Math.min(end * blockBytes, range.end()), range.end());
    return head.thenCombine(tail, (a, b) -> b)
        .thenRun(() -> map.set(first, end - first, BlockState.ZERO));
  }

  /** Zeroes a range that covers no whole block. */
  private CompletionStage<Void> zeroEdge(long from, long to) {
    boolean done = true;
    for (Run run : from < to ? runs(new ByteRange(from, to - from)) : List.<Run>of()) {
      done &= run.state() == BlockState.ZERO;
    }
    return done
        ? CompletableFuture.completedStage(null)
        : writeFilled(new ByteRange(from, to - from), at -> writeZeroes(at, to - from));
  }

  private interface DiskWrite {
    void at(long offset) throws IOException;
  }

  /** Writes into the data file, fills up the blocks at both ends, and marks all as DATA. */
  private CompletionStage<Void> writeFilled(ByteRange range, DiskWrite write) {
    long first = range.offset() / blockBytes;
    long last = (range.end() - 1) / blockBytes;
    long start = first * blockBytes;
    long end = Math.min((last + 1) * blockBytes, sizeBytes);
    CompletableFuture<ByteBuffer> head =
        range.offset() > start ? fill(first) : CompletableFuture.completedFuture(null);
    CompletableFuture<ByteBuffer> tail =
        range.end() == end
            ? CompletableFuture.completedFuture(null)
            : last == first && range.offset() > start ? head : fill(last);
    return head.thenCombine(tail, (a, b) -> b)
        .thenCompose(
            both ->
                onDisk(
                    () -> {
                      write.at(range.offset());
                      ByteBuffer before = head.join();
                      if (before != null) {
                        int length = (int) (range.offset() - start);
                        LocalFiles.writeFully(data, before.slice(0, length), start);
                      }
                      if (both != null) {
                        int from = (int) (range.end() - last * blockBytes);
                        LocalFiles.writeFully(
                            data, both.slice(from, both.limit() - from), range.end());
                      }
                      map.set(first, last - first + 1, BlockState.DATA);
                    }));
  }

  /** The content that a block must be filled up with; null when it is in the data file already. */
  private CompletableFuture<ByteBuffer> fill(long block) {
    long offset = block * blockBytes;
    int length = (int) Math.min(blockBytes, sizeBytes - offset);
    return switch (map.get(block)) {
      case DATA -> CompletableFuture.completedFuture(null);
      case ZERO -> CompletableFuture.completedFuture(ByteBuffer.allocate(length));
      case BASE -> base.read(offset, length).toCompletableFuture().thenApply(ByteBuffer::slice);
    };
  }

  /**
   * Makes every change that has completed durable (O1). Flushes that wait for a running one are
   * carried out as one.
   */
  public CompletionStage<Void> flush() {
    CompletableFuture<Void> done = new CompletableFuture<>();
    synchronized (flushWaiters) {
      flushWaiters.add(done);
      if (flushing) {
        return done;
      }
      flushing = true;
    }
    io.execute(this::flushWaiting);
    return done;
  }

  private void flushWaiting() {
    while (true) {
      List<CompletableFuture<Void>> batch;
      synchronized (flushWaiters) {
        if (flushWaiters.isEmpty()) {
          flushing = false;
          return;
        }
        batch = List.copyOf(flushWaiters);
        flushWaiters.clear();
      }
      try {
        flushNow();
        batch.forEach(waiter -> waiter.complete(null));
      } catch (IOException e) {
        batch.forEach(waiter -> waiter.completeExceptionally(new UncheckedIOException(e)));
      } catch (RuntimeException | Error e) {
        batch.forEach(waiter -> waiter.completeExceptionally(e));
      }
    }
  }

  private void flushNow() throws IOException {
    refuseIfBroken();
    boolean rewrite = log.wantsRewrite();
    OverlayLog.Batch batch =
        rewrite ? OverlayLog.Batch.everything(map) : OverlayLog.Batch.changes(map);
    try {
      data.force(false); // O2: every block of the batch was written before it was marked
    } catch (IOException e) {
      // The kernel reports a lost page once and then forgets it: nothing after this can be trusted.
      broken = e;
      throw e;
    }
    try {
      if (rewrite) {
        log.rewrite(batch);
      } else {
        log.append(batch);
      }
    } catch (IOException e) {
      map.markChanged(batch.pages());
      if (!LocalFiles.diskFull(e)) {
        broken = e;
      }
      throw e;
    }
  }

  private void refuseIfBroken() throws IOException {
    IOException cause = broken;
    if (cause != null) {
      throw new IOException("the overlay failed before: " + cause.getMessage(), cause);
    }
  }

  /** Flushes and closes the files; no call may be under way. Blocks. */
  public void close() throws IOException {
    try {
      flushNow();
    } finally {
      abandon();
    }
  }

  /** Closes the files as they are; no call may be under way. Blocks. */
  public void abandon() throws IOException {
    try {
      log.close();
    } finally {
      data.close();
    }
  }

  private CompletionStage<Void> exclusively(
      ByteRange range, Supplier<CompletionStage<Void>> change) {
    long start = range.offset() / blockBytes * blockBytes;
    long end = (range.end() + blockBytes - 1) / blockBytes * blockBytes;
    return locks
        .acquire(new ByteRange(start, end - start))
        .thenComposeAsync(
            held -> {
              CompletionStage<Void> changed;
              try {
                refuseIfBroken();
                changed = change.get();
              } catch (IOException e) {
                changed = CompletableFuture.failedStage(new UncheckedIOException(e));
              } catch (RuntimeException | Error e) {
                changed = CompletableFuture.failedStage(e);
              }
              return changed.whenComplete((done, failure) -> held.release());
            },
            io);
  }

  private interface DiskWork {
    void run() throws IOException;
  }

  private CompletableFuture<Void> onDisk(DiskWork work) {
    return CompletableFuture.runAsync(
        () -> {
          try {
            work.run();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        },
        io);
  }

  private static CompletionStage<Void> all(List<CompletableFuture<?>> parts) {
    return CompletableFuture.allOf(parts.toArray(CompletableFuture[]::new));
  }
}
