package io.tidemark.fill;

import io.tidemark.capture.Payload;
import io.tidemark.capture.TestPayload;
import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdRequest;
import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A client's request, whose answer is waited for. */
final class TestRequest implements NbdRequest {
  private final Command command;
  private final ByteRange range;
  private final TestPayload payload;
  private final CompletableFuture<byte[]> answer = new CompletableFuture<>();

  private TestRequest(Command command, ByteRange range, byte[] data) {
    this.command = command;
    this.range = range;
    this.payload = data == null ? null : new TestPayload(data, 0);
  }

  static byte[] read(NbdExport export, long offset, int length) throws Exception {
    return new TestRequest(Command.READ, new ByteRange(offset, length), null).by(export);
  }

  static void write(NbdExport export, long offset, byte[] data) throws Exception {
    new TestRequest(Command.WRITE, new ByteRange(offset, data.length), data).by(export);
  }

  static void zero(NbdExport export, long offset, int length) throws Exception {
    new TestRequest(Command.TRIM, new ByteRange(offset, length), null).by(export);
  }

  static void flush(NbdExport export) throws Exception {
    new TestRequest(Command.FLUSH, new ByteRange(0, 0), null).by(export);
  }

  private byte[] by(NbdExport export) throws Exception {
    export.handle(this);
    try {
      return answer.get(60, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      throw (Exception) e.getCause();
    } catch (TimeoutException e) {
      throw new AssertionError(command + " of " + range + " is not answered", e);
    }
  }

  @Override
  public Command command() {
    return command;
  }

  @Override
  public ByteRange range() {
    return range;
  }

  @Override
  public boolean fua() {
    return false;
  }

  @Override
  public boolean noHole() {
    return false;
  }

  @Override
  public boolean fastZero() {
    return false;
  }

  @Override
  public boolean dontFragment() {
    return true;
  }

  @Override
  public boolean reqOne() {
    return false;
  }

  @Override
  public Payload payload() {
    return payload;
  }

  @Override
  public ByteBuffer readBuffer() {
    return ByteBuffer.allocateDirect((int) range.length());
  }

  @Override
  public void succeed() {
    release();
    answer.complete(new byte[0]);
  }

  @Override
  public void succeedRead(ByteBuffer data, List<ByteRange> holes) {
    byte[] bytes = new byte[data.remaining()];
    data.get(bytes);
    answer.complete(bytes);
  }

  @Override
  public void succeedStatus(List<Allocation> runs) {
    answer.completeExceptionally(new UnsupportedOperationException("nobody asked"));
  }

  @Override
  public void fail(NbdError error, String message) {
    release();
    answer.completeExceptionally(new IOException(error + ": " + message));
  }

  private void release() {
    if (payload != null) {
      payload.release();
    }
  }
}
