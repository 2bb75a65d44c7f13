package io.tidemark.testsite;

import io.tidemark.index.IndexStore;
import io.tidemark.index.IndexWriter;
import io.tidemark.index.NodeHeader;
import io.tidemark.index.SegmentEntry;
import io.tidemark.position.VolumeId;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/** Headers without maps: which segments each node covers is what the volume is tested for. */
public final class MemoryIndex implements IndexWriter, IndexStore {
  public final Set<Long> nodes = ConcurrentHashMap.newKeySet();
  public final List<Long> indexedSegments = new CopyOnWriteArrayList<>();
  public final AtomicInteger failBuilds = new AtomicInteger();

  /** While not null, builds wait for it. */
  public volatile CompletableFuture<Void> gate = CompletableFuture.completedFuture(null);

  @Override
  public CompletionStage<NodeHeader> leaf(
      VolumeId volume, long nodeId, List<SegmentEntry> segments) {
    if (failBuilds.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
      return CompletableFuture.failedFuture(new IOException("injected: no leaf"));
    }
    SegmentEntry first = segments.get(0);
    SegmentEntry last = segments.get(segments.size() - 1);
    return gate.thenApply(
        open -> {
          nodes.add(nodeId);
          segments.forEach(s -> indexedSegments.add(s.segmentNumber()));
          return new NodeHeader(
              nodeId,
              1,
              first.meta().firstSeq().value(),
              last.meta().lastSeq().value(),
              first.meta().firstTime().micros(),
              last.meta().lastTime().micros(),
              first.eventNr(),
              last.eventNr(),
              segments.size(),
              1,
              100);
        });
  }

  @Override
  public CompletionStage<NodeHeader> merge(
      VolumeId volume, long nodeId, List<NodeHeader> children) {
    if (failBuilds.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
      return CompletableFuture.failedFuture(new IOException("injected: no merge"));
    }
    NodeHeader first = children.get(0);
    NodeHeader last = children.get(children.size() - 1);
    return gate.thenApply(
        open -> {
          nodes.add(nodeId);
          return new NodeHeader(
              nodeId,
              first.level() + 1,
              first.firstSeq(),
              last.lastSeq(),
              first.firstTimeMicros(),
              last.lastTimeMicros(),
              first.firstEventNr(),
              last.lastEventNr(),
              children.size(),
              1,
              100);
        });
  }

  @Override
  public CompletionStage<Void> putBlock(VolumeId volume, long nodeId, int block, byte[] data) {
    return CompletableFuture.completedStage(null);
  }

  @Override
  public CompletionStage<byte[]> readBlock(VolumeId volume, long nodeId, int block) {
    return CompletableFuture.completedStage(new byte[0]);
  }

  @Override
  public CompletionStage<Void> deleteNode(VolumeId volume, long nodeId) {
    nodes.remove(nodeId);
    return CompletableFuture.completedStage(null);
  }
}
