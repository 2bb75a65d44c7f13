package io.tidemark.capture;

import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;

/** The journal's hashes, asked for over the tap link. */
@FunctionalInterface
public interface HashSource {
  /**
   * @param range begins at a multiple of {@code blockBytes}, at most 64 MiB
   * @return 32 bytes of SHA-256 a block, 32 zero bytes for one that was never written; see {@code
   *     JournalSession.hashes}
   * @throws IOException when the link broke before the answer came
   */
  ByteBuffer hashes(ByteRange range, int blockBytes) throws IOException, InterruptedException;
}
