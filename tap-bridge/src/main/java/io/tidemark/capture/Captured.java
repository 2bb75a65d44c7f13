package io.tidemark.capture;

import io.tidemark.position.ByteRange;
import io.tidemark.segment.SegmentKind;

/** One write on its way to the journal; guarded by the lock of its {@link VolumeCapture}. */
final class Captured {
  /** What a captured write costs beside its data. */
  static final int OVERHEAD_BYTES = 160;

  final long ordinal;
  final long timeMicros;
  final SegmentKind kind;
  final ByteRange range;
  final Runnable reply;
  final long sinceNanos;

  /** The queue or flight that holds it; null elsewhere, where its payload must not be replaced. */
  Object place;

  /** Empty for a range that reads back as zeroes; replaced when it is copied out. */
  private Payload payload;

  /**
   * @param payload null for a range that reads back as zeroes
   * @param reply null when the client was answered already
   */
  Captured(
      long ordinal,
      long timeMicros,
      SegmentKind kind,
      ByteRange range,
      Payload payload,
      Runnable reply,
      long sinceNanos) {
    this.ordinal = ordinal;
    this.timeMicros = timeMicros;
    this.kind = kind;
    this.range = range;
    this.payload = payload;
    this.reply = reply;
    this.sinceNanos = sinceNanos;
  }

  boolean zero() {
    return payload == null;
  }

  Payload payload() {
    return payload;
  }

  int dataBytes() {
    return payload == null ? 0 : payload.length();
  }

  static long cost(Payload payload) {
    return OVERHEAD_BYTES + (payload == null ? 0 : payload.length());
  }

  long cost() {
    return cost(payload);
  }

  /** Whether it pins so much more memory than it needs that a copy is worth its time. */
  boolean sparse() {
    return payload != null && payload.heldBytes() > 2L * payload.length();
  }

  void replace(Payload copy) {
    payload = copy;
  }

  void release() {
    if (payload != null) {
      payload.release();
    }
  }
}
