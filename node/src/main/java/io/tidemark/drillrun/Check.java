package io.tidemark.drillrun;

import io.tidemark.image.ImageSummary;
import io.tidemark.point.PointReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeoutException;

/** Looks whether an image is good. Blocks. */
interface Check {
  /** What a check found, in words. */
  record Finding(boolean good, String words) {}

  /**
   * What a check works on.
   *
   * @param image writable, of this check alone
   * @param uri where processes of this machine find it, without TLS
   * @param content what it showed when it was opened
   * @param scratch an empty directory of this check alone
   * @param deadlineNanos when it has to be over, by {@link System#nanoTime}
   */
  record Disk(
      ImageSummary image, String uri, PointReader content, Path scratch, long deadlineNanos) {}

  /**
   * Checks.
   *
   * @throws CheckError when it cannot
   * @throws TimeoutException when it takes too long
   */
  Finding run(Disk disk) throws CheckError, IOException, InterruptedException, TimeoutException;
}
