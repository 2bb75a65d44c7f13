package io.tidemark.taprollback;

import io.tidemark.capture.Payload;
import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdRequest;
import io.tidemark.position.ByteRange;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** A step of a rollback as the export takes it: a request like a client's (R1). */
final class WriteStep implements NbdRequest {
  private final Command command;
  private final ByteRange range;
  private final Optional<Payload> payload;
  private final CompletableFuture<Void> done = new CompletableFuture<>();

  private WriteStep(Command command, ByteRange range, Optional<Payload> payload) {
    this.command = command;
    this.range = range;
    this.payload = payload;
  }

  /** The step owns a reference to the payload until it is done. */
  static WriteStep write(long offset, Payload payload) {
    return new WriteStep(
        Command.WRITE, new ByteRange(offset, payload.length()), Optional.of(payload));
  }

  static WriteStep zero(ByteRange range) {
    return new WriteStep(Command.WRITE_ZEROES, range, Optional.empty());
  }

  static WriteStep flush() {
    return new WriteStep(Command.FLUSH, new ByteRange(0, 0), Optional.empty());
  }

  /** Completes when a client would be answered; fails with a Refusal. */
  CompletableFuture<Void> done() {
    return done;
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
    return false;
  }

  @Override
  public boolean reqOne() {
    return false;
  }

  @Override
  public Payload payload() {
    return payload.orElseThrow();
  }

  @Override
  public ByteBuffer readBuffer() {
    throw new UnsupportedOperationException("a rollback reads nothing from the volume");
  }

  @Override
  public void succeed() {
    payload.ifPresent(Payload::release);
    done.complete(null);
  }

  @Override
  public void succeedRead(ByteBuffer data, List<ByteRange> holes) {
    throw new UnsupportedOperationException("a rollback reads nothing from the volume");
  }

  @Override
  public void succeedStatus(List<Allocation> runs) {
    throw new UnsupportedOperationException("a rollback reads nothing from the volume");
  }

  @Override
  public void fail(NbdError error, String message) {
    payload.ifPresent(Payload::release);
    done.completeExceptionally(
        new Refusal(
            error == NbdError.ESHUTDOWN ? ErrorCode.FENCED : ErrorCode.FAILED,
            "the volume did not take a rollback's write of %d bytes at %d: %s"
                .formatted(range.length(), range.offset(), message)));
  }
}
