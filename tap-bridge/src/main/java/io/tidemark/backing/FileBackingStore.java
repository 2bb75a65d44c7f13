package io.tidemark.backing;

import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.position.ByteRange;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * A file, kept sparse, or a block device. Data goes through the page cache. A file on which the
 * operating system cannot punch holes or zero ranges has zeroes written instead.
 */
public final class FileBackingStore implements BackingStore {
  private static final int ZEROES_BYTES = 256 << 10;

  /** Holes of a block device begin and end at a multiple of its largest usual sector. */
  private static final long SECTOR_BYTES = 4096;

  private static final ByteBuffer ZEROES =
      ByteBuffer.allocateDirect(ZEROES_BYTES).asReadOnlyBuffer();

  private final Path path;
  private final FileChannel channel;
  private final LinuxFile file;
  private final boolean regular;
  private final long sizeBytes;

  // What fallocate was found not to support here; only ever turns false.
  private volatile boolean punches = true;
  private volatile boolean zeroesRanges = true;

  /** Of the first sync that failed; null while none did. */
  private volatile BackingException lost;

  private FileBackingStore(Path path, FileChannel channel, LinuxFile file, long sizeBytes) {
    this.path = path;
    this.channel = channel;
    this.file = file;
    this.regular = Files.isRegularFile(path);
    this.sizeBytes = sizeBytes;
  }

  /**
   * Opens a file or block device that is there.
   *
   * @param minBytes the size of the volume that it is to hold
   * @throws Refusal NOT_FOUND when there is no such file, INVALID when it is neither file nor block
   *     device or too small, FAILED when it cannot be opened
   */
  public static FileBackingStore open(Path path, long minBytes, boolean readOnly) {
    if (!Files.exists(path)) {
      throw new Refusal(
          ErrorCode.NOT_FOUND, "no backing store at " + path + "; create it or name another");
    }
    if (Files.isDirectory(path)) {
      throw new Refusal(ErrorCode.INVALID, path + " is a directory; name a file or block device");
    }
    FileBackingStore store = open(path, readOnly);
    if (store.sizeBytes < minBytes) {
      store.closeQuietly();
      throw new Refusal(
          ErrorCode.INVALID,
          path
              + " holds "
              + store.sizeBytes
              + " bytes, the volume needs "
              + minBytes
              + "; enlarge it or create a smaller volume");
    }
    return store;
  }

  private static FileBackingStore open(Path path, boolean readOnly) {
    try {
      LinuxFile file = new LinuxFile(path.toString(), readOnly);
      try {
        Set<StandardOpenOption> options =
            readOnly
                ? Set.of(StandardOpenOption.READ)
                : Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE);
        FileChannel channel = FileChannel.open(path, options);
        return new FileBackingStore(path, channel, file, file.size());
      } catch (IOException e) {
        file.close();
        throw e;
      }
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.FAILED,
          "cannot open the backing store " + path + ": " + e.getMessage() + "; check its rights",
          e);
    }
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public void read(ByteBuffer into, long offset) throws IOException {
    long at = offset;
    try {
      while (into.hasRemaining()) {
        int n = channel.read(into, at);
        if (n < 0) {
          throw new EOFException(path + " ends at " + at + ": it has become shorter");
        }
        at += n;
      }
    } catch (IOException e) {
      throw translated(e);
    }
  }

  @Override
  public void write(ByteBuffer from, long offset) throws IOException {
    long at = offset;
    try {
      while (from.hasRemaining()) {
        at += channel.write(from, at);
      }
    } catch (IOException e) {
      throw translated(e);
    }
  }

  @Override
  public boolean zeroesFast() {
    return punches && zeroesRanges;
  }

  @Override
  public void zero(ByteRange range, boolean keepAllocated) throws IOException {
    long from = range.offset();
    long to = range.end();
    if (!regular) {
      // fallocate takes whole sectors of a device: the rest is written.
      from = Math.min(to, (from + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES);
      to = Math.max(from, to / SECTOR_BYTES * SECTOR_BYTES);
      writeZeroes(range.offset(), from);
      writeZeroes(to, range.end());
    }
    if (to > from && !allocate(from, to - from, keepAllocated)) {
      writeZeroes(from, to);
    }
  }

  private boolean allocate(long offset, long length, boolean keepAllocated) throws IOException {
    if (!keepAllocated && punches) {
      if (file.allocate(LinuxFile.PUNCH_HOLE | LinuxFile.KEEP_SIZE, offset, length)) {
        return true;
      }
      punches = false;
    }
    if (zeroesRanges) {
      if (file.allocate(LinuxFile.ZERO_RANGE | LinuxFile.KEEP_SIZE, offset, length)) {
        return true;
      }
      zeroesRanges = false;
    }
    return false;
  }

  private void writeZeroes(long from, long to) throws IOException {
    ByteBuffer zeroes = ZEROES.duplicate();
    for (long at = from; at < to; at += zeroes.limit()) {
      zeroes.clear().limit((int) Math.min(zeroes.capacity(), to - at));
      write(zeroes, at);
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>Fails for good once it has failed (B5): Linux tells of lost pages once and takes them for
   * written afterwards.
   */
  @Override
  public void sync() throws IOException {
    BackingException before = lost;
    if (before != null) {
      throw new BackingException(
          before.error(),
          "an earlier sync failed, so what was written since the one before may be lost: repair"
              + " the backing store, then restart the tap, which compares ("
              + before.getMessage()
              + ")",
          before);
    }
    try {
      channel.force(false);
    } catch (IOException e) {
      lost = translated(e);
      throw lost;
    }
  }

  @Override
  public void prefetch(ByteRange range) {
    file.willNeed(range.offset(), range.length());
  }

  @Override
  public List<Allocation> allocation(ByteRange range, int runsMax) throws IOException {
    if (!regular) {
      return List.of(new Allocation(range.length(), false, false));
    }
    List<Allocation> runs = new ArrayList<>();
    long at = range.offset();
    while (at < range.end() && runs.size() < runsMax) {
      long data = file.data(at, range.end());
      if (data > at) {
        runs.add(new Allocation(data - at, true, true));
        at = data;
      } else {
        long hole = Math.max(at + 1, file.hole(at, range.end()));
        runs.add(new Allocation(hole - at, false, false));
        at = hole;
      }
    }
    return runs;
  }

  @Override
  public void close() throws IOException {
    try {
      channel.close();
    } finally {
      file.close();
    }
  }

  private void closeQuietly() {
    try {
      close();
    } catch (IOException e) {
      throw new Refusal(ErrorCode.FAILED, "cannot close " + path + ": " + e.getMessage(), e);
    }
  }

  /** Java gives the operating system's error as text only; its C locale texts are stable. */
  private BackingException translated(IOException e) {
    String text = String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT);
    boolean full =
        text.contains("no space left")
            || text.contains("quota exceeded")
            || text.contains("file too large");
    NbdError error = full ? NbdError.ENOSPC : NbdError.EIO;
    return new BackingException(error, path.getFileName() + ": " + e.getMessage(), e);
  }
}
