package io.tidemark.testsite;

import io.tidemark.catalog.TagCatalog;
import io.tidemark.catalog.TagRow;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;

/** A catalog of tags in memory. */
public final class MemoryCatalog implements TagCatalog {
  private final ConcurrentSkipListSet<TagRow> rows =
      new ConcurrentSkipListSet<>(
          Comparator.comparing((TagRow row) -> row.group())
              .thenComparing(Comparator.comparingLong(TagRow::timeMicros).reversed())
              .thenComparing(TagRow::name));

  /** So many puts fail before the next succeeds. */
  public final AtomicInteger failPuts = new AtomicInteger();

  public int size() {
    return rows.size();
  }

  @Override
  public CompletionStage<Void> put(TagRow row) {
    if (failPuts.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
      return CompletableFuture.failedStage(
          new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the catalog is down"));
    }
    rows.remove(row);
    rows.add(row);
    return CompletableFuture.completedStage(null);
  }

  @Override
  public CompletionStage<Void> remove(TagRow row) {
    rows.remove(row);
    return CompletableFuture.completedStage(null);
  }

  @Override
  public CompletionStage<Page> find(UUID group, Query query, Predicate<TagRow> wanted) {
    List<TagRow> found =
        rows.stream()
            .filter(row -> row.group().equals(group))
            .filter(row -> row.timeMicros() >= query.fromMicros())
            .filter(row -> row.timeMicros() <= query.toMicros())
            .filter(row -> row.name().startsWith(query.prefix()))
            .filter(wanted)
            .limit(query.limit() + 1L)
            .toList();
    boolean more = found.size() > query.limit();
    List<TagRow> page = more ? found.subList(0, query.limit()) : found;
    return CompletableFuture.completedStage(
        new Page(page, more, more ? page.get(page.size() - 1).timeMicros() : query.fromMicros()));
  }

  @Override
  public CompletionStage<List<TagRow>> due(
      UUID group, long sinceMicros, long nowMicros, int limit) {
    return CompletableFuture.completedStage(
        rows.stream()
            .filter(row -> row.group().equals(group) && row.expiresMicros() > 0)
            .filter(row -> row.expiresMicros() >= sinceMicros && row.expiresMicros() < nowMicros)
            .sorted(Comparator.comparingLong(TagRow::expiresMicros))
            .limit(limit)
            .toList());
  }
}
