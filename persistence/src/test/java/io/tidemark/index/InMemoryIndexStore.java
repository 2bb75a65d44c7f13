package io.tidemark.index;

import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicLong;

/** An index store in memory that counts and can be tampered with. */
public final class InMemoryIndexStore implements IndexStore {
  /** Names a block. */
  public record Block(VolumeId volume, long nodeId, int number) {}

  public final Map<Block, byte[]> blocks = new ConcurrentHashMap<>();
  public final AtomicLong reads = new AtomicLong();
  public final AtomicLong readBytes = new AtomicLong();
  private final Executor executor;

  /** Completes at once, on the caller's thread. */
  public InMemoryIndexStore() {
    this(Runnable::run);
  }

  public InMemoryIndexStore(Executor executor) {
    this.executor = executor;
  }

  @Override
  public CompletionStage<Void> putBlock(VolumeId volume, long nodeId, int block, byte[] data) {
    return CompletableFuture.runAsync(
        () -> blocks.put(new Block(volume, nodeId, block), data), executor);
  }

  @Override
  public CompletionStage<byte[]> readBlock(VolumeId volume, long nodeId, int block) {
    reads.incrementAndGet();
    return CompletableFuture.supplyAsync(
        () -> {
          byte[] data = blocks.get(new Block(volume, nodeId, block));
          if (data == null) {
            throw new Refusal(ErrorCode.CORRUPT, "no block " + block + " of node " + nodeId);
          }
          readBytes.addAndGet(data.length);
          return data;
        },
        executor);
  }

  @Override
  public CompletionStage<Void> deleteNode(VolumeId volume, long nodeId) {
    blocks.keySet().removeIf(b -> b.volume().equals(volume) && b.nodeId() == nodeId);
    return CompletableFuture.completedFuture(null);
  }

  public long bytes() {
    return blocks.values().stream().mapToLong(b -> b.length).sum();
  }
}
