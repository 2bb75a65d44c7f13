package io.tidemark.replication;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * Bytes that one stream holds at once (R3): who takes waits until there is room, in the order of
 * asking. What is larger than the whole budget is granted when nothing else is held. Thread-safe.
 */
final class ByteBudget {
  private record Request(long bytes, CompletableFuture<Void> granted) {}

  private final long most;
  private final Queue<Request> waiting = new ArrayDeque<>();
  private long held;

  ByteBudget(long most) {
    this.most = most;
  }

  CompletionStage<Void> take(long bytes) {
    CompletableFuture<Void> granted = new CompletableFuture<>();
    synchronized (this) {
      waiting.add(new Request(bytes, granted));
    }
    grant();
    return granted;
  }

  void give(long bytes) {
    synchronized (this) {
      held -= bytes;
    }
    grant();
  }

  private void grant() {
    List<Request> granted = new ArrayList<>();
    synchronized (this) {
      for (Request first = waiting.peek(); first != null && fits(first); first = waiting.peek()) {
        granted.add(waiting.remove());
        held += first.bytes();
      }
    }
    granted.forEach(request -> request.granted().complete(null));
  }

  private boolean fits(Request request) {
    return held == 0 || held + request.bytes() <= most;
  }
}
