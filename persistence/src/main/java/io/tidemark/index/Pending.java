package io.tidemark.index;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;

/** A store call that a worker thread waits for; the store answers or fails within its own time. */
final class Pending<T> {
  private final CompletionStage<T> stage;

  Pending(CompletionStage<T> stage) {
    this.stage = stage;
  }

  /** Throws what the stage failed with; {@code FAILED} when the thread is interrupted. */
  T await() {
    try {
      return stage.toCompletableFuture().get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.FAILED, "interrupted while the index store was at work", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException failure) {
        throw failure;
      }
      throw new Refusal(ErrorCode.FAILED, "the index store failed: " + e.getCause(), e.getCause());
    }
  }
}
