package io.tidemark.bench.wan;

import io.tidemark.journal.ContentRun;
import io.tidemark.journal.Journal;
import io.tidemark.journal.JournalSession;
import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapIdentity;
import io.tidemark.journal.TapStatus;
import io.tidemark.order.OrderTaker;
import io.tidemark.position.ByteRange;
import io.tidemark.position.Epoch;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * Where the journal is otherwise: writes what a tap sends to a file. One tap, once, and no gap: a
 * record with one is of no use.
 */
final class RecordingJournal implements Journal {
  private final TraceWriter trace;
  private final long sizeBytes;
  private final CompletableFuture<Refusal> ended = new CompletableFuture<>();
  private boolean attached;
  private long head;
  private long rawBytes;

  RecordingJournal(TraceWriter trace, long sizeBytes) {
    this.trace = trace;
    this.sizeBytes = sizeBytes;
  }

  @Override
  public synchronized CompletionStage<JournalSession> attach(TapIdentity tap) {
    if (attached) {
      return CompletableFuture.failedStage(
          new Refusal(ErrorCode.BUSY, "a record is of one session, and the tap's was broken"));
    }
    attached = true;
    return CompletableFuture.completedStage(new Session());
  }

  /** What follows is measured. */
  synchronized void mark() throws IOException {
    trace.mark();
  }

  synchronized long head() {
    return head;
  }

  synchronized long rawBytes() {
    return rawBytes;
  }

  private synchronized CompletionStage<WriteSeq> add(SegmentMeta meta, List<ByteBuffer> data) {
    if (meta.firstSeq().value() != head + 1) {
      return refused("write " + meta.firstSeq() + " does not follow " + head);
    }
    try {
      trace.segment(meta, data);
    } catch (IOException e) {
      return refused("the record cannot be written: " + e);
    }
    head = meta.lastSeq().value();
    rawBytes += meta.dataBytes();
    return CompletableFuture.completedStage(meta.lastSeq());
  }

  private static <T> CompletionStage<T> refused(String why) {
    return CompletableFuture.failedStage(new Refusal(ErrorCode.INVALID, why));
  }

  private final class Session implements JournalSession {
    private final SessionGrant grant =
        new SessionGrant(
            VolumeId.random(),
            sizeBytes,
            new Epoch(1),
            1,
            new WriteSeq(0),
            new MicroTime(0),
            false,
            false,
            0,
            0,
            false);

    @Override
    public SessionGrant grant() {
      return grant;
    }

    @Override
    public CompletionStage<WriteSeq> append(SegmentMeta meta, List<ByteBuffer> data) {
      return add(meta, data);
    }

    @Override
    public CompletionStage<WriteSeq> gap(
        WriteSeq first, WriteSeq last, MicroTime time, String reason) {
      return refused("the tap lost writes: " + reason);
    }

    @Override
    public CompletionStage<WriteSeq> completeSync(long differentBytes) {
      return CompletableFuture.completedStage(new WriteSeq(head()));
    }

    @Override
    public CompletionStage<ByteBuffer> hashes(ByteRange range, int blockBytes) {
      long blocks = (range.length() + blockBytes - 1) / blockBytes;
      return CompletableFuture.completedStage(ByteBuffer.allocate(Math.toIntExact(32 * blocks)));
    }

    @Override
    public CompletionStage<ContentRun> content(ByteRange range) {
      return CompletableFuture.failedStage(
          new Refusal(ErrorCode.INVALID, "what was recorded is not read"));
    }

    @Override
    public void takeOrders(OrderTaker taker) {}

    @Override
    public void status(TapStatus status) {}

    @Override
    public CompletionStage<Refusal> ended() {
      return ended;
    }

    @Override
    public CompletionStage<Void> detach() {
      return CompletableFuture.completedStage(null);
    }
  }
}
