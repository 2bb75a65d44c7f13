package io.tidemark.capture;

import io.tidemark.position.ByteRange;
import io.tidemark.segment.SegmentKind;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * Writes that found no room in memory, on local disk until they can be sent: a queue in files of
 * {@link #FILE_BYTES}, appended to at its end, read from its beginning, deleted when read. It does
 * not survive the process and is never synced: what it held is found through the activity log.
 *
 * <p>One thread appends and one thread reads, at the same time. A record is
 *
 * <pre>
 *   u32 magic | u32 CRC-32C of the rest of the header and the data
 *   u64 ordinal | u64 time | u64 offset | u64 length | u32 data bytes | u8 kind | u8 zero | u16 0
 * </pre>
 */
final class SpillFile implements AutoCloseable {
  static final long FILE_BYTES = 32L << 20;
  private static final int MAGIC = 0x54445350;
  private static final int HEADER_BYTES = 48;
  private static final String PREFIX = "spill-";
  private static final int BUFFERS_MAX = 1024;

  private record Part(Path path, FileChannel channel) {}

  private final Path directory;
  private final long bytesMax;
  private final ArrayDeque<Part> parts = new ArrayDeque<>();
  private long nextPart;
  private long writeAt;
  private long readAt;
  private long bytes;

  SpillFile(Path directory, long bytesMax) {
    this.directory = directory;
    this.bytesMax = bytesMax;
  }

  /** Deletes what an earlier process left. */
  static void deleteLeftovers(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        if (file.getFileName().toString().startsWith(PREFIX)) {
          Files.deleteIfExists(file);
        }
      }
    } catch (NoSuchFileException e) {
      return; // no directory, no leftovers
    }
  }

  static long recordBytes(Captured write) {
    return HEADER_BYTES + write.dataBytes();
  }

  /** Whether the batch still fits. */
  synchronized boolean hasRoom(long recordBytes) {
    return bytes + recordBytes <= bytesMax;
  }

  synchronized long bytes() {
    return bytes;
  }

  /** Appends all of the batch, which {@link #hasRoom} had room for. */
  void append(List<Captured> batch) throws IOException {
    int from = 0;
    while (from < batch.size()) {
      Part part = partToWrite();
      long room = Math.max(1, FILE_BYTES - writeAt);
      List<ByteBuffer> buffers = new ArrayList<>();
      long length = 0;
      int to = from;
      while (to < batch.size() && length < room && buffers.size() < BUFFERS_MAX) {
        length += encode(batch.get(to), buffers);
        to++;
      }
      writeFully(part.channel(), buffers, writeAt);
      synchronized (this) {
        writeAt += length;
        bytes += length;
      }
      from = to;
    }
  }

  private synchronized Part partToWrite() throws IOException {
    if (parts.isEmpty() || writeAt >= FILE_BYTES) {
      Path path = directory.resolve(PREFIX + nextPart++);
      parts.add(
          new Part(
              path,
              FileChannel.open(
                  path,
                  StandardOpenOption.CREATE,
                  StandardOpenOption.TRUNCATE_EXISTING,
                  StandardOpenOption.READ,
                  StandardOpenOption.WRITE)));
      writeAt = 0;
      if (parts.size() == 1) {
        readAt = 0;
      }
    }
    return parts.getLast();
  }

  private static long encode(Captured write, List<ByteBuffer> out) {
    ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES);
    header.putInt(MAGIC).putInt(0).putLong(write.ordinal).putLong(write.timeMicros);
    header.putLong(write.range.offset()).putLong(write.range.length());
    header.putInt(write.dataBytes()).put((byte) write.kind.code());
    header.put((byte) (write.zero() ? 1 : 0)).putShort((short) 0).flip();
    CRC32C crc = new CRC32C();
    crc.update(header.duplicate().position(8));
    out.add(header);
    if (!write.zero()) {
      for (ByteBuffer piece : write.payload().pieces()) {
        crc.update(piece.duplicate());
        out.add(piece.duplicate());
      }
    }
    header.putInt(4, (int) crc.getValue());
    return recordBytes(write);
  }

  private static void writeFully(FileChannel channel, List<ByteBuffer> buffers, long at)
      throws IOException {
    ByteBuffer[] array = buffers.toArray(ByteBuffer[]::new);
    channel.position(at);
    int first = 0;
    while (first < array.length) {
      channel.write(array, first, Math.min(BUFFERS_MAX, array.length - first));
      while (first < array.length && !array[first].hasRemaining()) {
        first++;
      }
    }
  }

  /**
   * Takes the oldest {@code count} records at most, up to about {@code bytesMost} of data, fewer
   * where memory ends.
   *
   * @throws OutOfMemoryError when there is none for the first
   * @throws IOException when the disk fails or a record does not match its checksum
   */
  List<Captured> take(long count, long bytesMost, CaptureMemory memory, long nowNanos)
      throws IOException {
    List<Captured> taken = new ArrayList<>();
    long length = 0;
    while (taken.size() < count && length < bytesMost) {
      Part part = partToRead();
      CaptureMemory.Block block;
      try {
        block = memory.block();
      } catch (OutOfMemoryError e) {
        if (taken.isEmpty()) {
          throw e;
        }
        return taken;
      }
      try {
        ByteBuffer bytes = block.buffer();
        // The file may grow meanwhile: what lies behind the last of the count is never looked at.
        bytes.limit((int) Math.min(bytes.limit(), part.channel().size() - readAt));
        readFully(part.channel(), bytes, readAt);
        bytes.flip();
        int before = taken.size();
        while (taken.size() < count && length < bytesMost) {
          Record record = Record.of(bytes, readAt);
          if (record == null || record.dataBytes() > bytes.remaining()) {
            break;
          }
          CaptureMemory.Copy copy =
              record.zero() ? null : block.payload(bytes.position(), record.dataBytes());
          bytes.position(bytes.position() + record.dataBytes());
          taken.add(record.verified(copy, nowNanos));
          length += advance(record);
        }
        if (taken.size() == before && !taken.isEmpty()) {
          return taken; // the large one goes first next time
        }
        if (taken.isEmpty()) {
          length += takeLarge(part, taken, memory, nowNanos);
        }
      } finally {
        block.release();
      }
    }
    return taken;
  }

  /** Takes one record that is longer than a block. */
  private long takeLarge(Part part, List<Captured> taken, CaptureMemory memory, long nowNanos)
      throws IOException {
    ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES);
    readFully(part.channel(), header, readAt);
    Record record = Record.of(header.flip(), readAt);
    if (record.dataBytes() > part.channel().size() - readAt) {
      throw new IOException("no spilled record at " + readAt);
    }
    CaptureMemory.Copy copy = null;
    if (!record.zero()) {
      copy = memory.allocate(record.dataBytes());
      long at = readAt + HEADER_BYTES;
      for (ByteBuffer piece : copy.buffers()) {
        readFully(part.channel(), piece, at);
        at += piece.capacity();
      }
    }
    taken.add(record.verified(copy, nowNanos));
    return advance(record);
  }

  private synchronized long advance(Record record) {
    long length = HEADER_BYTES + record.dataBytes();
    readAt += length;
    bytes -= length;
    return length;
  }

  private Part partToRead() throws IOException {
    Part done = null;
    Part part;
    synchronized (this) {
      part = parts.getFirst();
      if (parts.size() > 1 && readAt >= part.channel().size()) {
        done = parts.removeFirst();
        readAt = 0;
        part = parts.getFirst();
      }
    }
    if (done != null) {
      discard(done);
    }
    return part;
  }

  /**
   * A record's header, not yet verified.
   *
   * @param header its {@link #HEADER_BYTES} bytes, in memory that outlives this
   */
  private record Record(long at, ByteBuffer header, int dataBytes, boolean zero) {

    /** Reads a header and leaves the position behind it; null when not all of it is there. */
    static Record of(ByteBuffer from, long at) throws IOException {
      if (from.remaining() < HEADER_BYTES) {
        return null;
      }
      ByteBuffer header = from.slice(from.position(), HEADER_BYTES);
      long length = header.getLong(32);
      int dataBytes = header.getInt(40);
      boolean zero = header.get(45) != 0;
      if (header.getInt(0) != MAGIC || dataBytes < 0 || dataBytes != (zero ? 0 : length)) {
        throw new IOException("no spilled record at " + at);
      }
      from.position(from.position() + HEADER_BYTES);
      return new Record(at, header, dataBytes, zero);
    }

    /** The write, whose payload passes to it; released when the checksum does not match. */
    Captured verified(CaptureMemory.Copy copy, long nowNanos) throws IOException {
      CRC32C crc = new CRC32C();
      crc.update(header.duplicate().position(8));
      if (copy != null) {
        copy.buffers().forEach(crc::update);
      }
      if ((int) crc.getValue() != header.getInt(4)) {
        if (copy != null) {
          copy.release();
        }
        throw new IOException("the spilled record at " + at + " does not match its checksum");
      }
      return new Captured(
          header.getLong(8),
          header.getLong(16),
          SegmentKind.of(header.get(44)),
          new ByteRange(header.getLong(24), header.getLong(32)),
          copy,
          null,
          nowNanos);
    }
  }

  private static void readFully(FileChannel channel, ByteBuffer into, long at) throws IOException {
    long position = at;
    while (into.hasRemaining()) {
      int read = channel.read(into, position);
      if (read < 0) {
        throw new EOFException("the spill file ends at " + position);
      }
      position += read;
    }
  }

  private static void discard(Part part) throws IOException {
    part.channel().close();
    Files.deleteIfExists(part.path());
  }

  @Override
  public synchronized void close() throws IOException {
    while (!parts.isEmpty()) {
      discard(parts.removeFirst());
    }
    bytes = 0;
  }
}
