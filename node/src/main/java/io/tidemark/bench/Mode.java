package io.tidemark.bench;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How Cassandra is set up and used in one column of a comparison.
 *
 * @param sync {@code batch}, {@code group} or {@code periodic}
 * @param access {@code direct} or {@code mmap}
 * @param inFlight rows being written at once
 * @param compaction of segment_chunk, when not the schema's
 */
record Mode(
    String text,
    String sync,
    String access,
    int chunkBytes,
    int inFlight,
    Optional<String> compaction) {
  private static final Pattern FORM =
      Pattern.compile(
          "(batch|group|periodic):(direct|mmap):(\\d{1,4}):(\\d{1,4})(?::([a-z0-9]+))?");

  private static final Map<String, String> COMPACTIONS = new LinkedHashMap<>();

  static {
    COMPACTIONS.put(
        "stcs4",
        "{'class': 'SizeTieredCompactionStrategy', 'min_threshold': 4, 'max_threshold': 32}");
    COMPACTIONS.put(
        "stcs16",
        "{'class': 'SizeTieredCompactionStrategy', 'min_threshold': 16, 'max_threshold': 32}");
    COMPACTIONS.put(
        "twcs",
        "{'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'HOURS',"
            + " 'compaction_window_size': 1}");
    COMPACTIONS.put("ucs", "{'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'T16'}");
  }

  static final String HELP =
      "SYNC:ACCESS:CHUNK:ROWS[:COMPACTION], such as batch:direct:128:32 or"
          + " group:mmap:64:64:twcs: how the commit log is synced (batch, group, periodic) and"
          + " written (direct, mmap), KiB of a chunk, chunks in flight, and stcs4, stcs16, twcs or"
          + " ucs; may be repeated";

  static Mode parse(String text) {
    Matcher form = FORM.matcher(text.toLowerCase(Locale.ROOT));
    if (!form.matches() || (form.group(5) != null && !COMPACTIONS.containsKey(form.group(5)))) {
      throw new Refusal(
          ErrorCode.INVALID, "'" + Refusal.printable(text) + "' is no mode: use " + HELP);
    }
    return new Mode(
        text,
        form.group(1),
        form.group(2),
        Integer.parseInt(form.group(3)) << 10,
        Integer.parseInt(form.group(4)),
        Optional.ofNullable(form.group(5)).map(COMPACTIONS::get));
  }

  /** The settings of a node in this mode. */
  Map<String, Object> settings() {
    return Map.of(
        "tidemark.cassandra.chunks-in-flight", inFlight,
        "tidemark.cassandra.embedded-server.commit-log-sync", sync,
        "tidemark.cassandra.embedded-server.commit-log-access", access);
  }

  /** Applies what is no setting. */
  void applyTo(BenchSite site) {
    compaction.ifPresent(
        map ->
            site.session()
                .execute(
                    "ALTER TABLE " + site.keyspace() + ".segment_chunk WITH compaction = " + map));
  }
}
