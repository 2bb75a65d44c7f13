package io.tidemark.capture;

import io.tidemark.journal.ContentRun;
import io.tidemark.position.ByteRange;
import java.io.IOException;

/** The journal's content, asked for over the tap link. */
public interface ContentSource extends HashSource {
  /**
   * @param range at most {@link ContentRun#RANGE_BYTES_MAX}
   * @return how the range begins, as of some seq since the session began
   * @throws IOException when the link broke before the answer came, or the node is too old
   */
  ContentRun content(ByteRange range) throws IOException, InterruptedException;
}
