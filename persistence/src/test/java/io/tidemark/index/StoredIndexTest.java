package io.tidemark.index;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.extent.ExtentCursor;
import io.tidemark.extent.ExtentMap;
import io.tidemark.extent.WriteOverlay;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.Test;

class StoredIndexTest {
  private static final int CHUNK = 4096;
  private static final long END = 1L << 40;

  private final InMemoryIndexStore store = new InMemoryIndexStore();
  private final TestHistory history = new TestHistory(writer(store));

  private static StoredIndexWriter writer(IndexStore store) {
    return new StoredIndexWriter(store, Runnable::run);
  }

  private StoredIndexReader reader() {
    return new StoredIndexReader(store, Runnable::run, 64 << 20);
  }

  private static <T> T join(CompletionStage<T> stage) {
    return stage.toCompletableFuture().join();
  }

  private static ErrorCode refusal(CompletionStage<?> stage) {
    CompletionException failure = assertThrows(CompletionException.class, () -> join(stage));
    return ((Refusal) failure.getCause()).code();
  }

  private void journal(long offset, long length, boolean zero) {
    SegmentMeta.Builder builder = history.next(CHUNK);
    builder.add(1000 * (history.headSeq + 1), offset, length, zero);
    history.journal(TestHistory.build(builder, CHUNK));
  }

  private ExtentMap head() {
    return join(join(reader().snapshot(history.indexed(), history.headSeq)).resolve(0, END));
  }

  /** Stored bytes of version 1 are read by today's code, and today's code writes the same. */
  @Test
  void shouldReadAndWriteGoldenNodes() throws IOException {
    for (int i = 0; i < IndexWriter.FAN_OUT * 2; i++) {
      journal(4096L * (i * 5 % 11), 4096L * (1 + i % 3), i % 4 == 3);
    }
    for (int i = 0; i < IndexWriter.FAN_OUT; i++) {
      history.leaf(2);
    }
    List<NodeHeader> leaves = history.frontier;
    history.merge();
    NodeHeader inner = history.frontier.get(0);
    assertEquals(2, inner.level());
    for (NodeHeader node : List.of(leaves.get(0), inner)) {
      for (int block = 0; block < node.blocks(); block++) {
        String name = "level-%d-block-%d.v1.hex".formatted(node.level(), block);
        byte[] written = stored(node, block);
        byte[] golden = golden(name, written);
        int kind = block == 0 ? NodeFormat.HEADER : NodeFormat.MAP;
        assertArrayEquals(
            NodeFormat.content(kind, node.id(), block, golden),
            NodeFormat.content(kind, node.id(), block, written),
            name);
        store.blocks.put(new InMemoryIndexStore.Block(history.volume, node.id(), block), golden);
      }
    }
    WriteOverlay expected = new WriteOverlay();
    join(history.events.segments(1, 16))
        .forEach(e -> expected.add(e.meta(), e.segmentNumber(), Long.MAX_VALUE - 1));
    assertEquals(expected.map(), head());
  }

  private byte[] stored(NodeHeader node, int block) {
    return store.blocks.get(new InMemoryIndexStore.Block(history.volume, node.id(), block));
  }

  /** Reads a golden file; {@code -Dtidemark.golden=DIR} writes it instead, for a new version. */
  private static byte[] golden(String name, byte[] written) throws IOException {
    String dir = System.getProperty("tidemark.golden");
    if (dir != null) {
      Files.writeString(Path.of(dir, name), HexFormat.of().formatHex(written) + "\n");
      return written;
    }
    try (InputStream in = StoredIndexTest.class.getResourceAsStream("/golden/index/" + name)) {
      assertTrue(in != null, "no golden file " + name);
      return HexFormat.of()
          .parseHex(new String(in.readAllBytes(), StandardCharsets.US_ASCII).strip());
    }
  }

  /** No damaged byte and no cut gets past the checksums. */
  @Test
  void shouldDetectDamageAnywhere() {
    for (int i = 0; i < 16; i++) {
      journal(4096L * i, 8192, i % 3 == 0);
    }
    for (int i = 0; i < 8; i++) {
      history.leaf(2);
    }
    history.merge();
    NodeHeader node = history.frontier.get(0);
    for (int block = 0; block < node.blocks(); block++) {
      InMemoryIndexStore.Block key = new InMemoryIndexStore.Block(history.volume, node.id(), block);
      byte[] right = store.blocks.get(key);
      for (int at = 0; at < right.length; at++) {
        byte[] damaged = right.clone();
        damaged[at] ^= (byte) (1 << (at % 8));
        store.blocks.put(key, damaged);
        assertEquals(ErrorCode.CORRUPT, refusal(readHead()));
        store.blocks.put(key, java.util.Arrays.copyOf(right, at));
        assertEquals(ErrorCode.CORRUPT, refusal(readHead()));
      }
      store.blocks.remove(key);
      assertEquals(ErrorCode.CORRUPT, refusal(readHead()));
      store.blocks.put(key, right);
    }
    InMemoryIndexStore.Block first = new InMemoryIndexStore.Block(history.volume, node.id(), 0);
    store.blocks.put(first, stored(node, 1));
    assertEquals(ErrorCode.CORRUPT, refusal(readHead()));
    store.blocks.put(first, store.blocks.get(new InMemoryIndexStore.Block(history.volume, 1, 0)));
    assertEquals(ErrorCode.CORRUPT, refusal(readHead()));
  }

  private CompletableFuture<ExtentMap> readHead() {
    return reader()
        .snapshot(history.indexed(), history.headSeq)
        .thenCompose(snapshot -> snapshot.resolve(0, END));
  }

  @Test
  void shouldRefuseAnotherNodeUnderTheSameId() {
    journal(0, 4096, false);
    history.leaf(1);
    NodeHeader right = history.frontier.get(0);
    NodeHeader wrong =
        new NodeHeader(
            right.id(), 1, 1, 2, 1000, 2000, 1, 2, 1, right.blocks(), right.storedBytes());
    history.frontier = List.of(wrong);
    assertEquals(ErrorCode.CORRUPT, refusal(readHead()));
  }

  @Test
  void shouldRefuseInputOutOfOrder() {
    journal(0, 4096, false);
    journal(0, 4096, false);
    List<SegmentEntry> two = List.copyOf(history.unindexed);
    VolumeId volume = history.volume;
    IndexWriter writer = writer(store);
    assertEquals(
        ErrorCode.INVALID, refusal(writer.leaf(volume, 1, List.of(two.get(1), two.get(0)))));
    assertEquals(ErrorCode.INVALID, refusal(writer.leaf(volume, 1, List.of())));
    assertEquals(ErrorCode.INVALID, refusal(writer.merge(volume, 1, List.of())));
    NodeHeader first = join(writer.leaf(volume, 1, two.subList(0, 1)));
    NodeHeader second = join(writer.leaf(volume, 2, two.subList(1, 2)));
    assertEquals(ErrorCode.INVALID, refusal(writer.merge(volume, 3, List.of(second, first))));
  }

  /** The same node built twice is the same bytes, so a crash in between does no harm. */
  @Test
  void shouldBuildTheSameBytesAgain() {
    Random random = new Random(5);
    for (int i = 0; i < 50; i++) {
      journal(512L * random.nextInt(100), 512L * (1 + random.nextInt(20)), i % 7 == 0);
    }
    NodeHeader once = join(writer(store).leaf(history.volume, 9, history.unindexed));
    List<byte[]> blocks = new ArrayList<>();
    for (int i = 0; i < once.blocks(); i++) {
      blocks.add(stored(once, i));
    }
    assertEquals(once, join(writer(store).leaf(history.volume, 9, history.unindexed)));
    for (int i = 0; i < once.blocks(); i++) {
      assertArrayEquals(blocks.get(i), stored(once, i));
    }
    assertEquals(once.storedBytes(), blocks.stream().mapToLong(b -> b.length).sum());
  }

  /** A leaf of very many tiny segments has a header of several pieces. */
  @Test
  void shouldCutALargeHeaderIntoPieces() {
    Random random = new Random(6);
    int count = StoredIndexWriter.LEAF_SEGMENTS_MAX;
    long time = 0;
    for (int i = 0; i < count; i++) {
      SegmentMeta.Builder builder = history.next(CHUNK);
      time += random.nextLong(1L << 40);
      builder.add(time, 4096L * random.nextInt(1000), 4096, false);
      history.journal(TestHistory.build(builder, CHUNK));
    }
    history.leaf(count);
    StoredIndexReader reader = reader();
    for (int seq : new int[] {1, 777, count / 2, count - 1}) {
      SegmentMeta meta = join(history.events.segments(seq, seq)).get(0).meta();
      long micros = meta.firstTime().micros();
      assertEquals(seq, join(reader.atTime(history.indexed(), micros)).seq());
      assertEquals(micros, join(reader.atSeq(history.indexed(), seq)).timeMicros());
    }
    store.reads.set(0);
    join(reader().atSeq(history.indexed(), 5));
    assertTrue(store.reads.get() > 1, "pieces: " + store.reads.get());
  }

  /** A node of over a million extents has fences of two levels; merging it streams. */
  @Test
  void shouldFindItsWayThroughTwoLevelsOfFences() {
    SyntheticHistory synthetic = new SyntheticHistory(3, 16_000, 1L << 28);
    List<SegmentEntry> entries = new ArrayList<>();
    for (int i = 1; i <= 70; i++) {
      entries.add(synthetic.segment(i));
    }
    NodeHeader leaf = join(writer(store).leaf(synthetic.volume, 1, entries));
    NodeHeader inner = join(writer(store).merge(synthetic.volume, 2, List.of(leaf)));
    assertEquals(leaf.extents(), inner.extents());
    assertTrue(leaf.extents() > 256 * 4096);
    WriteOverlay overlay = new WriteOverlay();
    entries.forEach(e -> overlay.add(e.meta(), e.segmentNumber(), Long.MAX_VALUE - 1));
    ExtentMap expected = overlay.map();
    for (NodeHeader node : List.of(leaf, inner)) {
      IndexedHistory indexed =
          new IndexedHistory(synthetic.volume, List.of(node), synthetic, 71, 70);
      IndexSnapshot snapshot = join(reader().snapshot(indexed, node.lastSeq()));
      store.reads.set(0);
      Random random = new Random(9);
      for (int i = 0; i < 200; i++) {
        long from = random.nextLong(1L << 40);
        long to = from + (1L << random.nextInt(30));
        assertEquals(ExtentMap.of(expected.cursor(from, to)), join(snapshot.resolve(from, to)));
      }
      checkParts(snapshot, expected);
      long offset = expected.offset(expected.size() / 2);
      store.reads.set(0);
      join(join(reader().snapshot(indexed, node.lastSeq())).resolve(offset, offset + 4096));
      assertEquals(3, store.reads.get(), "header, fences, map");
    }
  }

  private static void checkParts(IndexSnapshot snapshot, ExtentMap expected) {
    ExtentMap.Builder joined = new ExtentMap.Builder(16);
    int parts = 0;
    for (long at = 0; at < END; parts++) {
      IndexSnapshot.Part part = join(snapshot.resolvePart(at, END, 0));
      assertTrue(part.end() > at && part.end() <= END);
      assertTrue(part.map().size() <= IndexSnapshot.PART_BLOCKS_MAX * 4096);
      ExtentCursor cursor = part.map().cursor();
      while (cursor.next()) {
        joined.add(cursor);
      }
      at = part.end();
    }
    assertEquals(expected, joined.build());
    assertTrue(parts < 100, "parts: " + parts);
  }

  @Test
  void shouldServeAnEmptyNode() {
    journal(0, 0, false);
    history.leaf(1);
    assertEquals(0, head().size());
    assertEquals(1, history.frontier.get(0).blocks());
  }
}
