package io.tidemark.replication;

import akka.NotUsed;
import akka.stream.BoundedSourceQueue;
import akka.stream.QueueOfferResult;
import akka.stream.javadsl.Source;
import io.tidemark.point.PointReader;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.LaneGauge.Sent;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.wan.SegmentPacker;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.zip.CRC32C;

/**
 * Brings a target to the content of one position at once, instead of by its history: a gap, writes
 * that carry what differs and end with that position, and the word that this was all.
 */
final class ContentSync {
  /** Data of one write, as long as there are seqs for all. */
  static final int WRITE_BYTES = 1 << 20;

  /** Data of one write at most, however few seqs there are. */
  static final int WRITE_BYTES_MAX = 32 << 20;

  private static final int CHUNK_BYTES = 64 << 10;
  private static final int QUESTIONS_MAX = 64;

  /**
   * What is to be done.
   *
   * @param afterSeq where the target is
   * @param toSeq the position whose content it is to have
   * @param toMicros its time
   * @param open whether the target's gap is open already
   */
  record Task(long afterSeq, long toSeq, long toMicros, boolean open) {}

  private final Task task;
  private final PointReader source;
  private final LaneGauge gauge;
  private final int level;
  private final Map<Integer, CompletableFuture<ByteBuffer>> asked = new ConcurrentHashMap<>();
  private final AtomicInteger questions = new AtomicInteger();
  private final CompletableFuture<Source<Parcel, NotUsed>> writes = new CompletableFuture<>();

  ContentSync(Task task, PointReader source, LaneGauge gauge, int level) {
    this.task = task;
    this.source = source;
    this.gauge = gauge;
    this.level = level;
  }

  /** An answer came. */
  void heard(LinkNews.Hashes hashes) {
    CompletableFuture<ByteBuffer> question = asked.remove(hashes.id());
    if (question != null) {
      question.complete(hashes.hashes());
    }
  }

  /** The questions, then what the answers say is missing. */
  Source<Parcel, NotUsed> parcels(Function<Comparison.Target, Comparison> with) {
    return Source.<Parcel>queue(QUESTIONS_MAX)
        .mapMaterializedValue(queue -> compare(queue, with))
        .concatLazy(
            Source.completionStageSource(writes).mapMaterializedValue(n -> NotUsed.getInstance()))
        .mapMaterializedValue(done -> NotUsed.getInstance());
  }

  private NotUsed compare(
      BoundedSourceQueue<Parcel> queue, Function<Comparison.Target, Comparison> with) {
    Comparison comparison = with.apply((range, block) -> ask(queue, range, block));
    CompletionStage<List<ByteRange>> found =
        task.afterSeq() == 0 && !task.open() ? comparison.written() : comparison.run();
    found
        .thenApply(this::plan)
        .whenComplete(
            (planned, failure) -> {
              queue.complete();
              if (failure == null) {
                writes.complete(planned);
              } else {
                writes.completeExceptionally(failure);
              }
            });
    return NotUsed.getInstance();
  }

  private CompletionStage<ByteBuffer> ask(
      BoundedSourceQueue<Parcel> queue, ByteRange range, int blockBytes) {
    int id = questions.incrementAndGet();
    CompletableFuture<ByteBuffer> answer = new CompletableFuture<>();
    asked.put(id, answer);
    QueueOfferResult offered = queue.offer(new Parcel.AskHashes(id, range, blockBytes));
    if (!offered.isEnqueued()) {
      answer.completeExceptionally(
          new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the line ended during the comparison"));
    }
    return answer;
  }

  private Source<Parcel, NotUsed> plan(List<ByteRange> different) {
    long free = task.toSeq() - task.afterSeq() - (task.open() ? 0 : 1);
    if (different.isEmpty() && task.toSeq() == task.afterSeq()) {
      if (task.open()) {
        return Source.single(done(0));
      }
      gauge.resynced();
      return Source.empty();
    }
    List<ByteRange> ranges = fitted(different, free);
    long firstWrite = task.toSeq() - ranges.size() + 1;
    List<Parcel> gap = new ArrayList<>();
    if (firstWrite - 1 > task.afterSeq()) {
      gauge.sent(new Sent(firstWrite - 1, 0, task.toMicros(), task.toMicros(), 0, false));
      gap.add(
          new Parcel.Gap(
              new WriteSeq(task.afterSeq() + 1),
              new WriteSeq(firstWrite - 1),
              new MicroTime(task.toMicros()),
              "the sites are synchronised by comparison"));
    }
    long bytes = ranges.stream().mapToLong(ByteRange::length).sum();
    Source<Parcel, NotUsed> content =
        Source.from(ranges)
            .zipWithIndex()
            .mapAsync(2, place -> read(place.first(), firstWrite + place.second()))
            .map(this::pack);
    return Source.from(gap).concat(content).concatLazy(Source.lazySingle(() -> done(bytes)));
  }

  private Parcel done(long bytes) {
    gauge.sent(new Sent(task.toSeq(), 0, task.toMicros(), task.toMicros(), 0, true));
    return new Parcel.SyncDone(bytes);
  }

  /** As many writes as there are seqs, at most: what lies between two ranges may be sent along. */
  static List<ByteRange> fitted(List<ByteRange> different, long free) {
    long gap = 0;
    for (int writeBytes = WRITE_BYTES; writeBytes <= WRITE_BYTES_MAX; writeBytes *= 2) {
      List<ByteRange> cut = cut(near(different, gap), writeBytes);
      if (cut.size() <= free) {
        return cut;
      }
      gap = writeBytes;
    }
    throw new Refusal(
        ErrorCode.INVALID,
        ("the replica differs in %d places and has no seqs left to tell it so: delete the replica,"
                + " and the link makes it anew")
            .formatted(different.size()));
  }

  private static List<ByteRange> near(List<ByteRange> ranges, long gapMax) {
    List<ByteRange> all = new ArrayList<>();
    for (ByteRange range : ranges) {
      ByteRange last = all.isEmpty() ? null : all.get(all.size() - 1);
      if (last != null && range.offset() - last.end() <= gapMax) {
        all.set(all.size() - 1, new ByteRange(last.offset(), range.end() - last.offset()));
      } else {
        all.add(range);
      }
    }
    return all;
  }

  private static List<ByteRange> cut(List<ByteRange> ranges, int writeBytes) {
    List<ByteRange> all = new ArrayList<>();
    for (ByteRange range : ranges) {
      for (long offset = range.offset(); offset < range.end(); offset += writeBytes) {
        all.add(new ByteRange(offset, Math.min(writeBytes, range.end() - offset)));
      }
    }
    return all;
  }

  private record Content(ByteRange range, long seq, byte[] data) {}

  private CompletionStage<Content> read(ByteRange range, long seq) {
    return source
        .read(range.offset(), (int) range.length())
        .thenApply(
            bytes -> {
              byte[] data = new byte[(int) range.length()];
              bytes.duplicate().get(data);
              return new Content(range, seq, data);
            });
  }

  private Parcel pack(Content content) {
    ByteRange range = content.range();
    byte[] data = content.data();
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(SegmentKind.SYNC, new WriteSeq(content.seq()), CHUNK_BYTES);
    builder.add(task.toMicros(), range.offset(), range.length(), false);
    int[] crcs = new int[(data.length + CHUNK_BYTES - 1) / CHUNK_BYTES];
    CRC32C crc = new CRC32C();
    for (int i = 0; i < crcs.length; i++) {
      crc.reset();
      crc.update(data, i * CHUNK_BYTES, Math.min(CHUNK_BYTES, data.length - i * CHUNK_BYTES));
      crcs[i] = (int) crc.getValue();
    }
    SegmentMeta meta = builder.build(crcs);
    try (SegmentPacker packer = new SegmentPacker(level)) {
      SegmentPacker.Packed packed = packer.pack(meta, data, new byte[data.length], 0, null);
      gauge.packed(packed.counts());
      gauge.sent(new Sent(content.seq(), 0, task.toMicros(), task.toMicros(), data.length, false));
      return new Parcel.Packed(meta, packed.bytes());
    }
  }
}
