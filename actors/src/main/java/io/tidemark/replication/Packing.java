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
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
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
  private final ByteBudget budget;
  private final int level;
  private final long baseEveryMicros;
  private final long baseMin;
  private final long after;
  private long base;
  private long baseMicros;

  /**
   * @param known what was sent on this line, and is at the target
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
  record Ready(JournalEntry entry, byte[] data, byte[] previous, long base, long held) {}

  /** Fetches what packing needs. */
  CompletionStage<Ready> fetch(JournalEntry entry) {
    if (!(entry instanceof JournalEntry.Segment segment)) {
      return CompletableFuture.completedStage(new Ready(entry, null, null, 0, 0));
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
                          (data, previous) -> new Ready(entry, data, previous, against, held(meta)))
                  : data(segment)
                      .thenCompose(data -> ready(rest(segment, data), against, held(meta)));
            });
  }

  /** Writes of a segment, and their data. */
  private record Part(JournalEntry.Segment segment, byte[] data) {}

  private CompletionStage<Ready> ready(Part part, long against, long held) {
    return previous(part.segment().meta(), against)
        .thenApply(previous -> new Ready(part.segment(), part.data(), previous, against, held));
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

  /** Of a segment, until it is packed: its data and what that replaced. */
  private static long held(SegmentMeta meta) {
    return 2 * meta.dataBytes();
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
    return past.open(name, volume, against)
        .thenCompose(reader -> fill(meta, reader, previous, 0))
        .thenApply(done -> previous);
  }

  private static CompletionStage<Void> fill(
      SegmentMeta meta, PointReader reader, byte[] previous, int from) {
    List<CompletableFuture<Void>> reads = new ArrayList<>();
    int next = from;
    for (; next < meta.count() && reads.size() < READS_AT_ONCE; next++) {
      if (!meta.zero(next)) {
        int at = (int) meta.dataPosition(next);
        reads.add(
            reader
                .read(meta.offset(next), (int) meta.length(next))
                .thenAccept(bytes -> bytes.duplicate().get(previous, at, bytes.remaining()))
                .toCompletableFuture());
      }
    }
    int rest = next;
    CompletableFuture<Void> all = CompletableFuture.allOf(reads.toArray(CompletableFuture[]::new));
    return rest == meta.count()
        ? all
        : all.thenComposeAsync(done -> fill(meta, reader, previous, rest));
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
          packer.pack(meta, ready.data(), ready.previous(), ready.base(), known);
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
