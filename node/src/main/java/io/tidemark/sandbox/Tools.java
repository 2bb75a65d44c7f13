package io.tidemark.sandbox;

import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.List;

/**
 * The machine's tools, applied to the disk of one sandbox, which they find as {@link #DISK} in
 * their working directory. All calls block.
 */
public interface Tools {
  /** The file that a tool reads. */
  String DISK = "disk";

  /** How long a tool may take to answer a question, or for the next bytes of a content. */
  Duration ANSWER_LIMIT = Duration.ofSeconds(60);

  /**
   * What a tool said.
   *
   * @param exitCode -1 when it was ended because its output was longer than asked for
   * @param output raw bytes, one character each
   * @param errors the beginning of its standard error
   */
  record Answer(int exitCode, String output, String errors) {}

  /** Output as it comes; closing it ends the tool (B3). */
  interface Output extends AutoCloseable {
    /** Reading it fails with {@code LIMIT} once the tool was ended for being late. */
    InputStream stream();

    /**
     * Waits for the end.
     *
     * @return the exit code and the beginning of standard error, no output
     */
    Answer end() throws IOException;

    @Override
    void close();
  }

  /**
   * Runs a tool to its end.
   *
   * @param command the tool and its arguments (B4)
   * @param input what it reads from standard input
   * @param outputMax longest output in bytes; the rest is cut off and the tool ended
   * @throws io.tidemark.refusal.Refusal {@code UNREADABLE} when the machine lacks the tool, {@code
   *     LIMIT} when it took longer than {@link #ANSWER_LIMIT}
   */
  Answer run(List<String> command, String input, int outputMax) throws IOException;

  /** As {@link #run}, with an output of any length that is read as it comes, in the same time. */
  Output answer(List<String> command, String input) throws IOException;

  /**
   * As {@link #answer}, for as long as it takes: whoever reads may be slow, but no read takes
   * longer than {@link #ANSWER_LIMIT}.
   */
  Output start(List<String> command, String input) throws IOException;

  /**
   * Mounts the disk with the kernel's own driver and unmounts it again, so that it replays a log.
   */
  Answer mountOnce(String type, String options) throws IOException;
}
