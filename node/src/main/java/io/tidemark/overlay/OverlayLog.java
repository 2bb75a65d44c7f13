package io.tidemark.overlay;

import io.tidemark.localfile.LocalFiles;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * The stored block map of one overlay; layout and invariants in the package's page. Calls block and
 * must come one at a time.
 */
final class OverlayLog implements AutoCloseable {
  static final int HEADER_BYTES = 64;
  static final int RECORD_HEADER_BYTES = 32;
  static final int RUN_BYTES = 16;
  static final int PAYLOAD_BYTES_MAX = 64 * 1024;
  static final long FILE_BYTES_MAX = 1L << 30;

  /** A page with more runs than this is stored whole, as that is shorter. */
  static final int RUNS_PER_PAGE_MAX = 256;

  private static final long MAGIC = 0x544d_4f56_4c4d_4150L; // TMOVLMAP
  private static final int VERSION = 1;
  private static final int RECORD_MAGIC = 0x4f56_4c52; // OVLR
  private static final int KIND_RUNS = 1;
  private static final int KIND_PAGE = 2;
  private static final long REWRITE_BYTES_MIN = 1L << 20;

  private final Path file;
  private final byte[] header;
  private FileChannel channel;
  private long size;
  private long rewrittenBytes;
  private long flushes;

  private OverlayLog(Path file, byte[] header) {
    this.file = file;
    this.header = header;
  }

  /** Creates the file of an overlay without changes; it is durable when this returns. */
  static OverlayLog create(Path file, OverlayBase base, int blockBytes) throws IOException {
    OverlayLog log = new OverlayLog(file, header(base, blockBytes));
    log.rewrite(new Batch(0));
    return log;
  }

  /**
   * Reads a stored map.
   *
   * @param into receives what is stored
   * @throws Refusal {@code CORRUPT} when the file is of another image or damaged
   */
  static OverlayLog open(Path file, OverlayBase base, int blockBytes, BlockMap into)
      throws IOException {
    OverlayLog log = new OverlayLog(file, header(base, blockBytes));
    log.channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
    try {
      if (log.load(into)) {
        log.rewrite(Batch.everything(into));
      }
    } catch (IOException | RuntimeException e) {
      log.channel.close();
      throw e;
    }
    return log;
  }

  private static byte[] header(OverlayBase base, int blockBytes) {
    ByteBuffer out = ByteBuffer.allocate(HEADER_BYTES);
    out.putLong(MAGIC).putInt(VERSION).putInt(blockBytes).putLong(base.sizeBytes());
    out.putLong(base.volume().value().getMostSignificantBits());
    out.putLong(base.volume().value().getLeastSignificantBits());
    out.putLong(base.seq().value());
    CRC32C crc = new CRC32C();
    crc.update(out.array(), 0, out.position());
    out.putInt((int) crc.getValue());
    return out.array();
  }

  /** Returns whether the file ends in what a crash left of an unfinished flush. */
  private boolean load(BlockMap into) throws IOException {
    size = channel.size();
    if (size < HEADER_BYTES || size > FILE_BYTES_MAX) {
      throw corrupt("has " + size + " bytes");
    }
    ByteBuffer in = channel.map(FileChannel.MapMode.READ_ONLY, 0, size);
    byte[] found = new byte[HEADER_BYTES];
    in.get(found);
    if (!java.util.Arrays.equals(found, header)) {
      throw corrupt("belongs to another image or its header is damaged");
    }
    boolean whole = true;
    while (in.hasRemaining()) {
      RecordHeader record = RecordHeader.at(in, in.position());
      if (record == null) {
        refuseIfMoreFollows(in, whole ? flushes + 1 : flushes);
        return true;
      }
      apply(in.slice(in.position() + RECORD_HEADER_BYTES, record.payload()), record.kind(), into);
      in.position(in.position() + RECORD_HEADER_BYTES + record.payload());
      flushes = record.flush();
      whole = record.part() == record.lastPart();
    }
    rewrittenBytes = HEADER_BYTES;
    return !whole;
  }

  private void refuseIfMoreFollows(ByteBuffer in, long lastFlush) {
    for (int at = in.position() + 1; at <= in.limit() - RECORD_HEADER_BYTES; at++) {
      RecordHeader record = RecordHeader.at(in, at);
      if (record != null && record.flush() > lastFlush) {
        throw corrupt("is damaged at byte " + in.position()); // O3
      }
    }
  }

  private void apply(ByteBuffer payload, int kind, BlockMap into) {
    try {
      if (kind == KIND_PAGE) {
        int page = payload.getInt();
        payload.getInt();
        long[] data = new long[BlockMap.PAGE_WORDS];
        long[] zero = new long[BlockMap.PAGE_WORDS];
        payload.asLongBuffer().get(data).get(zero);
        into.restorePage(page, data, zero);
      } else {
        while (payload.hasRemaining()) {
          long first = payload.getLong();
          into.restore(first, payload.getInt(), BlockState.of(payload.getInt()));
        }
      }
    } catch (IllegalArgumentException e) {
      throw corrupt("holds " + e.getMessage());
    }
  }

  private Refusal corrupt(String what) {
    return new Refusal(
        ErrorCode.CORRUPT,
        "the overlay's block map " + file + " " + what + "; close the image and open it anew");
  }

  /** Stores a batch durably; on failure the file is as it was before. */
  void append(Batch batch) throws IOException {
    if (batch.isEmpty()) {
      return;
    }
    try {
      long end = write(channel, size, batch, flushes + 1);
      channel.force(false);
      size = end;
      flushes++;
    } catch (IOException e) {
      channel.truncate(size);
      throw e;
    }
  }

  /** Whether the log has grown so far that {@link #rewrite} should replace the next append. */
  boolean wantsRewrite() {
    return size > REWRITE_BYTES_MIN + 2 * rewrittenBytes;
  }

  /** Replaces the file by one that holds only the batch, durably. */
  void rewrite(Batch everything) throws IOException {
    Path fresh = file.resolveSibling(file.getFileName() + ".new");
    FileChannel next =
        FileChannel.open(
            fresh,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    try {
      LocalFiles.writeFully(next, ByteBuffer.wrap(header), 0);
      long end = write(next, HEADER_BYTES, everything, flushes + 1);
      next.force(true);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
      LocalFiles.syncDirectory(file.toAbsolutePath().getParent());
      if (channel != null) {
        channel.close();
      }
      channel = next;
      size = end;
      rewrittenBytes = end;
      flushes = everything.isEmpty() ? 0 : flushes + 1;
    } catch (IOException e) {
      next.close();
      Files.deleteIfExists(fresh);
      throw e;
    }
  }

  private static long write(FileChannel to, long position, Batch batch, long flush)
      throws IOException {
    List<Batch.Piece> pieces = batch.pieces();
    long at = position;
    for (int part = 0; part < pieces.size(); part++) {
      Batch.Piece piece = pieces.get(part);
      ByteBuffer out = ByteBuffer.allocate(RECORD_HEADER_BYTES + piece.payload().length);
      out.putInt(RECORD_MAGIC).putInt(piece.kind()).putLong(flush);
      out.putInt(part).putInt(pieces.size() - 1).putInt(piece.payload().length);
      out.putInt(RecordHeader.crc(out.array(), piece.payload()));
      out.put(piece.payload()).flip();
      LocalFiles.writeFully(to, out, at);
      at += out.limit();
    }
    return at;
  }

  long bytes() {
    return size;
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }

  private record RecordHeader(int kind, long flush, int part, int lastPart, int payload) {
    private static final int CRC_AT = RECORD_HEADER_BYTES - 4;

    /** The valid record at the position, or null when there is none. */
    static RecordHeader at(ByteBuffer in, int position) {
      if (in.limit() - position < RECORD_HEADER_BYTES || in.getInt(position) != RECORD_MAGIC) {
        return null;
      }
      int kind = in.getInt(position + 4);
      int payload = in.getInt(position + 24);
      boolean fits =
          kind == KIND_PAGE
              ? payload == 8 + 16 * BlockMap.PAGE_WORDS
              : kind == KIND_RUNS && payload % RUN_BYTES == 0;
      if (!fits
          || payload < RUN_BYTES
          || payload > PAYLOAD_BYTES_MAX
          || payload > in.limit() - position - RECORD_HEADER_BYTES) {
        return null;
      }
      CRC32C crc = new CRC32C();
      crc.update(in.slice(position, CRC_AT));
      crc.update(in.slice(position + RECORD_HEADER_BYTES, payload));
      if ((int) crc.getValue() != in.getInt(position + CRC_AT)) {
        return null;
      }
      return new RecordHeader(
          kind,
          in.getLong(position + 8),
          in.getInt(position + 16),
          in.getInt(position + 20),
          payload);
    }

    static int crc(byte[] header, byte[] payload) {
      CRC32C crc = new CRC32C();
      crc.update(header, 0, CRC_AT);
      crc.update(payload);
      return (int) crc.getValue();
    }
  }

  /** What one flush stores. */
  static final class Batch implements BlockMap.PageSink {
    record Piece(int kind, byte[] payload) {}

    private final long blocks;
    private final List<Piece> pieces = new ArrayList<>();
    private final List<Integer> pages = new ArrayList<>();
    private final ByteBuffer runs = ByteBuffer.allocate(PAYLOAD_BYTES_MAX);
    private final ByteBuffer pageRuns = ByteBuffer.allocate(RUNS_PER_PAGE_MAX * RUN_BYTES);

    Batch(long blocks) {
      this.blocks = blocks;
    }

    /** The changes since the last batch was taken. */
    static Batch changes(BlockMap map) {
      Batch batch = new Batch(map.blocks());
      map.drain(batch);
      batch.endRuns();
      return batch;
    }

    /** All there is. */
    static Batch everything(BlockMap map) {
      Batch batch = new Batch(map.blocks());
      map.drainAll((page, data, zero, dirty) -> batch.whole(page, data, zero));
      return batch;
    }

    boolean isEmpty() {
      return pieces.isEmpty();
    }

    List<Piece> pieces() {
      return pieces;
    }

    /** The pages that this batch has something of. */
    List<Integer> pages() {
      return pages;
    }

    private void whole(int page, long[] data, long[] zero) {
      ByteBuffer out = ByteBuffer.allocate(8 + 16 * BlockMap.PAGE_WORDS);
      out.putInt(page).putInt(0);
      out.asLongBuffer().put(data).put(zero);
      pieces.add(new Piece(KIND_PAGE, out.array()));
      pages.add(page);
    }

    @Override
    public void page(int page, long[] data, long[] zero, long[] dirty) {
      if (!collectRuns(page, data, zero, dirty)) {
        whole(page, data, zero);
        return;
      }
      pages.add(page);
      if (runs.remaining() < pageRuns.flip().remaining()) {
        endRuns();
      }
      runs.put(pageRuns);
    }

    private boolean collectRuns(int page, long[] data, long[] zero, long[] dirty) {
      long base = (long) page * BlockMap.PAGE_BLOCKS;
      int end = (int) Math.min(BlockMap.PAGE_BLOCKS, blocks - base);
      pageRuns.clear();
      int at = 0;
      while (at < end) {
        if ((dirty[at >>> 6] & 1L << at) == 0) {
          at = dirty[at >>> 6] == 0 ? (at | 63) + 1 : at + 1;
          continue;
        }
        int first = at;
        int state = code(data, zero, at);
        do {
          at++;
        } while (at < end && (dirty[at >>> 6] & 1L << at) != 0 && code(data, zero, at) == state);
        if (!pageRuns.hasRemaining()) {
          return false;
        }
        pageRuns.putLong(base + first).putInt(at - first).putInt(state);
      }
      return true;
    }

    private static int code(long[] data, long[] zero, int block) {
      long bit = 1L << block;
      return (data[block >>> 6] & bit) != 0
          ? BlockState.DATA.code()
          : (zero[block >>> 6] & bit) != 0 ? BlockState.ZERO.code() : BlockState.BASE.code();
    }

    private void endRuns() {
      if (runs.position() > 0) {
        pieces.add(new Piece(KIND_RUNS, java.util.Arrays.copyOf(runs.array(), runs.position())));
        runs.clear();
      }
    }
  }
}
