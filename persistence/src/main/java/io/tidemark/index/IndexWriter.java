package io.tidemark.index;

import io.tidemark.position.VolumeId;
import java.util.List;
import java.util.concurrent.CompletionStage;

/** Builds and stores index nodes. */
public interface IndexWriter {
  /** Nodes of one level that are merged into one of the next. */
  int FAN_OUT = 8;

  /**
   * Stores a leaf over consecutive segments.
   *
   * @return its header, once every block is durable (X3)
   */
  CompletionStage<NodeHeader> leaf(VolumeId volume, long nodeId, List<SegmentEntry> segments);

  /** Stores the node that covers {@code children}, which are consecutive nodes of one level. */
  CompletionStage<NodeHeader> merge(VolumeId volume, long nodeId, List<NodeHeader> children);
}
