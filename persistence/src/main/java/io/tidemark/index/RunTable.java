package io.tidemark.index;

import io.tidemark.extent.Varints;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.Map;
import java.util.TreeMap;

/**
 * The runs of the segment store that hold data of a volume's history up to its base: how much each
 * was written with, so that its dead share is known. Stored beside the index nodes, named like one.
 * Blocks the calling thread.
 */
public final class RunTable {
  /** Runs of one volume, at most. */
  public static final int RUNS_MAX = 4_000_000;

  private static final int RUNS_PER_BLOCK = 8192;

  /**
   * Names a run: consecutive segments of one session that share partitions. Sessions of taps come
   * first, then those of compactions, both in the order in which they began.
   */
  public record Run(int session, int run) implements Comparable<Run> {
    @Override
    public int compareTo(Run other) {
      int bySession = Integer.compareUnsigned(session, other.session);
      return bySession != 0 ? bySession : Integer.compare(run, other.run);
    }
  }

  /** Data of a run before and after compression, in bytes. */
  public record Size(long rawBytes, long storedBytes) {
    public static final Size NONE = new Size(0, 0);

    public Size plus(Size more) {
      return new Size(rawBytes + more.rawBytes, storedBytes + more.storedBytes);
    }
  }

  /**
   * Where a table is stored.
   *
   * @param id 0 for the empty table, which is not stored
   */
  public record Ref(long id, int blocks) {
    public static final Ref NONE = new Ref(0, 0);
  }

  private RunTable() {}

  /** Stores a table under an id that was never used. */
  public static Ref write(IndexStore store, VolumeId volume, long id, TreeMap<Run, Size> runs) {
    if (runs.size() > RUNS_MAX) {
      throw new Refusal(
          ErrorCode.LIMIT, "the volume has more than %d runs of segments".formatted(RUNS_MAX));
    }
    if (runs.isEmpty()) {
      return Ref.NONE;
    }
    int block = 0;
    Varints.Out out = new Varints.Out(64 << 10);
    int count = 0;
    for (Map.Entry<Run, Size> entry : runs.entrySet()) {
      if (count == RUNS_PER_BLOCK) {
        put(store, volume, id, block++, count, out);
        out = new Varints.Out(64 << 10);
        count = 0;
      }
      out.zigzag(entry.getKey().session()).varint(entry.getKey().run());
      out.varint(entry.getValue().rawBytes()).varint(entry.getValue().storedBytes());
      count++;
    }
    put(store, volume, id, block++, count, out);
    return new Ref(id, block);
  }

  private static void put(
      IndexStore store, VolumeId volume, long id, int block, int count, Varints.Out rows) {
    byte[] bytes = rows.toBytes();
    byte[] content =
        new Varints.Out(bytes.length + 8).varint(count).bytes(bytes, 0, bytes.length).toBytes();
    new Pending<>(
            store.putBlock(
                volume, id, block, NodeFormat.frame(NodeFormat.RUNS, id, block, content)))
        .await();
  }

  /** Reads a table; fails with {@code CORRUPT}. */
  public static TreeMap<Run, Size> read(IndexStore store, VolumeId volume, Ref ref) {
    TreeMap<Run, Size> runs = new TreeMap<>();
    for (int block = 0; block < ref.blocks(); block++) {
      byte[] stored = new Pending<>(store.readBlock(volume, ref.id(), block)).await();
      byte[] content = NodeFormat.content(NodeFormat.RUNS, ref.id(), block, stored);
      NodeFormat.decoded(
          ref.id(),
          block,
          content,
          bytes -> {
            Varints.In in = new Varints.In(bytes, 0);
            int count = in.bounded(RUNS_PER_BLOCK, "runs");
            for (int i = 0; i < count; i++) {
              Run run = new Run((int) in.zigzag(), in.bounded(Integer.MAX_VALUE, "run"));
              runs.put(run, new Size(in.varint(), in.varint()));
            }
            return count;
          });
    }
    return runs;
  }
}
