package io.tidemark.system;

import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Waits for conditions with a deadline. */
final class Await {
  private static final long POLL_MILLIS = 25;

  private Await() {}

  /** Polls until the condition holds; what it throws counts as not yet. */
  static void until(String what, Duration limit, Callable<Boolean> condition) throws Exception {
    long deadline = System.nanoTime() + limit.toNanos();
    CountDownLatch never = new CountDownLatch(1);
    Exception last = null;
    while (true) {
      try {
        if (condition.call()) {
          return;
        }
        last = null;
      } catch (InterruptedException e) {
        throw e;
      } catch (Exception e) {
        last = e;
      }
      if (System.nanoTime() > deadline) {
        throw new AssertionError(
            "not within " + limit.toSeconds() + " s: " + what + (last == null ? "" : ": " + last),
            last);
      }
      if (never.await(POLL_MILLIS, TimeUnit.MILLISECONDS)) {
        throw new IllegalStateException("nobody counts down");
      }
    }
  }
}
