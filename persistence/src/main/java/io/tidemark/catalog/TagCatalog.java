package io.tidemark.catalog;

import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.function.Predicate;

/** The tags of all groups by time. Stages fail with {@code Refusal(NOT_ACKNOWLEDGED)}. */
public interface TagCatalog {
  /** Rows of one answer. */
  int LIMIT_MAX = 1_000;

  /** Rows looked at for one answer. */
  int SCANNED_MAX = 50_000;

  /**
   * Which rows.
   *
   * @param fromMicros first time
   * @param toMicros last time
   * @param prefix of the name; empty for all
   * @param limit at most {@link #LIMIT_MAX}
   */
  record Query(long fromMicros, long toMicros, String prefix, int limit) {}

  /**
   * Rows found, newest first.
   *
   * @param more whether there may be further ones, older than the last
   * @param untilMicros everything from here on was looked at
   */
  record Page(List<TagRow> rows, boolean more, long untilMicros) {}

  /** Puts a row, also over one of the same key. */
  CompletionStage<Void> put(TagRow row);

  /** Removes a row; one that is not there is no failure. */
  CompletionStage<Void> remove(TagRow row);

  /** Newest first. */
  default CompletionStage<Page> find(UUID group, Query query) {
    return find(group, query, row -> true);
  }

  /**
   * Newest first, and only those wanted; a page may be short, even empty, and yet have {@code more}
   * when {@link #SCANNED_MAX} rows held too few.
   */
  CompletionStage<Page> find(UUID group, Query query, Predicate<TagRow> wanted);

  /**
   * Some rows that have expired, the one that did first being first; none when there are none.
   *
   * @param sinceMicros none expired before, as far as the caller knows
   * @param nowMicros they expired before
   */
  CompletionStage<List<TagRow>> due(UUID group, long sinceMicros, long nowMicros, int limit);
}
