package io.tidemark.fence;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** Claims to write journals, kept where all nodes see them in one order. */
public interface WriterFence {

  /** For journals that a single process writes: every claim holds. */
  WriterFence NONE =
      new WriterFence() {
        @Override
        public CompletionStage<Long> claim(String journal) {
          return CompletableFuture.completedStage(0L);
        }

        @Override
        public CompletionStage<Boolean> holds(String journal, long term) {
          return CompletableFuture.completedStage(true);
        }
      };

  /**
   * Ends every earlier claim on the journal (F1).
   *
   * @return the term of the claim; fails when it is not known to be stored
   */
  CompletionStage<Long> claim(String journal);

  /**
   * Whether no claim was made after the one of {@code term}; fails when that cannot be found out.
   */
  CompletionStage<Boolean> holds(String journal, long term);
}
