package io.tidemark.point;

import io.tidemark.extent.ExtentMap;
import io.tidemark.index.IndexSnapshot;
import io.tidemark.position.ByteRange;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * Walks over the extents of a long range in windows that adapt to their density, so that neither a
 * sparse volume takes many steps nor a dense one much memory.
 */
final class ExtentScan {
  private static final long WINDOW_BYTES_FIRST = 4L << 20;
  private static final long WINDOW_BYTES_MIN = 256L << 10;
  private static final int EXTENTS_FEW = 2_048;
  private static final int EXTENTS_MANY = 16_384;

  private final ByteRange range;
  private final long afterSeq;
  private final IndexSnapshot snapshot;
  private final Consumer<ExtentMap> visitor;
  private final CompletableFuture<Void> result = new CompletableFuture<>();
  private long at;
  private long window = WINDOW_BYTES_FIRST;

  private ExtentScan(
      ByteRange range, long afterSeq, IndexSnapshot snapshot, Consumer<ExtentMap> visitor) {
    this.range = range;
    this.afterSeq = afterSeq;
    this.snapshot = snapshot;
    this.visitor = visitor;
    this.at = range.offset();
  }

  /** Shows {@code visitor} the extents that were written after {@code afterSeq}, in order. */
  static CompletableFuture<Void> over(
      ByteRange range, long afterSeq, IndexSnapshot snapshot, Consumer<ExtentMap> visitor) {
    ExtentScan scan = new ExtentScan(range, afterSeq, snapshot, visitor);
    scan.step();
    return scan.result;
  }

  /** Goes on in a loop while answers are there at once, and by callback when they are not. */
  private void step() {
    while (at < range.end()) {
      CompletableFuture<ExtentMap> answer = snapshot.resolve(at, windowEnd(), afterSeq);
      if (!answer.isDone()) {
        answer.whenComplete(this::answered);
        return;
      }
      if (!take(answer)) {
        return;
      }
    }
    result.complete(null);
  }

  private long windowEnd() {
    return window < range.end() - at ? at + window : range.end();
  }

  private void answered(ExtentMap map, Throwable failure) {
    if (failure == null ? take(CompletableFuture.completedFuture(map)) : fail(failure)) {
      step();
    }
  }

  private boolean take(CompletableFuture<ExtentMap> answer) {
    try {
      ExtentMap map = answer.join();
      visitor.accept(map);
      at = windowEnd();
      if (map.size() < EXTENTS_FEW && window < Long.MAX_VALUE / 4) {
        window *= 2;
      } else if (map.size() > EXTENTS_MANY) {
        window = Math.max(WINDOW_BYTES_MIN, window / 2);
      }
      return true;
    } catch (RuntimeException e) {
      return fail(e);
    }
  }

  private boolean fail(Throwable failure) {
    result.completeExceptionally(failure);
    return false;
  }
}
