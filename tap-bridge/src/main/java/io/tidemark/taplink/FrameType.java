package io.tidemark.taplink;

import io.tidemark.journal.ContentRun;
import io.tidemark.order.TapOrder;
import io.tidemark.segment.SegmentMeta;

/** Kinds of frames, each with the limits that its header is checked against before it is read. */
public enum FrameType {
  HELLO(1, true, false, 1100, 0),
  WELCOME(2, false, true, 256, 0),
  SEGMENT(3, true, false, 4 << 20, SegmentMeta.DATA_BYTES_MAX),
  GAP(4, true, false, 1024, 0),
  SYNC_DONE(5, true, false, 8, 0),
  HASHES_REQUEST(6, true, false, 24, 0),
  HASHES(7, false, true, 4 + 32 * 1024, 0),
  STATUS(8, true, false, 41, 0),
  ACK(9, false, true, 16, 0),
  REFUSED(10, false, true, 2048, 0),
  PING(11, true, true, 8, 0),
  PONG(12, true, true, 8, 0),
  BYE(13, true, true, 1024, 0),
  CONTENT_HASHES_REQUEST(14, false, true, 24, 0),
  CONTENT_HASHES(15, true, false, 13 + 32 * 1024, 0),
  ORDER(16, false, true, 17 + TapOrder.BODY_BYTES_MAX, 0),
  ORDER_DONE(17, true, false, 512 + TapOrder.BODY_BYTES_MAX, 0),
  PACKED(18, true, false, (4 << 20) + SegmentMeta.DATA_BYTES_MAX, 0),
  CONTENT_REQUEST(19, true, false, 20, 0),
  CONTENT(20, false, true, 12 + ContentRun.BYTES_MAX, 0);

  private final int code;
  private final boolean fromTap;
  private final boolean fromNode;
  private final int checkedBytesMax;
  private final int dataBytesMax;

  FrameType(int code, boolean fromTap, boolean fromNode, int checkedBytesMax, int dataBytesMax) {
    this.code = code;
    this.fromTap = fromTap;
    this.fromNode = fromNode;
    this.checkedBytesMax = checkedBytesMax;
    this.dataBytesMax = dataBytesMax;
  }

  /** The value on the wire. */
  int code() {
    return code;
  }

  /** Whether that end may send it. */
  boolean from(LinkEnd end) {
    return end == LinkEnd.TAP ? fromTap : fromNode;
  }

  /** Longest body that the frame's own checksum covers. */
  int checkedBytesMax() {
    return checkedBytesMax;
  }

  /** Longest data after it, covered by the checksums of its segment's chunks. */
  int dataBytesMax() {
    return dataBytesMax;
  }

  /** The type of that code, or null when no version has one. */
  static FrameType of(int code) {
    return code >= 1 && code <= values().length ? values()[code - 1] : null;
  }
}
