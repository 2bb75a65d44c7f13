package io.tidemark.refusal;

import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

/** What a stage failed with, without what stages wrap around it. */
public final class Failures {
  private Failures() {}

  public static Throwable cause(Throwable failure) {
    Throwable cause = failure;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause;
  }

  /** The refusal's code; {@code FAILED} for any other failure. */
  public static ErrorCode code(Throwable failure) {
    return cause(failure) instanceof Refusal refusal ? refusal.code() : ErrorCode.FAILED;
  }

  /** Empty where the answer is {@code NOT_FOUND}; any other failure stays one. */
  public static <T> CompletionStage<Optional<T>> found(CompletionStage<T> answer) {
    return answer
        .thenApply(Optional::of)
        .exceptionally(
            failure -> {
              if (code(failure) == ErrorCode.NOT_FOUND) {
                return Optional.empty();
              }
              throw new CompletionException(cause(failure));
            });
  }
}
