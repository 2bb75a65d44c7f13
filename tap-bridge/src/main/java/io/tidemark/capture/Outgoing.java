package io.tidemark.capture;

import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentMeta;
import java.nio.ByteBuffer;
import java.util.List;

/** What capture has for the journal, in order. */
public sealed interface Outgoing {
  /**
   * A segment.
   *
   * @param meta its metadata
   * @param encodedMeta the same, encoded
   * @param data its data where it was received, {@code meta.dataBytes()} bytes; valid until the
   *     segment is acknowledged or {@link VolumeCapture#sent} was called for it
   */
  record Segment(SegmentMeta meta, byte[] encodedMeta, List<ByteBuffer> data) implements Outgoing {}

  /** The writes {@code first..last} were not captured. */
  record Gap(WriteSeq first, WriteSeq last, MicroTime time, String reason) implements Outgoing {}

  /** All that the last gap may have missed was compared and is on its way before this. */
  record SyncDone(long differentBytes) implements Outgoing {}
}
