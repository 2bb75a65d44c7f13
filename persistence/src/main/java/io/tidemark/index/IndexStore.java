package io.tidemark.index;

import io.tidemark.position.VolumeId;
import java.util.concurrent.CompletionStage;

/** Where index nodes are stored, by block; immutable once written. */
public interface IndexStore {
  /** Stores one block of a node; completes when it is durable. */
  CompletionStage<Void> putBlock(VolumeId volume, long nodeId, int block, byte[] data);

  /** Fails with {@code Refusal(CORRUPT)} when the block is missing. */
  CompletionStage<byte[]> readBlock(VolumeId volume, long nodeId, int block);

  CompletionStage<Void> deleteNode(VolumeId volume, long nodeId);
}
