package io.tidemark.sandbox;

import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.List;

/**
 * The machine's tools, applied to the disk of one sandbox, which they find as {@link #DISK} in their
 * working directory. All calls block.
 */
public interface Tools {
  /** The file that a tool reads. */
  String DISK = "disk";

  /** How long a tool may take that answers a question. */
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

  /** Starts a tool whose output is read as it comes; as {@link #run} otherwise. */
  Output start(List<String> command, String input) throws IOException;

  /** Mounts the disk with the kernel's own driver and unmounts it again, so that it replays a log. */
  Answer mountOnce(String type, String options) throws IOException;
}
