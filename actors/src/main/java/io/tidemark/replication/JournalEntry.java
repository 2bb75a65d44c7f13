package io.tidemark.replication;

import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentRef;

/** What a source's events tell of its history, one for one what the target is to be told. */
sealed interface JournalEntry {
  /** The event that tells of it. */
  long eventNr();

  /** The newest write that it tells of. */
  long lastSeq();

  /** Writes whose data is in the segment store. */
  record Segment(SegmentMeta meta, SegmentRef ref, long eventNr) implements JournalEntry {
    @Override
    public long lastSeq() {
      return meta.lastSeq().value();
    }
  }

  /** Writes that were not captured. */
  record Gap(long firstSeq, long lastSeq, long micros, String reason, long eventNr)
      implements JournalEntry {}

  /** Journal and backing store agree again as of {@code lastSeq}. */
  record Synced(long lastSeq, long differentBytes, long eventNr) implements JournalEntry {}
}
