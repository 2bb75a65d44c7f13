package io.tidemark.journal;

import io.tidemark.order.OrderTaker;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentMeta;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletionStage;

/**
 * One tap's right to append to one volume. Calls may overlap; they take effect in the order in
 * which they were made. After the first failure every later call fails: the tap must attach again.
 */
public interface JournalSession {
  SessionGrant grant();

  /**
   * Stores and journals a segment whose first seq follows the last one appended. A segment that is
   * journaled already is acknowledged again; a gap is refused with {@code INVALID}, an old epoch or
   * session with {@code FENCED}.
   *
   * @param data the segment's data; not to be changed until the stage completes
   * @return the newest journaled seq, durable (J4)
   */
  CompletionStage<WriteSeq> append(SegmentMeta meta, List<ByteBuffer> data);

  /**
   * Journals that the writes {@code first..last} were not captured; a dark interval begins and
   * lasts until {@link #completeSync}. At least one seq.
   *
   * @param time timestamp of the gap, not before the last write
   */
  CompletionStage<WriteSeq> gap(WriteSeq first, WriteSeq last, MicroTime time, String reason);

  /**
   * Journals that everything the gap may have missed has been compared and appended: the newest
   * appended seq is a recovery point again. The dark interval ends just before it, or never was
   * when nothing had to be appended.
   *
   * @param differentBytes content that had to be sent
   */
  CompletionStage<WriteSeq> completeSync(long differentBytes);

  /**
   * Hashes of the journal's content, for comparing with the backing store.
   *
   * @param range a multiple of {@code blockBytes} long, at most 64 MiB; the last block of the
   *     volume may be short
   * @return 32 bytes of SHA-256 a block of the state as of some seq at or after {@code head} of the
   *     last gap; a range that nothing was written to has 32 zero bytes
   */
  CompletionStage<ByteBuffer> hashes(ByteRange range, int blockBytes);

  /**
   * What the journal holds at its head, for a backing store that lacks it.
   *
   * @param range at most {@link ContentRun#RANGE_BYTES_MAX}, inside the volume
   * @return how the range begins: content, or zeroes; of the state as of some seq since the session
   *     began
   */
  CompletionStage<ContentRun> content(ByteRange range);

  /**
   * Where the session passes orders for the tap; called once, when the link is ready. Orders that
   * came before wait for it.
   */
  void takeOrders(OrderTaker taker);

  /** Passes on what the tap tells of itself. */
  void status(TapStatus status);

  /** Completes when the session is over, with the reason: replaced, fenced, volume deleted. */
  CompletionStage<io.tidemark.refusal.Refusal> ended();

  /** Ends the session; the volume shows no tap connected. */
  CompletionStage<Void> detach();
}
