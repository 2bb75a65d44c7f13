package io.tidemark.export;

import io.tidemark.localfile.LocalFiles;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * A VMDK hosted sparse extent, {@code monolithicSparse}, with grains of 64 KiB; see "Virtual Disk
 * Format 5.0" by VMware.
 *
 * <pre>
 *   sector 0      header
 *   sector 1..20  descriptor, text
 *   then          redundant grain directory, its grain tables
 *   then          grain directory, its grain tables
 *   then          grains as they come
 * </pre>
 *
 * <p>A grain table is kept in memory only until the writes have passed the 32 MiB that it maps;
 * tables of what was never written stay holes of the file. Positions are sectors of 32 bits, so a
 * file of 2 TiB is the largest.
 */
final class VmdkWriter implements DiskFileWriter {
  static final int SECTOR_BYTES = 512;
  static final int GRAIN_SECTORS = GRAIN_BYTES / SECTOR_BYTES;
  static final int GRAINS_PER_TABLE = 512;
  private static final int TABLE_SECTORS = GRAINS_PER_TABLE * Integer.BYTES / SECTOR_BYTES;
  private static final int DESCRIPTOR_SECTORS = 20;
  private static final int MAGIC = 0x564d_444b; // "KDMV"
  private static final int VERSION = 1;

  /** Newlines can be checked; there is a redundant directory. */
  private static final int FLAGS = 1 | 2;

  private static final long SECTORS_MAX = 1L << 32;
  private static final int CYLINDERS_MAX = 16_383;
  private static final int HEADS = 16;
  private static final int TRACK_SECTORS = 63;

  private final FileChannel file;
  private final long sectors;
  private final DiskLabel label;
  private final int tableCount;
  private final long redundantDirectory = 1 + DESCRIPTOR_SECTORS;
  private final long directory;
  private final long overhead;
  private final Map<Integer, int[]> tables = new TreeMap<>();
  private long nextGrain;

  /**
   * @param file empty
   * @param sizeBytes a multiple of 512
   * @throws Refusal {@code LIMIT} when not even the tables fit
   */
  VmdkWriter(FileChannel file, long sizeBytes, DiskLabel label) {
    this.file = file;
    this.label = label;
    this.sectors = sizeBytes / SECTOR_BYTES;
    this.tableCount = Math.toIntExact(ceilDiv(sectors, (long) GRAINS_PER_TABLE * GRAIN_SECTORS));
    this.directory = redundantDirectory + directorySectors() + (long) tableCount * TABLE_SECTORS;
    long end = directory + directorySectors() + (long) tableCount * TABLE_SECTORS;
    this.overhead = ceilDiv(end, GRAIN_SECTORS) * GRAIN_SECTORS;
    this.nextGrain = overhead;
  }

  private static long ceilDiv(long a, long b) {
    return (a + b - 1) / b;
  }

  private long directorySectors() {
    return ceilDiv((long) tableCount * Integer.BYTES, SECTOR_BYTES);
  }

  @Override
  public void put(long offset, ByteBuffer data) throws IOException {
    int at = data.position();
    long diskOffset = offset;
    while (at < data.limit()) {
      int length = Math.min(GRAIN_BYTES, data.limit() - at);
      if (!DiskFileWriter.allZero(data, at, length)) {
        long sector = allocate(diskOffset / GRAIN_BYTES);
        LocalFiles.writeFully(file, data.slice(at, length), sector * SECTOR_BYTES);
      }
      at += length;
      diskOffset += length;
    }
  }

  private synchronized long allocate(long grain) {
    long sector = nextGrain;
    if (sector + GRAIN_SECTORS > SECTORS_MAX) {
      throw new Refusal(
          ErrorCode.LIMIT,
          "the point holds more than a VMDK file can, which is 2 TiB: export to qcow2, vhdx or raw");
    }
    nextGrain += GRAIN_SECTORS;
    tables
            .computeIfAbsent((int) (grain / GRAINS_PER_TABLE), table -> new int[GRAINS_PER_TABLE])[
            (int) (grain % GRAINS_PER_TABLE)] =
        (int) sector;
    return sector;
  }

  @Override
  public synchronized void passed(long offset) throws IOException {
    writeTablesBelow((int) (offset / GRAIN_BYTES / GRAINS_PER_TABLE));
  }

  private void writeTablesBelow(int end) throws IOException {
    var done = tables.entrySet().iterator();
    while (done.hasNext()) {
      Map.Entry<Integer, int[]> table = done.next();
      if (table.getKey() >= end) {
        return;
      }
      for (long in : new long[] {redundantDirectory, directory}) {
        writeInts(tableSector(in, table.getKey()), table.getValue());
      }
      done.remove();
    }
  }

  private long tableSector(long directorySector, int table) {
    return directorySector + directorySectors() + (long) table * TABLE_SECTORS;
  }

  private void writeInts(long sector, int[] values) throws IOException {
    ByteBuffer out = littleEndian(values.length * Integer.BYTES);
    out.asIntBuffer().put(values);
    LocalFiles.writeFully(file, out, sector * SECTOR_BYTES);
  }

  private static ByteBuffer littleEndian(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  @Override
  public synchronized void finish() throws IOException {
    writeTablesBelow(Integer.MAX_VALUE);
    for (long in : new long[] {redundantDirectory, directory}) {
      int[] entries = new int[tableCount];
      for (int table = 0; table < tableCount; table++) {
        entries[table] = (int) tableSector(in, table);
      }
      writeInts(in, entries);
    }
    writeDescriptor();
    // The last grain is whole, and tables that are holes belong to the file.
    if (file.size() < nextGrain * SECTOR_BYTES) {
      LocalFiles.writeFully(file, ByteBuffer.allocate(1), nextGrain * SECTOR_BYTES - 1);
    }
    file.force(true);
    writeHeader();
    file.force(true);
  }

  private void writeDescriptor() throws IOException {
    long cylinders = Math.min(CYLINDERS_MAX, sectors / (HEADS * TRACK_SECTORS));
    String name = label.fileName().matches("[\\w. -]{1,255}") ? label.fileName() : "disk.vmdk";
    String text =
        """
        # Disk DescriptorFile
        version=1
        CID=%08x
        parentCID=ffffffff
        createType="monolithicSparse"

        # Extent description
        RW %d SPARSE "%s"

        # The Disk Data Base
        #DDB

        ddb.virtualHWVersion = "4"
        ddb.uuid = "%s"
        ddb.geometry.cylinders = "%d"
        ddb.geometry.heads = "%d"
        ddb.geometry.sectors = "%d"
        ddb.adapterType = "lsilogic"
        """
            .formatted(
                contentId(), sectors, name, uuid(), Math.max(1, cylinders), HEADS, TRACK_SECTORS);
    ByteBuffer out = ByteBuffer.allocate(DESCRIPTOR_SECTORS * SECTOR_BYTES);
    out.put(text.getBytes(StandardCharsets.UTF_8));
    LocalFiles.writeFully(file, out.rewind(), SECTOR_BYTES);
  }

  /** Neither of the two values that mean that there is none. */
  private int contentId() {
    int id = (int) label.id().getLeastSignificantBits();
    return id == -1 || id == -2 ? 1 : id;
  }

  /** As VMware writes it: bytes in hexadecimal, a dash in the middle. */
  private String uuid() {
    String digits = label.id().toString().replace("-", "").toLowerCase(Locale.ROOT);
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < digits.length(); i += 2) {
      text.append(i == 0 ? "" : i == digits.length() / 2 ? "-" : " ");
      text.append(digits, i, i + 2);
    }
    return text.toString();
  }

  private void writeHeader() throws IOException {
    ByteBuffer out = littleEndian(SECTOR_BYTES);
    out.putInt(MAGIC).putInt(VERSION).putInt(FLAGS);
    out.putLong(sectors).putLong(GRAIN_SECTORS);
    out.putLong(1).putLong(DESCRIPTOR_SECTORS);
    out.putInt(GRAINS_PER_TABLE);
    out.putLong(redundantDirectory).putLong(directory).putLong(overhead);
    out.put((byte) 0); // shut down cleanly
    out.put((byte) '\n').put((byte) ' ').put((byte) '\r').put((byte) '\n');
    out.putShort((short) 0); // not compressed
    LocalFiles.writeFully(file, out.rewind(), 0);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
