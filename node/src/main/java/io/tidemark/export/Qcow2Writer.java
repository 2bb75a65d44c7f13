package io.tidemark.export;

import io.tidemark.localfile.LocalFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.Map;
import java.util.TreeMap;

/**
 * qcow2 version 3 with clusters of 64 KiB, without backing file, compression or snapshots; see
 * "qcow2 format specification" (docs/interop/qcow2.txt of QEMU).
 *
 * <pre>
 *   cluster 0       header
 *   cluster 1..     L1 table
 *   then            data clusters and L2 tables as they come
 *   at the end      refcount blocks, refcount table
 * </pre>
 *
 * <p>Every cluster of the file is in use exactly once, so every refcount is 1. An L2 table is kept
 * in memory only until the writes have passed the 512 MiB that it maps.
 */
final class Qcow2Writer implements DiskFileWriter {
  static final int CLUSTER_BITS = 16;
  static final int CLUSTER_BYTES = 1 << CLUSTER_BITS;
  private static final int ENTRIES_PER_TABLE = CLUSTER_BYTES / Long.BYTES;
  private static final int REFCOUNT_ORDER = 4;
  private static final int REFCOUNTS_PER_BLOCK = CLUSTER_BYTES * 8 >> REFCOUNT_ORDER;
  private static final int HEADER_BYTES = 104;
  private static final int MAGIC = 0x5146_49fb; // QFI\xfb
  private static final int VERSION = 3;

  /** Set in an entry whose cluster has a refcount of exactly one. */
  private static final long COPIED = 1L << 63;

  private final FileChannel file;
  private final long sizeBytes;
  private final long[] l1;
  private final Map<Integer, long[]> l2 = new TreeMap<>();
  private long clusters;

  /**
   * @param file empty
   */
  Qcow2Writer(FileChannel file, long sizeBytes) {
    this.file = file;
    this.sizeBytes = sizeBytes;
    this.l1 =
        new long[Math.toIntExact(ceilDiv(ceilDiv(sizeBytes, CLUSTER_BYTES), ENTRIES_PER_TABLE))];
    this.clusters = 1 + l1Clusters();
  }

  private static long ceilDiv(long a, long b) {
    return (a + b - 1) / b;
  }

  private long l1Clusters() {
    return ceilDiv((long) l1.length * Long.BYTES, CLUSTER_BYTES);
  }

  @Override
  public void put(long offset, ByteBuffer data) throws IOException {
    int at = data.position();
    long diskOffset = offset;
    while (at < data.limit()) {
      int length = Math.min(CLUSTER_BYTES, data.limit() - at);
      if (!DiskFileWriter.allZero(data, at, length)) {
        long position = allocate(diskOffset / CLUSTER_BYTES) * CLUSTER_BYTES;
        LocalFiles.writeFully(file, data.slice(at, length), position);
      }
      at += length;
      diskOffset += length;
    }
  }

  private synchronized long allocate(long guestCluster) {
    long cluster = clusters++;
    l2.computeIfAbsent(
                (int) (guestCluster / ENTRIES_PER_TABLE), table -> new long[ENTRIES_PER_TABLE])[
            (int) (guestCluster % ENTRIES_PER_TABLE)] =
        cluster * CLUSTER_BYTES | COPIED;
    return cluster;
  }

  @Override
  public synchronized void passed(long offset) throws IOException {
    int tablesDone = (int) (offset / CLUSTER_BYTES / ENTRIES_PER_TABLE);
    writeTablesBelow(tablesDone);
  }

  private void writeTablesBelow(int end) throws IOException {
    var done = l2.entrySet().iterator();
    while (done.hasNext()) {
      Map.Entry<Integer, long[]> table = done.next();
      if (table.getKey() >= end) {
        return;
      }
      long cluster = clusters++;
      writeLongs(cluster, table.getValue());
      l1[table.getKey()] = cluster * CLUSTER_BYTES | COPIED;
      done.remove();
    }
  }

  private void writeLongs(long cluster, long[] values) throws IOException {
    long bytes = ceilDiv((long) values.length * Long.BYTES, CLUSTER_BYTES) * CLUSTER_BYTES;
    ByteBuffer out = ByteBuffer.allocate(Math.toIntExact(bytes));
    out.asLongBuffer().put(values);
    LocalFiles.writeFully(file, out, cluster * CLUSTER_BYTES);
  }

  @Override
  public synchronized void finish() throws IOException {
    writeTablesBelow(Integer.MAX_VALUE);
    writeLongs(1, l1);
    long firstBlock = clusters;
    // The refcounts count their own clusters as well.
    long blocks = 0;
    long tableClusters = 0;
    long total = firstBlock;
    while (blocks * REFCOUNTS_PER_BLOCK < total) {
      blocks = ceilDiv(total, REFCOUNTS_PER_BLOCK);
      tableClusters = ceilDiv(blocks * Long.BYTES, CLUSTER_BYTES);
      total = firstBlock + blocks + tableClusters;
    }
    long[] table = new long[Math.toIntExact(tableClusters * ENTRIES_PER_TABLE)];
    for (int block = 0; block < blocks; block++) {
      long counted = (long) block * REFCOUNTS_PER_BLOCK;
      writeRefcounts(firstBlock + block, Math.min(REFCOUNTS_PER_BLOCK, total - counted));
      table[block] = (firstBlock + block) * CLUSTER_BYTES;
    }
    writeLongs(firstBlock + blocks, table);
    file.force(true);
    writeHeader(firstBlock + blocks, tableClusters);
    file.force(true);
  }

  private void writeRefcounts(long cluster, long ones) throws IOException {
    ByteBuffer out = ByteBuffer.allocate(CLUSTER_BYTES);
    for (int i = 0; i < ones; i++) {
      out.putShort((short) 1);
    }
    LocalFiles.writeFully(file, out.rewind(), cluster * CLUSTER_BYTES);
  }

  private void writeHeader(long refcountTable, long refcountTableClusters) throws IOException {
    ByteBuffer out = ByteBuffer.allocate(CLUSTER_BYTES);
    out.putInt(MAGIC).putInt(VERSION);
    out.putLong(0).putInt(0); // no backing file
    out.putInt(CLUSTER_BITS).putLong(sizeBytes);
    out.putInt(0); // not encrypted
    out.putInt(l1.length).putLong(CLUSTER_BYTES);
    out.putLong(refcountTable * CLUSTER_BYTES).putInt((int) refcountTableClusters);
    out.putInt(0).putLong(0); // no snapshots
    out.putLong(0).putLong(0).putLong(0); // no incompatible, compatible, autoclear features
    out.putInt(REFCOUNT_ORDER).putInt(HEADER_BYTES);
    LocalFiles.writeFully(file, out.rewind(), 0);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
