package io.tidemark.index;

import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import java.util.ArrayList;
import java.util.List;

/** Journals segments and keeps the frontier as a volume does: a leaf when due, merges when due. */
public final class TestHistory {
  public final VolumeId volume = VolumeId.random();
  public final InMemoryHistory events = new InMemoryHistory();
  public final IndexWriter writer;
  public List<NodeHeader> frontier = List.of();
  public final List<SegmentEntry> unindexed = new ArrayList<>();
  public long headSeq;
  public long headTime;
  private long eventNr;
  private long lastNodeId;
  private int segments;

  public TestHistory(IndexWriter writer) {
    this.writer = writer;
  }

  /** Events that hold no segment. */
  public void otherEvents(int count) {
    eventNr += count;
  }

  public long segmentNumber() {
    return (1L + segments / 1000) << 32 | (segments % 1000);
  }

  public void journal(SegmentMeta meta) {
    SegmentEntry entry = new SegmentEntry(meta, segmentNumber(), ++eventNr);
    segments++;
    events.add(entry);
    unindexed.add(entry);
    headSeq = meta.lastSeq().value();
    headTime = meta.lastTime().micros();
  }

  /** Makes a leaf of the oldest {@code count} segments that have none. */
  public void leaf(int count) {
    List<SegmentEntry> run = List.copyOf(unindexed.subList(0, count));
    NodeHeader leaf = writer.leaf(volume, ++lastNodeId, run).toCompletableFuture().join();
    unindexed.subList(0, count).clear();
    List<NodeHeader> grown = new ArrayList<>(frontier);
    grown.add(leaf);
    frontier = List.copyOf(grown);
  }

  /** Merges what is due. */
  public void merge() {
    var due = Frontier.mergeable(frontier);
    while (due.isPresent()) {
      NodeHeader merged =
          writer.merge(volume, ++lastNodeId, due.get()).toCompletableFuture().join();
      frontier = Frontier.replace(frontier, merged);
      due = Frontier.mergeable(frontier);
    }
    Frontier.check(frontier);
  }

  public long tailFromEventNr() {
    return frontier.isEmpty() ? 1 : frontier.get(frontier.size() - 1).lastEventNr() + 1;
  }

  public long newestEventNr() {
    return eventNr;
  }

  public IndexedHistory indexed() {
    return new IndexedHistory(volume, frontier, events, tailFromEventNr(), eventNr);
  }

  /** A builder for the next segment. */
  public SegmentMeta.Builder next(int chunkBytes) {
    return new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(headSeq + 1), chunkBytes);
  }

  /** The segment with checksums of the right number and no meaning. */
  public static SegmentMeta build(SegmentMeta.Builder builder, int chunkBytes) {
    return builder.build(new int[(int) ((builder.dataBytes() + chunkBytes - 1) / chunkBytes)]);
  }
}
