package io.tidemark.volume;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.index.NodeHeader;
import io.tidemark.index.RunTable;
import io.tidemark.position.VolumeId;
import io.tidemark.retention.Compaction;
import io.tidemark.retention.Compaction.RunRange;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.segment.SegmentMeta;
import io.tidemark.serialization.TidemarkMessage;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;

/** What has happened to a volume: the journal. Stored for ever, see {@code journal-format.md}. */
public sealed interface VolumeEvent extends TidemarkMessage {

  /**
   * @param timeMicros creation time, the timestamp of the empty base
   */
  @JsonTypeName("volume-created")
  record VolumeCreated(VolumeId volume, long sizeBytes, boolean synchronous, long timeMicros)
      implements VolumeEvent {}

  /**
   * @param session one more than the last
   */
  @JsonTypeName("tap-attached")
  record TapAttached(int session, UUID tapId, String address, long timeMicros)
      implements VolumeEvent {}

  /**
   * @param reason in words
   */
  @JsonTypeName("tap-detached")
  record TapDetached(int session, String reason, long timeMicros) implements VolumeEvent {}

  /**
   * The commit point of a run of writes. What a replay needs stands beside the metadata, so that
   * recovery decodes no extents.
   *
   * @param number where the data is, see {@link io.tidemark.segment.SegmentRef}
   * @param sync whether the content was copied by a synchronisation
   * @param endOffset first byte of the volume after all its writes
   * @param rawBytes data before compression
   * @param storedBytes data after compression
   * @param meta {@link SegmentMeta#encode}
   */
  @JsonTypeName("segment-journaled")
  record SegmentJournaled(
      long number,
      long firstSeq,
      long lastSeq,
      long firstTimeMicros,
      long lastTimeMicros,
      boolean sync,
      long endOffset,
      long rawBytes,
      long storedBytes,
      byte[] meta)
      implements VolumeEvent {

    /** Describes a segment whose data is stored. */
    public static SegmentJournaled of(long number, SegmentMeta meta, long storedBytes) {
      long end = 0;
      for (int i = 0; i < meta.count(); i++) {
        end = Math.max(end, meta.offset(i) + meta.length(i));
      }
      return new SegmentJournaled(
          number,
          meta.firstSeq().value(),
          meta.lastSeq().value(),
          meta.firstTime().micros(),
          meta.lastTime().micros(),
          meta.kind() == io.tidemark.segment.SegmentKind.SYNC,
          end,
          meta.dataBytes(),
          storedBytes,
          meta.encode());
    }

    /** The writes. */
    public SegmentMeta decoded() {
      return SegmentMeta.decode(ByteBuffer.wrap(meta));
    }

    /** Number of writes. */
    long writes() {
      return lastSeq - firstSeq + 1;
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof SegmentJournaled that
          && number == that.number
          && storedBytes == that.storedBytes
          && Arrays.equals(meta, that.meta);
    }

    @Override
    public int hashCode() {
      return Long.hashCode(number) * 31 + Arrays.hashCode(meta);
    }

    @Override
    public String toString() {
      return "SegmentJournaled[%d..%d]".formatted(firstSeq, lastSeq);
    }
  }

  /** The writes {@code firstSeq..lastSeq} were not captured; a synchronisation begins. */
  @JsonTypeName("gap-recorded")
  record GapRecorded(long firstSeq, long lastSeq, long timeMicros, String reason)
      implements VolumeEvent {}

  /**
   * Journal and backing store agree again as of {@code headSeq}.
   *
   * @param differentBytes content that had to be sent
   */
  @JsonTypeName("sync-completed")
  record SyncCompleted(long headSeq, long differentBytes, long timeMicros) implements VolumeEvent {}

  /**
   * The index has a new node in the frontier.
   *
   * @param replaced the nodes of the level below that it stands for, empty for a leaf
   * @param segments segments that a leaf took out of the tail, 0 otherwise
   * @param writes writes that a leaf took out of the tail, 0 otherwise
   */
  @JsonTypeName("index-advanced")
  record IndexAdvanced(NodeHeader node, List<Long> replaced, long segments, long writes)
      implements VolumeEvent {}

  /** A promotion: whoever holds an older epoch may not append (J6). */
  @JsonTypeName("epoch-raised")
  record EpochRaised(long epoch, long timeMicros) implements VolumeEvent {}

  /** The history of the incarnation is forgotten; its storage remains to be freed. */
  @JsonTypeName("volume-deleted")
  record VolumeDeleted(VolumeId volume, long timeMicros) implements VolumeEvent {}

  /** What a broken session stored and never journaled is gone from the segment store. */
  @JsonTypeName("orphans-collected")
  record OrphansCollected(int session) implements VolumeEvent {}

  /** How much history is kept from now on. */
  @JsonTypeName("retention-set")
  record RetentionSet(RetentionPolicy policy, long timeMicros) implements VolumeEvent {}

  /** Somebody reads a point: it is kept until then. */
  @JsonTypeName("point-pinned")
  record PointPinned(String holder, long seq, boolean onward, long untilMicros)
      implements VolumeEvent {}

  /**
   * Pins and tags end.
   *
   * @param holders whose pins end
   * @param tags names of tags whose points are given up
   * @param forced whether the hard cap ended them
   * @param reason in words
   */
  @JsonTypeName("pins-ended")
  record PinsEnded(List<String> holders, List<String> tags, boolean forced, String reason)
      implements VolumeEvent {}

  /** The tags of the volume that are to outlive the window. */
  @JsonTypeName("tags-kept")
  record TagsKept(List<KeptTag> tags) implements VolumeEvent {}

  /** Points before {@code seq} are given up, but for those that a pin or a tag keeps. */
  @JsonTypeName("horizon-moved")
  record HorizonMoved(long seq, long timeMicros) implements VolumeEvent {}

  /**
   * A compaction may store data under its number, and index nodes, from now on.
   *
   * @param firstNode the first of {@code nodes} consecutive ids of index nodes
   */
  @JsonTypeName("compaction-began")
  record CompactionBegan(int attempt, long firstNode, int nodes, long timeMicros)
      implements VolumeEvent {}

  /**
   * The history up to a base has other places. Fields as in {@link Compaction.Outcome}.
   *
   * @param attempt number of the compaction
   */
  @JsonTypeName("history-compacted")
  record HistoryCompacted(
      int attempt,
      NodeHeader base,
      List<NodeHeader> layers,
      List<NodeHeader> after,
      long prefixEndSeq,
      RunTable.Ref runs,
      List<RunRange> freedRuns,
      List<NodeHeader> freedTrees,
      List<Long> freedNodes,
      long segments,
      RunTable.Size copied,
      RunTable.Size freed,
      long timeMicros)
      implements VolumeEvent {

    static HistoryCompacted of(int attempt, Compaction.Outcome outcome, long timeMicros) {
      return new HistoryCompacted(
          attempt,
          outcome.base(),
          outcome.layers(),
          outcome.after(),
          outcome.prefixEndSeq(),
          outcome.runs(),
          outcome.freedRuns(),
          outcome.freedTrees(),
          outcome.freedNodes(),
          outcome.segments(),
          outcome.copied(),
          outcome.freed(),
          timeMicros);
    }
  }

  /** What the oldest compaction that had anything left to be deleted gave up is gone. */
  @JsonTypeName("history-freed")
  record HistoryFreed() implements VolumeEvent {}

  /** The storage of a deleted incarnation is gone. */
  @JsonTypeName("storage-freed")
  record StorageFreed(VolumeId volume) implements VolumeEvent {}

  /** The volume is written by one link only, from another site. */
  @JsonTypeName("replica-made")
  record ReplicaMade(UUID link, String origin, long timeMicros) implements VolumeEvent {}

  /** Nobody writes the volume any more. */
  @JsonTypeName("volume-fenced")
  record VolumeFenced(String reason, long timeMicros) implements VolumeEvent {}

  /**
   * A tap may write the volume; comes with the {@link EpochRaised} of the epoch that begins.
   *
   * @param branch the line of history that it goes on with
   */
  @JsonTypeName("volume-promoted")
  record VolumePromoted(String branch, boolean forced, long timeMicros) implements VolumeEvent {}

  /** From now on a tap needs a lease to acknowledge writes, or needs none any more. */
  @JsonTypeName("write-leased")
  record WriteLeased(boolean on, long timeMicros) implements VolumeEvent {}

  /** A replica goes on with a line of history, as its source does. */
  @JsonTypeName("branch-followed")
  record BranchFollowed(String branch) implements VolumeEvent {}

  /**
   * What was written after {@code keptSeq} is another line of history from now on.
   *
   * @param branch its name
   * @param keptTimeMicros the time of {@code keptSeq}
   * @param tailSegments segments of the kept history that its index does not hold
   * @param tailWrites writes of theirs
   */
  @JsonTypeName("history-forked")
  record HistoryForked(
      String branch,
      long keptSeq,
      long keptTimeMicros,
      long tailSegments,
      long tailWrites,
      String reason,
      long timeMicros)
      implements VolumeEvent {}
}
