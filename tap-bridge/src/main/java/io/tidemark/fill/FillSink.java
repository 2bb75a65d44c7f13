package io.tidemark.fill;

import io.tidemark.capture.CaptureSink;
import io.tidemark.capture.Payload;
import io.tidemark.position.ByteRange;
import java.io.IOException;

/** Notes which blocks clients fill by overwriting them, and passes everything on to capture. */
public final class FillSink implements CaptureSink {
  private final CaptureSink capture;
  private final Filler filler;

  public FillSink(CaptureSink capture, Filler filler) {
    this.capture = capture;
    this.filler = filler;
  }

  @Override
  public void beforeWrite(ByteRange range) throws IOException {
    capture.beforeWrite(range);
  }

  /** Noted before it is captured or replied to: neither is then taken back by filling (W2). */
  @Override
  public void wrote(ByteRange range, Payload payload, Runnable reply) {
    filler.overwritten(range);
    capture.wrote(range, payload, reply);
  }

  @Override
  public void zeroed(ByteRange range, Runnable reply) {
    filler.overwritten(range);
    capture.zeroed(range, reply);
  }

  @Override
  public void failed(ByteRange range) {
    capture.failed(range);
  }

  @Override
  public void flushed() throws IOException {
    filler.flushed();
    capture.flushed();
  }
}
