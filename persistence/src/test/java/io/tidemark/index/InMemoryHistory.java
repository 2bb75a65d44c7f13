package io.tidemark.index;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicLong;

/** A journal's events in memory, counting what is read. */
public final class InMemoryHistory implements SegmentHistory {
  private final TreeMap<Long, SegmentEntry> events = new TreeMap<>();
  public final AtomicLong calls = new AtomicLong();
  public final AtomicLong segmentsRead = new AtomicLong();

  public synchronized void add(SegmentEntry entry) {
    events.put(entry.eventNr(), entry);
  }

  public synchronized void remove(long eventNr) {
    events.remove(eventNr);
  }

  public synchronized long newestEventNr() {
    return events.isEmpty() ? 0 : events.lastKey();
  }

  @Override
  public synchronized CompletionStage<List<SegmentEntry>> segments(
      long fromEventNr, long toEventNr) {
    calls.incrementAndGet();
    if (toEventNr < fromEventNr) {
      return CompletableFuture.completedFuture(List.of());
    }
    Map<Long, SegmentEntry> found = events.subMap(fromEventNr, true, toEventNr, true);
    segmentsRead.addAndGet(found.size());
    return CompletableFuture.completedFuture(List.copyOf(found.values()));
  }
}
