package io.tidemark.export;

import io.tidemark.localfile.LocalFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import java.util.zip.CRC32C;

/**
 * A dynamic VHDX, without parent; see [MS-VHDX] by Microsoft.
 *
 * <pre>
 *   0 MiB   file identifier, two headers, two region tables, 64 KiB each
 *   1 MiB   log, empty
 *   2 MiB   metadata
 *   3 MiB   block allocation table
 *   then    blocks as they come
 * </pre>
 *
 * <p>Blocks are 1 MiB, or as many as keep the table, which is held in memory, at {@link
 * #BLOCKS_MAX} entries; what of a block was never written stays a hole of the file.
 */
final class VhdxWriter implements DiskFileWriter {
  static final int BLOCK_BYTES_MIN = 1 << 20;
  static final int BLOCKS_MAX = 1 << 20;

  private static final int MIB = 1 << 20;
  private static final int SLOT_BYTES = 64 << 10;
  private static final int HEADER_BYTES = 4 << 10;
  private static final long LOG_OFFSET = MIB;
  private static final long METADATA_OFFSET = 2L * MIB;
  private static final long TABLE_OFFSET = 3L * MIB;
  private static final int SECTOR_BYTES = 512;
  private static final int PHYSICAL_SECTOR_BYTES = 4096;

  /** Sectors that one block of the sectors' bitmap, which only a differencing disk has, maps. */
  private static final long BITMAP_SECTORS = 1L << 23;

  /** State of a table's entry: the block is all there. */
  private static final long FULLY_PRESENT = 6;

  private static final UUID REGION_TABLE = UUID.fromString("2dc27766-f623-4200-9d64-115e9bfd4a08");
  private static final UUID REGION_METADATA =
      UUID.fromString("8b7ca206-4790-4b9a-b8fe-575f050f886e");
  private static final UUID FILE_PARAMETERS =
      UUID.fromString("caa16737-fa36-4d43-b3b6-33f0aa44e76b");
  private static final UUID DISK_SIZE = UUID.fromString("2fa54224-cd1b-4876-b211-5dbed83bf4b8");
  private static final UUID DISK_ID = UUID.fromString("beca12ab-b2e6-4523-93ef-c309e000c746");
  private static final UUID LOGICAL_SECTOR =
      UUID.fromString("8141bf1d-a96f-4709-ba47-f233a8faab5f");
  private static final UUID PHYSICAL_SECTOR =
      UUID.fromString("cda348c7-445d-4471-9cc9-e9885251c556");

  /** Flags of a metadata item: needed to open the disk; of the disk and not of the file. */
  private static final int REQUIRED = 4;

  private static final int OF_DISK = 2;

  private final FileChannel file;
  private final long sizeBytes;
  private final UUID id;
  private final long blockBytes;
  private final long[] positions;
  private long end;

  /**
   * @param file empty
   * @param sizeBytes a multiple of 512, at most 64 TiB
   */
  VhdxWriter(FileChannel file, long sizeBytes, DiskLabel label) {
    this.file = file;
    this.sizeBytes = sizeBytes;
    this.id = label.id();
    long block = BLOCK_BYTES_MIN;
    while (sizeBytes / block > BLOCKS_MAX) {
      block *= 2;
    }
    this.blockBytes = block;
    this.positions = new long[(int) ((sizeBytes + block - 1) / block)];
    this.end = TABLE_OFFSET + tableBytes();
  }

  /** Entries of blocks that one entry of a bitmap follows. */
  private long blocksPerBitmap() {
    return BITMAP_SECTORS * SECTOR_BYTES / blockBytes;
  }

  private long tableBytes() {
    long entries = positions.length + (positions.length - 1) / blocksPerBitmap();
    return (entries * Long.BYTES + MIB - 1) / MIB * MIB;
  }

  @Override
  public void put(long offset, ByteBuffer data) throws IOException {
    int at = data.position();
    long diskOffset = offset;
    while (at < data.limit()) {
      int length = Math.min(GRAIN_BYTES, data.limit() - at);
      if (!DiskFileWriter.allZero(data, at, length)) {
        long position = block((int) (diskOffset / blockBytes)) + diskOffset % blockBytes;
        LocalFiles.writeFully(file, data.slice(at, length), position);
      }
      at += length;
      diskOffset += length;
    }
  }

  private synchronized long block(int number) {
    if (positions[number] == 0) {
      positions[number] = end;
      end += blockBytes;
    }
    return positions[number];
  }

  @Override
  public void passed(long offset) {
    // The table is small enough to be kept to the end.
  }

  @Override
  public synchronized void finish() throws IOException {
    if (file.size() < end) {
      LocalFiles.writeFully(file, ByteBuffer.allocate(1), end - 1);
    }
    writeTable();
    writeMetadata();
    writeRegions();
    file.force(true);
    writeHeader(1, 1);
    writeHeader(2, 2);
    writeIdentifier();
    file.force(true);
  }

  private void writeTable() throws IOException {
    ByteBuffer out = littleEndian(MIB);
    long from = TABLE_OFFSET;
    for (int block = 0; block < positions.length; block++) {
      if (block > 0 && block % blocksPerBitmap() == 0) {
        from = putEntry(out, from, 0);
      }
      from = putEntry(out, from, positions[block] == 0 ? 0 : positions[block] | FULLY_PRESENT);
    }
    LocalFiles.writeFully(file, out.flip(), from);
  }

  /** Adds an entry and writes the part when it is full; returns where the next part belongs. */
  private long putEntry(ByteBuffer part, long from, long entry) throws IOException {
    long at = from;
    if (!part.hasRemaining()) {
      LocalFiles.writeFully(file, part.rewind(), at);
      at += part.capacity();
      java.util.Arrays.fill(part.array(), (byte) 0);
      part.clear();
    }
    part.putLong(entry);
    return at;
  }

  private void writeMetadata() throws IOException {
    ByteBuffer table = littleEndian(SLOT_BYTES);
    ByteBuffer items = littleEndian(SLOT_BYTES);
    table.put("metadata".getBytes(StandardCharsets.US_ASCII)).putShort((short) 0);
    table.putShort((short) 5).position(32);
    item(table, items, FILE_PARAMETERS, Long.BYTES, REQUIRED);
    items.putInt((int) blockBytes).putInt(0); // blocks may stay unallocated, no parent
    item(table, items, DISK_SIZE, Long.BYTES, REQUIRED | OF_DISK);
    items.putLong(sizeBytes);
    item(table, items, DISK_ID, 16, REQUIRED | OF_DISK);
    putGuid(items, id);
    item(table, items, LOGICAL_SECTOR, Integer.BYTES, REQUIRED | OF_DISK);
    items.putInt(SECTOR_BYTES);
    item(table, items, PHYSICAL_SECTOR, Integer.BYTES, REQUIRED | OF_DISK);
    items.putInt(PHYSICAL_SECTOR_BYTES);
    LocalFiles.writeFully(file, table.rewind(), METADATA_OFFSET);
    LocalFiles.writeFully(file, items.flip(), METADATA_OFFSET + SLOT_BYTES);
  }

  private static void item(ByteBuffer table, ByteBuffer items, UUID item, int bytes, int flags) {
    putGuid(table, item);
    table.putInt(SLOT_BYTES + items.position()).putInt(bytes).putInt(flags).putInt(0);
  }

  private void writeRegions() throws IOException {
    ByteBuffer out = littleEndian(SLOT_BYTES);
    out.put("regi".getBytes(StandardCharsets.US_ASCII)).putInt(0).putInt(2).putInt(0);
    putGuid(out, REGION_TABLE);
    out.putLong(TABLE_OFFSET).putInt((int) tableBytes()).putInt(1);
    putGuid(out, REGION_METADATA);
    out.putLong(METADATA_OFFSET).putInt(MIB).putInt(1);
    checksum(out);
    LocalFiles.writeFully(file, out.rewind(), 3L * SLOT_BYTES);
    LocalFiles.writeFully(file, out.rewind(), 4L * SLOT_BYTES);
  }

  private void writeHeader(int slot, long sequence) throws IOException {
    ByteBuffer out = littleEndian(HEADER_BYTES);
    out.put("head".getBytes(StandardCharsets.US_ASCII)).putInt(0).putLong(sequence);
    putGuid(out, id); // of the file's writes
    putGuid(out, id); // of the data's writes
    putGuid(out, new UUID(0, 0)); // the log is empty
    out.putShort((short) 0).putShort((short) 1);
    out.putInt(MIB).putLong(LOG_OFFSET);
    checksum(out);
    LocalFiles.writeFully(file, out.rewind(), (long) slot * SLOT_BYTES);
  }

  private void writeIdentifier() throws IOException {
    ByteBuffer out = littleEndian(SLOT_BYTES);
    out.put("vhdxfile".getBytes(StandardCharsets.US_ASCII));
    out.put("Tidemark".getBytes(StandardCharsets.UTF_16LE));
    LocalFiles.writeFully(file, out.rewind(), 0);
  }

  /** CRC-32C of the whole structure, at its second word, which counts as zero. */
  private static void checksum(ByteBuffer structure) {
    CRC32C crc = new CRC32C();
    crc.update(structure.array());
    structure.putInt(Integer.BYTES, (int) crc.getValue());
  }

  private static ByteBuffer littleEndian(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The first three parts of a GUID are numbers in little-endian order, the rest are bytes. */
  private static void putGuid(ByteBuffer out, UUID id) {
    long high = id.getMostSignificantBits();
    out.putInt((int) (high >>> 32)).putShort((short) (high >>> 16)).putShort((short) high);
    out.putLong(Long.reverseBytes(id.getLeastSignificantBits()));
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
