package io.tidemark.taporder;

import io.tidemark.order.ApplicationResult;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * The applications on the tap's host, as QUIESCE and THAW reach them. Whoever implements it sees to
 * it that what was stopped goes on within its own time limits, whether a thaw comes or not.
 */
public interface QuiesceHooks {
  /**
   * Makes applications consistent on disk and keeps them so until {@link #thaw}. Returns at once.
   *
   * @param owner names this quiescing; one at a time
   * @param applications names; empty for all there are; unknown ones are passed over
   * @param left until nobody waits any longer
   * @return one result for each application found, failed ones included; after a failure the caller
   *     thaws all
   */
  CompletionStage<List<ApplicationResult>> quiesce(
      long owner, List<String> applications, Duration left);

  /** Lets what the owner's quiescing stopped go on; repeating is safe. Returns at once. */
  CompletionStage<List<ApplicationResult>> thaw(long owner, Duration left);

  /** A host without applications. */
  static QuiesceHooks none() {
    return new QuiesceHooks() {
      @Override
      public CompletionStage<List<ApplicationResult>> quiesce(
          long owner, List<String> applications, Duration left) {
        return CompletableFuture.completedFuture(List.of());
      }

      @Override
      public CompletionStage<List<ApplicationResult>> thaw(long owner, Duration left) {
        return CompletableFuture.completedFuture(List.of());
      }
    };
  }
}
