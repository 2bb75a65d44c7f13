package io.tidemark.testsite;

import io.tidemark.fence.WriterFence;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** Claims of all nodes of a test's site. */
public final class MemoryFence implements WriterFence {
  private final Map<String, Long> terms = new ConcurrentHashMap<>();

  /** How often journals were claimed, that is, how often an entity came into memory. */
  public final AtomicInteger claims = new AtomicInteger();

  @Override
  public CompletionStage<Long> claim(String journal) {
    claims.incrementAndGet();
    return CompletableFuture.completedStage(terms.merge(journal, 1L, Long::sum));
  }

  @Override
  public CompletionStage<Boolean> holds(String journal, long term) {
    return CompletableFuture.completedStage(terms.getOrDefault(journal, 0L) == term);
  }
}
