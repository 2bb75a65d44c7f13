package io.tidemark.overlay;

import io.tidemark.position.ByteRange;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * Exclusive rights to ranges, given in the order in which overlapping ones were asked for. No
 * thread waits.
 */
final class RangeLocks {
  /** The right to a range until it is released. */
  final class Held {
    private final ByteRange range;
    private final CompletableFuture<Held> granted = new CompletableFuture<>();
    private boolean given;

    private Held(ByteRange range) {
      this.range = range;
    }

    void release() {
      List<Held> next = removeAndFindNext(this);
      next.forEach(held -> held.granted.complete(held));
    }
  }

  private final List<Held> queue = new ArrayList<>();

  /**
   * Completes once no earlier request that overlaps is there; in the caller's thread if there is
   * none now.
   */
  CompletionStage<Held> acquire(ByteRange range) {
    Held held = new Held(range);
    boolean free;
    synchronized (this) {
      free = isFree(held, queue.size());
      held.given = free;
      queue.add(held);
    }
    if (free) {
      held.granted.complete(held);
    }
    return held.granted;
  }

  private boolean isFree(Held held, int before) {
    for (int i = 0; i < before; i++) {
      if (queue.get(i).range.overlaps(held.range)) {
        return false;
      }
    }
    return true;
  }

  private synchronized List<Held> removeAndFindNext(Held released) {
    for (Iterator<Held> i = queue.iterator(); i.hasNext(); ) {
      if (i.next() == released) {
        i.remove();
        break;
      }
    }
    List<Held> next = new ArrayList<>();
    for (int i = 0; i < queue.size(); i++) {
      Held held = queue.get(i);
      if (!held.given && held.range.overlaps(released.range) && isFree(held, i)) {
        held.given = true;
        next.add(held);
      }
    }
    return next;
  }
}
