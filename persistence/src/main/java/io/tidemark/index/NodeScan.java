package io.tidemark.index;

import io.tidemark.extent.ExtentCursor;
import io.tidemark.extent.FencePage;
import io.tidemark.extent.MapBlock;
import io.tidemark.position.VolumeId;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Walks over a stored node's whole map with bounded memory: one map block and {@link #AHEAD} on
 * their way. Passes by the cache; blocks the calling thread. Used once, by one thread.
 */
final class NodeScan extends ExtentCursor {
  static final int AHEAD = 2;

  private final IndexStore store;
  private final VolumeId volume;
  private final long nodeId;
  private final Deque<Step> path = new ArrayDeque<>();
  private final Deque<Read> ahead = new ArrayDeque<>();
  private ExtentCursor block;

  NodeScan(IndexStore store, VolumeId volume, long nodeId, NodeDirectory directory) {
    this.store = store;
    this.volume = volume;
    this.nodeId = nodeId;
    path.push(new Step(directory.root));
  }

  @Override
  public boolean next() {
    while (block == null || !block.next()) {
      MapBlock following = following();
      if (following == null) {
        return false;
      }
      block = following.cursor();
    }
    take(block, block.offset(), block.end());
    return true;
  }

  private MapBlock following() {
    while (ahead.size() <= AHEAD) {
      int number = followingBlock();
      if (number < 0) {
        break;
      }
      ahead.add(new Read(number, new Pending<>(store.readBlock(volume, nodeId, number))));
    }
    if (ahead.isEmpty()) {
      return null;
    }
    Read read = ahead.remove();
    return NodeFormat.mapBlock(nodeId, read.number, read.bytes.await());
  }

  /** Number of the next map block in offset order, -1 after the last. */
  private int followingBlock() {
    while (!path.isEmpty()) {
      Step step = path.peek();
      if (step.at == step.page.count()) {
        path.pop();
        continue;
      }
      int number = step.page.block(step.at++);
      if (step.page.level() == 0) {
        return number;
      }
      byte[] stored = new Pending<>(store.readBlock(volume, nodeId, number)).await();
      path.push(new Step(NodeFormat.fencePage(nodeId, number, stored)));
    }
    return -1;
  }

  private static final class Step {
    private final FencePage page;
    private int at;

    Step(FencePage page) {
      this.page = page;
    }
  }

  private record Read(int number, Pending<byte[]> bytes) {}
}
