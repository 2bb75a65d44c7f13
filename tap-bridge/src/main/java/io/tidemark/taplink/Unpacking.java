package io.tidemark.taplink;

import io.tidemark.journal.JournalSession;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.replication.OlderContent;
import io.tidemark.wan.PackedSegment;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.function.Supplier;

/**
 * Unpacks a session's segments side by side and passes on to the journal in the order in which they
 * came. For one thread.
 */
final class Unpacking {
  private final JournalSession session;
  private final VolumeName volume;
  private final Optional<OlderContent> content;
  private final Executor workers = ForkJoinPool.commonPool();

  /**
   * Completes once all that came before has been passed on; after a failure nothing is any more.
   */
  private CompletionStage<Void> turn = CompletableFuture.completedStage(null);

  private boolean waiting;

  Unpacking(JournalSession session, VolumeName volume, Optional<OlderContent> content) {
    this.session = session;
    this.volume = volume;
    this.content = content;
  }

  /** Passes a call on once all before it were. */
  CompletionStage<WriteSeq> after(Supplier<CompletionStage<WriteSeq>> call) {
    return waiting ? inTurn(CompletableFuture.completedStage(call)) : call.get();
  }

  /** Unpacks and appends. */
  CompletionStage<WriteSeq> unpack(PackedSegment packed) {
    waiting = true;
    byte[] older = new byte[Math.toIntExact(packed.meta().dataBytes())];
    CompletionStage<Void> fetched = CompletableFuture.completedStage(null);
    for (PackedSegment.Need need : packed.needs()) {
      CompletionStage<ByteBuffer> read =
          content
              .orElseThrow()
              .read(volume, session.grant().volume(), need.seq(), need.offset(), need.length());
      fetched =
          fetched.thenCombine(
              read,
              (nothing, bytes) -> {
                bytes.duplicate().get(older, need.position(), need.length());
                return null;
              });
    }
    CompletionStage<byte[]> data = fetched.thenApplyAsync(nothing -> packed.unpack(older), workers);
    return inTurn(
        data.thenApply(
            bytes -> () -> session.append(packed.meta(), List.of(ByteBuffer.wrap(bytes)))));
  }

  private CompletionStage<WriteSeq> inTurn(
      CompletionStage<Supplier<CompletionStage<WriteSeq>>> call) {
    CompletableFuture<WriteSeq> result = new CompletableFuture<>();
    turn =
        turn.thenCompose(nothing -> call)
            .thenAccept(ready -> ready.get().whenComplete((seq, e) -> settle(result, seq, e)))
            .whenComplete((passed, e) -> settle(result, null, e));
    return result;
  }

  private static void settle(CompletableFuture<WriteSeq> result, WriteSeq seq, Throwable failure) {
    if (failure != null) {
      result.completeExceptionally(failure);
    } else if (seq != null) {
      result.complete(seq);
    }
  }
}
