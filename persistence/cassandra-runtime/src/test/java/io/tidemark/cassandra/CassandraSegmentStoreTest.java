package io.tidemark.cassandra;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.cql.Row;
import io.tidemark.cassandra.TestSegments.Segment;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentRef;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The segment store on a real Cassandra. */
class CassandraSegmentStoreTest {
  private static final long SEED = Long.getLong("tidemark.seed", 20_261_123L);

  private final VolumeId volume = VolumeId.random();
  private CassandraSegmentStore store;

  @BeforeEach
  void open() {
    System.out.println("seed " + SEED + " (-Dtidemark.seed)");
    store = new CassandraSegmentStore(TestCassandra.session(), TestCassandra.sharedSettings(), 2);
  }

  @AfterEach
  void close() {
    store.close();
  }

  private static <T> T await(CompletionStage<T> stage) {
    return stage.toCompletableFuture().join();
  }

  private static Refusal refused(CompletionStage<?> stage) {
    CompletionException e = assertThrows(CompletionException.class, () -> await(stage));
    return (Refusal) e.getCause();
  }

  private void assertReads(Segment segment) {
    for (int i = 0; i < segment.meta().chunkCount(); i++) {
      assertEquals(segment.chunk(i), await(store.readChunk(segment.ref(), i)));
    }
  }

  @Test
  void shouldReadBackWhatWasStored() {
    Random random = new Random(SEED);
    List<Segment> segments = new ArrayList<>();
    List<CompletableFuture<Long>> stored = new ArrayList<>();
    int[] lengths = {1, 512, 65_535, 65_536, 65_537, 3 << 20, 9 << 20};
    for (int i = 0; i < 40; i++) {
      Segment segment =
          TestSegments.segment(volume, 1, i, lengths[random.nextInt(lengths.length)], SEED);
      segments.add(segment);
      stored.add(
          store.store(segment.ref(), segment.meta(), segment.pieces(random)).toCompletableFuture());
    }
    for (int i = 0; i < segments.size(); i++) {
      assertTrue(stored.get(i).join() > 0);
      assertReads(segments.get(i));
    }
  }

  @Test
  void shouldRefuseDataThatDoesNotMatchItsChecksums() {
    Segment segment = TestSegments.segment(volume, 1, 0, 200_000, SEED);
    segment.bytes()[150_000] ^= 1;
    assertEquals(
        ErrorCode.CORRUPT,
        refused(store.store(segment.ref(), segment.meta(), segment.data())).code());
    List<ByteBuffer> shortened = List.of(ByteBuffer.wrap(segment.bytes(), 0, 100_000));
    assertEquals(
        ErrorCode.CORRUPT, refused(store.store(segment.ref(), segment.meta(), shortened)).code());
  }

  @Test
  void shouldNeverServeDamagedSwappedOrMissingRows() {
    Segment segment = TestSegments.segment(volume, 1, 0, 200_000, SEED);
    await(store.store(segment.ref(), segment.meta(), segment.data()));
    String where = " WHERE volume = %s AND session = 1 AND run = 0 AND part = 0".formatted(volume);
    String table = TestCassandra.sharedSettings().keyspace() + ".segment_chunk";
    Row row =
        TestCassandra.session()
            .execute("SELECT data FROM " + table + where + " AND ordinal = 0 AND chunk = 1")
            .one();
    byte[] data = bytes(row.getByteBuffer(0));
    String update = "UPDATE " + table + " SET data = ?" + where + " AND ordinal = 0 AND chunk = ";

    TestCassandra.session().execute(update + 0, ByteBuffer.wrap(data));
    Refusal swapped = refused(store.readChunk(segment.ref(), 0));
    assertEquals(ErrorCode.CORRUPT, swapped.code());
    assertTrue(swapped.getMessage().contains("holds chunk 1"), swapped.getMessage());

    data[data.length / 2] ^= 4;
    TestCassandra.session().execute(update + 1, ByteBuffer.wrap(data));
    assertEquals(ErrorCode.CORRUPT, refused(store.readChunk(segment.ref(), 1)).code());

    TestCassandra.session()
        .execute("DELETE FROM " + table + where + " AND ordinal = 0 AND chunk = 2");
    Refusal missing = refused(store.readChunk(segment.ref(), 2));
    assertTrue(missing.getMessage().contains("missing"), missing.getMessage());
    assertEquals(segment.chunk(3), await(store.readChunk(segment.ref(), 3)));
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    return bytes;
  }

  @Test
  void shouldDeleteOrphansAndNothingElse() {
    List<Segment> segments = new ArrayList<>();
    for (int ordinal : new int[] {0, 15, 16, 20, 21, 31, 32, 100}) {
      Segment segment = TestSegments.segment(volume, 3, ordinal, 5 << 20, SEED);
      await(store.store(segment.ref(), segment.meta(), segment.data()));
      segments.add(segment);
    }
    Segment otherSession = TestSegments.segment(volume, 4, 50, 100, SEED);
    await(store.store(otherSession.ref(), otherSession.meta(), otherSession.data()));

    await(store.deleteOrphans(new SegmentRef(volume, SegmentRef.number(3, 21))));

    for (Segment segment : segments) {
      if (segment.ref().ordinal() < 21) {
        assertReads(segment);
      } else {
        assertEquals(ErrorCode.CORRUPT, refused(store.readChunk(segment.ref(), 0)).code());
        assertEquals(ErrorCode.CORRUPT, refused(store.readChunk(segment.ref(), 79)).code());
      }
    }
    assertReads(otherSession);
  }

  @Test
  void shouldDeleteEverythingOfAVolume() {
    VolumeId other = VolumeId.random();
    Segment kept = TestSegments.segment(other, 1, 0, 100_000, SEED);
    await(store.store(kept.ref(), kept.meta(), kept.data()));
    for (int session = 1; session <= 3; session++) {
      // Ordinals far apart: several buckets of runs, and more than a page of them.
      for (int ordinal = 0; ordinal < 16 * 300; ordinal += 16) {
        Segment segment = TestSegments.segment(volume, session, ordinal, 100, SEED);
        await(store.store(segment.ref(), segment.meta(), segment.data()));
      }
      Segment far = TestSegments.segment(volume, session, 1_000_000, 3 << 20, SEED);
      await(store.store(far.ref(), far.meta(), far.data()));
    }
    await(store.deleteVolume(volume, 3));
    for (String table : List.of("segment_chunk", "segment_run", "segment_bucket")) {
      String query =
          "SELECT volume FROM %s.%s WHERE volume = %s ALLOW FILTERING"
              .formatted(TestCassandra.sharedSettings().keyspace(), table, volume);
      assertEquals(0, TestCassandra.session().execute(query).all().size(), table);
    }
    assertReads(kept);
  }

  @Test
  void shouldKeepIndexBlocks() {
    CassandraIndexStore index =
        new CassandraIndexStore(TestCassandra.session(), TestCassandra.sharedSettings());
    byte[] block = {1, 2, 3};
    await(index.putBlock(volume, 7, 0, block));
    await(index.putBlock(volume, 7, 1, new byte[1 << 20]));
    await(index.putBlock(volume, 8, 0, block));
    assertEquals(ByteBuffer.wrap(block), ByteBuffer.wrap(await(index.readBlock(volume, 7, 0))));
    assertEquals(1 << 20, await(index.readBlock(volume, 7, 1)).length);
    await(index.deleteNode(volume, 7));
    assertEquals(ErrorCode.CORRUPT, refused(index.readBlock(volume, 7, 0)).code());
    assertEquals(3, await(index.readBlock(volume, 8, 0)).length);
  }
}
