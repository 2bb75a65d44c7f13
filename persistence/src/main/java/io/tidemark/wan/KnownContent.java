package io.tidemark.wan;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;

/**
 * Where a block of some content was last sent, for one link: a table of bounded size that forgets
 * the oldest of a bucket. Only a hint: what it says is checked at the target (W1). Not thread-safe.
 */
public final class KnownContent {
  private static final int WAYS = 4;

  private final int mask;
  private final long[] high;
  private final long[] low;
  private final long[] seqs;
  private final long[] blocks;
  private final MessageDigest digest;

  /** A place in the volume's history. */
  public record Place(long seq, long block) {}

  /**
   * @param entries blocks it remembers, 32 bytes of memory each; rounded up to a power of two
   */
  public KnownContent(int entries) {
    int size = Integer.highestOneBit(Math.max(WAYS, entries) - 1) << 1;
    this.mask = size / WAYS - 1;
    this.high = new long[size];
    this.low = new long[size];
    this.seqs = new long[size];
    this.blocks = new long[size];
    try {
      this.digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /** The first 16 bytes of the SHA-256 of a block. */
  ByteBuffer hash(byte[] data, int from, int length) {
    digest.update(data, from, length);
    return ByteBuffer.wrap(digest.digest());
  }

  /** A place with this content at or before {@code seqMax}, or null. */
  Place find(ByteBuffer hash, long seqMax) {
    int at = slot(hash);
    return at >= 0 && seqs[at] <= seqMax ? new Place(seqs[at], blocks[at]) : null;
  }

  private int slot(ByteBuffer hash) {
    int from = bucket(hash);
    for (int i = from; i < from + WAYS; i++) {
      if (seqs[i] != 0 && high[i] == hash.getLong(0) && low[i] == hash.getLong(8)) {
        return i;
      }
    }
    return -1;
  }

  private int bucket(ByteBuffer hash) {
    return (hash.getInt(16) & mask) * WAYS;
  }

  /** Remembers where the content is; a place already known stays, being the older one. */
  void put(ByteBuffer hash, long seq, long block) {
    if (slot(hash) >= 0) {
      return;
    }
    int from = bucket(hash);
    int oldest = from;
    for (int i = from + 1; i < from + WAYS; i++) {
      if (seqs[i] < seqs[oldest]) {
        oldest = i;
      }
    }
    high[oldest] = hash.getLong(0);
    low[oldest] = hash.getLong(8);
    seqs[oldest] = seq;
    blocks[oldest] = block;
  }

  /** Forgets what lies outside {@code [from, to]}: not acknowledged, or no longer recoverable. */
  public void keep(long from, long to) {
    for (int i = 0; i < seqs.length; i++) {
      if (seqs[i] < from || seqs[i] > to) {
        seqs[i] = 0;
      }
    }
  }

  /** Forgets everything. */
  public void clear() {
    Arrays.fill(seqs, 0);
  }
}
