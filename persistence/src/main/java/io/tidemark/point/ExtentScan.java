package io.tidemark.point;

import io.tidemark.extent.ExtentMap;
import io.tidemark.index.IndexSnapshot;
import io.tidemark.position.ByteRange;
import java.util.concurrent.CompletableFuture;
import java.util.function.Predicate;

/**
 * Walks over the extents of a long range part by part, so that memory is bounded by the part and a
 * sparse volume takes few steps.
 */
final class ExtentScan {
  private final ByteRange range;
  private final long afterSeq;
  private final IndexSnapshot snapshot;
  private final Predicate<ExtentMap> visitor;
  private final CompletableFuture<Void> result = new CompletableFuture<>();
  private long at;
  private boolean enough;

  private ExtentScan(
      ByteRange range, long afterSeq, IndexSnapshot snapshot, Predicate<ExtentMap> visitor) {
    this.range = range;
    this.afterSeq = afterSeq;
    this.snapshot = snapshot;
    this.visitor = visitor;
    this.at = range.offset();
  }

  /**
   * Shows {@code visitor} the extents that were written after {@code afterSeq}, in order, until it
   * has enough: as long as it answers that it wants more.
   */
  static CompletableFuture<Void> over(
      ByteRange range, long afterSeq, IndexSnapshot snapshot, Predicate<ExtentMap> visitor) {
    ExtentScan scan = new ExtentScan(range, afterSeq, snapshot, visitor);
    scan.step();
    return scan.result;
  }

  /** Goes on in a loop while answers are there at once, and by callback when they are not. */
  private void step() {
    while (at < range.end() && !enough) {
      CompletableFuture<IndexSnapshot.Part> part = snapshot.resolvePart(at, range.end(), afterSeq);
      if (!part.isDone() || part.isCompletedExceptionally()) {
        part.whenComplete(this::answered);
        return;
      }
      take(part.join());
    }
    result.complete(null);
  }

  private void answered(IndexSnapshot.Part part, Throwable failure) {
    if (failure != null) {
      result.completeExceptionally(failure);
      return;
    }
    take(part);
    step();
  }

  private void take(IndexSnapshot.Part part) {
    enough = !visitor.test(part.map());
    at = part.end();
  }
}
