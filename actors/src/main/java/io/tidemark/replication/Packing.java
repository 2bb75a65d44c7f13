package io.tidemark.replication;

import io.tidemark.point.PointReader;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.replication.LaneGauge.Sent;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.segment.SegmentStore;
import io.tidemark.wan.KnownContent;
import io.tidemark.wan.SegmentPacker;
import io.tidemark.wan.SimilarContent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;
import java.util.zip.CRC32C;

/**
 * Makes parcels of a volume's history: fetches a segment's data and what it replaced, and packs it
 * against a position that the target has acknowledged (R2). Data is fetched for several segments at
 * once, packed for one after the other.
 */
final class Packing {
  /** Ranges of one segment that are read at once. */
  private static final int READS_AT_ONCE = 16;

  private final VolumeName name;
  private final VolumeId volume;
  private final SegmentStore store;
  private final PastContent past;
  private final MicroClock clock;
  private final LaneGauge gauge;
  private final KnownContent known;
  private final SimilarContent similar;
  private final BooleanSupplier takesSimilar;
  private final Executor workers;
  private final ByteBudget budget;
  private final int level;
  private final long baseEveryMicros;
  private final long baseMin;
  private final long after;
  private long base;
  private long baseMicros;

  /**
   * @param known what was sent on this line, and is at the target
   * @param similar where the volume's content was written last
   * @param takesSimilar whether the target can unpack what resembles other blocks
   * @param workers where content is looked up
   * @param budget what is read ahead at most
   * @param baseMin before it, but for the empty base, the sites may differ
   * @param after what the target held when the line was opened; perhaps a part of a segment
   */
  Packing(
      VolumeName name,
      VolumeId volume,
      SegmentStore store,
      PastContent past,
      MicroClock clock,
      LaneGauge gauge,
      KnownContent known,
      SimilarContent similar,
      BooleanSupplier takesSimilar,
      Executor workers,
      ByteBudget budget,
      int level,
      Duration baseEvery,
      long baseMin,
      long after) {
    this.name = name;
    this.volume = volume;
    this.store = store;
    this.past = past;
    this.clock = clock;
    this.gauge = gauge;
    this.known = known;
    this.similar = similar;
    this.takesSimilar = takesSimilar;
    this.workers = workers;
    this.budget = budget;
    this.level = level;
    this.baseEveryMicros = baseEvery.toNanos() / 1_000;
    this.baseMin = baseMin;
    this.after = after;
  }

  /**
   * What an entry is sent as, once it is packed.
   *
   * @param held bytes of the budget that it gives back then
   */
  record Ready(
      JournalEntry entry,
      byte[] data,
      byte[] previous,
      long base,
      SegmentPacker.Similar similar,
      long held) {}

  /** Fetches what packing needs. */
  CompletionStage<Ready> fetch(JournalEntry entry) {
    if (!(entry instanceof JournalEntry.Segment segment)) {
      return CompletableFuture.completedStage(new Ready(entry, null, null, 0, null, 0));
    }
    SegmentMeta meta = segment.meta();
    return budget
        .take(held(meta))
        .thenCompose(
            room -> {
              long against = base();
              return after < meta.firstSeq().value()
                  ? data(segment)
                      .thenCombine(
                          previous(meta, against),
                          (data, previous) ->
                              new Ready(entry, data, previous, against, null, held(meta)))
                  : data(segment)
                      .thenCompose(data -> ready(rest(segment, data), against, held(meta)));
            })
        .thenComposeAsync(this::resembling, workers);
  }

  /** Writes of a segment, and their data. */
  private record Part(JournalEntry.Segment segment, byte[] data) {}

  private CompletionStage<Ready> ready(Part part, long against, long held) {
    return previous(part.segment().meta(), against)
        .thenApply(
            previous -> new Ready(part.segment(), part.data(), previous, against, null, held));
  }

  /** A target that went back to a point within a segment gets the rest of it. */
  private Part rest(JournalEntry.Segment segment, byte[] data) {
    SegmentMeta meta = segment.meta();
    long first = meta.firstSeq().value();
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(meta.kind(), new WriteSeq(after + 1), meta.chunkBytes());
    int from = data.length;
    for (int i = meta.count() - 1; i >= after + 1 - first; i--) {
      from = meta.zero(i) ? from : (int) meta.dataPosition(i);
    }
    for (int i = (int) (after + 1 - first); i < meta.count(); i++) {
      builder.add(meta.timeMicros(i), meta.offset(i), meta.length(i), meta.zero(i));
    }
    byte[] left = Arrays.copyOfRange(data, from, data.length);
    SegmentMeta rest = builder.build(checksums(left, meta.chunkBytes()));
    return new Part(new JournalEntry.Segment(rest, segment.ref(), segment.eventNr()), left);
  }

  private static int[] checksums(byte[] data, int chunkBytes) {
    int[] crcs = new int[(data.length + chunkBytes - 1) / chunkBytes];
    CRC32C crc = new CRC32C();
    for (int i = 0; i < crcs.length; i++) {
      crc.reset();
      crc.update(data, i * chunkBytes, Math.min(chunkBytes, data.length - i * chunkBytes));
      crcs[i] = (int) crc.getValue();
    }
    return crcs;
  }

  /** Of a segment, until it is packed: its data, what that replaced, what it resembles. */
  private static long held(SegmentMeta meta) {
    return 3 * meta.dataBytes();
  }

  /** Adds what the data resembles, as of the same position. */
  private CompletionStage<Ready> resembling(Ready ready) {
    SegmentMeta meta = ((JournalEntry.Segment) ready.entry()).meta();
    long[] blocks = similar.lookUp(meta, ready.data(), ready.previous());
    List<SegmentPacker.Read> reads = SegmentPacker.reads(meta, blocks);
    if (ready.base() == 0 || reads.isEmpty() || !takesSimilar.getAsBoolean()) {
      return CompletableFuture.completedStage(ready);
    }
    byte[] content = new byte[ready.data().length];
    return past.open(name, volume, ready.base())
        .thenCompose(reader -> fill(reads, reader, content, 0))
        .thenApply(
            done ->
                new Ready(
                    ready.entry(),
                    ready.data(),
                    ready.previous(),
                    ready.base(),
                    new SegmentPacker.Similar(blocks, content),
                    ready.held()));
  }

  /** A position that both sites have; the same one for a while, for opening it costs. */
  private synchronized long base() {
    long now = clock.micros();
    if (now - baseMicros > baseEveryMicros) {
      long acked = gauge.ackedSeq();
      base = acked >= baseMin ? acked : 0;
      baseMicros = now;
    }
    return base;
  }

  private CompletionStage<byte[]> data(JournalEntry.Segment segment) {
    SegmentMeta meta = segment.meta();
    byte[] data = new byte[Math.toIntExact(meta.dataBytes())];
    List<CompletableFuture<Void>> reads = new ArrayList<>();
    for (int i = 0; i < meta.chunkCount(); i++) {
      int at = i * meta.chunkBytes();
      reads.add(
          store
              .readChunk(segment.ref(), i)
              .thenAccept(chunk -> chunk.duplicate().get(data, at, chunk.remaining()))
              .toCompletableFuture());
    }
    return CompletableFuture.allOf(reads.toArray(CompletableFuture[]::new)).thenApply(done -> data);
  }

  private CompletionStage<byte[]> previous(SegmentMeta meta, long against) {
    byte[] previous = new byte[Math.toIntExact(meta.dataBytes())];
    if (against == 0 || previous.length == 0) {
      return CompletableFuture.completedStage(previous);
    }
    List<SegmentPacker.Read> reads = new ArrayList<>();
    for (int i = 0; i < meta.count(); i++) {
      if (!meta.zero(i)) {
        reads.add(
            new SegmentPacker.Read(
                meta.offset(i), (int) meta.length(i), (int) meta.dataPosition(i)));
      }
    }
    return past.open(name, volume, against)
        .thenCompose(reader -> fill(reads, reader, previous, 0))
        .thenApply(done -> previous);
  }

  private static CompletionStage<Void> fill(
      List<SegmentPacker.Read> ranges, PointReader reader, byte[] into, int from) {
    List<CompletableFuture<Void>> reads = new ArrayList<>();
    int to = Math.min(ranges.size(), from + READS_AT_ONCE);
    for (SegmentPacker.Read range : ranges.subList(from, to)) {
      reads.add(
          reader
              .read(range.offset(), range.length())
              .thenAccept(bytes -> bytes.duplicate().get(into, range.position(), bytes.remaining()))
              .toCompletableFuture());
    }
    CompletableFuture<Void> all = CompletableFuture.allOf(reads.toArray(CompletableFuture[]::new));
    return to == ranges.size() ? all : all.thenComposeAsync(done -> fill(ranges, reader, into, to));
  }

  /** Packs; for one thread at a time. */
  Parcel pack(Ready ready) {
    if (ready.entry() instanceof JournalEntry.Gap gap) {
      gauge.sent(new Sent(gap.lastSeq(), gap.eventNr(), gap.micros(), gap.micros(), 0, false));
      return new Parcel.Gap(
          new WriteSeq(gap.firstSeq()),
          new WriteSeq(gap.lastSeq()),
          new MicroTime(gap.micros()),
          gap.reason());
    }
    if (ready.entry() instanceof JournalEntry.Synced synced) {
      gauge.sent(new Sent(synced.lastSeq(), synced.eventNr(), 0, 0, 0, true));
      return new Parcel.SyncDone(synced.differentBytes());
    }
    JournalEntry.Segment segment = (JournalEntry.Segment) ready.entry();
    SegmentMeta meta = segment.meta();
    try (SegmentPacker packer = new SegmentPacker(level)) {
      SegmentPacker.Packed packed =
          packer.pack(meta, ready.data(), ready.previous(), ready.base(), known, ready.similar());
      gauge.packed(packed.counts());
      gauge.sent(
          new Sent(
              segment.lastSeq(),
              segment.eventNr(),
              meta.firstTime().micros(),
              meta.lastTime().micros(),
              meta.dataBytes(),
              false));
      return new Parcel.Packed(meta, packed.bytes());
    } finally {
      budget.give(ready.held());
    }
  }

  /** What the throttle counts. */
  static long lineBytes(Parcel parcel) {
    return parcel instanceof Parcel.Packed packed ? packed.bytes().length : 64;
  }
}
