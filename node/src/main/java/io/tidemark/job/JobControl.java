package io.tidemark.job;

/** What a running job tells, and is told. Thread safe. */
public interface JobControl {
  /** The job's id. */
  String id();

  /**
   * Whether somebody asked it to stop; it should then fail with a {@code CancellationException}.
   */
  boolean cancelled();

  /** How much there is to do, in bytes. */
  void total(long bytes);

  /** That much more is done, in bytes. */
  void advance(long bytes);

  /** Adds to the result, also of a job that fails later. */
  void note(String key, String text);
}
