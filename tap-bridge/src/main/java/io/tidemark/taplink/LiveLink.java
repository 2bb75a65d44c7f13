package io.tidemark.taplink;

import io.tidemark.capture.ContentHashes;
import io.tidemark.order.TapOrder;
import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeId;
import java.util.concurrent.CompletionStage;

/** A tap's session on this node, for whoever wants to ask the tap something. Thread-safe. */
public interface LiveLink {
  /** Bytes of one question, at most. */
  int CONTENT_BYTES_MAX = 64 << 20;

  /** Blocks of one question, at most. */
  int CONTENT_BLOCKS_MAX = 1024;

  /** A block is no shorter, but for the volume's last. */
  int CONTENT_BLOCK_BYTES_MIN = LinkMessage.HashesRequest.BLOCK_BYTES_MIN;

  /** The volume's incarnation. */
  VolumeId volume();

  /**
   * Asks what the backing store holds.
   *
   * @param range inside the volume, within the limits above
   * @return the tap's answer; fails with {@code INVALID} when its version of the link has no such
   *     question, {@code LIMIT} when too many are open, {@code NOT_ACKNOWLEDGED} when the link ends
   *     or the tap does not answer in time
   */
  CompletionStage<ContentHashes> contentHashes(ByteRange range, int blockBytes);

  /**
   * Has the tap carry an order out, straight over its link: for orders that carry data, which is to
   * pass through no actor. As {@code Site.order} otherwise.
   *
   * @return the body of its answer; fails as {@link io.tidemark.order.OrderTaker#take} does, and
   *     with a {@code TimeoutException} at the deadline
   */
  CompletionStage<byte[]> order(TapOrder order);
}
