package io.tidemark.replication;

import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentMeta;

/** What one site's journal tells another's over a {@link Lines line}. */
public sealed interface Parcel {

  /** Whether an acknowledgement answers it. */
  default boolean acknowledged() {
    return true;
  }

  /** A segment, packed. */
  record Packed(SegmentMeta meta, byte[] bytes) implements Parcel {}

  /** Writes that the source's journal does not have. */
  record Gap(WriteSeq first, WriteSeq last, MicroTime time, String reason) implements Parcel {}

  /** What a gap may have missed has been sent. */
  record SyncDone(long differentBytes) implements Parcel {}

  /** A question for the hashes of what the target's journal holds. */
  record AskHashes(int id, ByteRange range, int blockBytes) implements Parcel {
    @Override
    public boolean acknowledged() {
      return false;
    }
  }
}
