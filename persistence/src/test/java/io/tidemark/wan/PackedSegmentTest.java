package io.tidemark.wan;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.index.TestSeed;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;

/** Segments packed against a source's history and unpacked against a target's, byte for byte. */
class PackedSegmentTest {
  private static final int VOLUME_BYTES = 1 << 20;
  private static final int CHUNK_BYTES = 128 << 10;

  /** A frame of the link beyond its body. */
  private static final int FRAME_BYTES = 24;

  private final long seed = TestSeed.next("PackedSegmentTest");
  private final Random random = new Random(seed);

  /** A volume's whole history, small enough to be replayed to any position. */
  private final class History {
    private final List<long[]> ranges = new ArrayList<>();
    private final List<byte[]> contents = new ArrayList<>();
    private final byte[] disk = new byte[VOLUME_BYTES];

    long head() {
      return ranges.size();
    }

    byte[] at(long seq) {
      byte[] image = new byte[VOLUME_BYTES];
      for (int i = 0; i < seq; i++) {
        apply(image, ranges.get(i), contents.get(i));
      }
      return image;
    }

    private void apply(byte[] image, long[] range, byte[] content) {
      int from = (int) range[0];
      int length = (int) range[1];
      if (content == null) {
        Arrays.fill(image, from, from + length, (byte) 0);
      } else {
        System.arraycopy(content, 0, image, from, length);
      }
    }

    void write(long offset, byte[] content) {
      ranges.add(new long[] {offset, content.length});
      contents.add(content);
      apply(disk, ranges.get(ranges.size() - 1), content);
    }

    void zero(long offset, long length) {
      ranges.add(new long[] {offset, length});
      contents.add(null);
      apply(disk, ranges.get(ranges.size() - 1), null);
    }
  }

  private record Segment(SegmentMeta meta, byte[] data) {}

  private Segment segment(History history, long fromSeq) {
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(fromSeq), CHUNK_BYTES);
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    for (long seq = fromSeq; seq <= history.head(); seq++) {
      long[] range = history.ranges.get((int) seq - 1);
      byte[] content = history.contents.get((int) seq - 1);
      builder.add(1_700_000_000_000_000L + seq * 137, range[0], range[1], content == null);
      if (content != null) {
        data.writeBytes(content);
      }
    }
    byte[] bytes = data.toByteArray();
    int[] crcs = new int[(bytes.length + CHUNK_BYTES - 1) / CHUNK_BYTES];
    CRC32C crc = new CRC32C();
    for (int i = 0; i < crcs.length; i++) {
      crc.reset();
      crc.update(bytes, i * CHUNK_BYTES, Math.min(CHUNK_BYTES, bytes.length - i * CHUNK_BYTES));
      crcs[i] = (int) crc.getValue();
    }
    return new Segment(builder.build(crcs), bytes);
  }

  private static byte[] previous(SegmentMeta meta, byte[] image) {
    byte[] previous = new byte[(int) meta.dataBytes()];
    for (int i = 0; i < meta.count(); i++) {
      if (!meta.zero(i)) {
        System.arraycopy(
            image,
            (int) meta.offset(i),
            previous,
            (int) meta.dataPosition(i),
            (int) meta.length(i));
      }
    }
    return previous;
  }

  private static byte[] older(PackedSegment packed, History target) {
    byte[] older = new byte[(int) packed.meta().dataBytes()];
    new Random(1).nextBytes(older); // what is not needed may be anything
    for (PackedSegment.Need need : packed.needs()) {
      assertTrue(need.seq() <= packed.baseSeq(), need.toString());
      System.arraycopy(
          target.at(need.seq()), (int) need.offset(), older, need.position(), need.length());
    }
    return older;
  }

  private byte[] text(int length) {
    StringBuilder text = new StringBuilder();
    while (text.length() < length) {
      text.append("customer ").append(random.nextInt(100_000)).append(" owes nothing; ");
    }
    return text.substring(0, length).getBytes(StandardCharsets.US_ASCII);
  }

  private byte[] noise(int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  /** One write or zero range of a kind that real programs make. */
  private void step(History history) {
    int block = random.nextInt(VOLUME_BYTES / 4096);
    int at = block * 4096;
    byte[] page = Arrays.copyOfRange(history.disk, at, at + 4096);
    switch (random.nextInt(9)) {
      case 0 -> { // some bytes of a page
        for (int i = 0; i < 12; i++) {
          page[random.nextInt(4096)] = (byte) random.nextInt();
        }
        history.write(at, page);
      }
      case 1 -> { // a record inserted into a page
        int where = random.nextInt(3500);
        System.arraycopy(page, where, page, where + 40, 4096 - where - 40);
        System.arraycopy(text(40), 0, page, where, 40);
        history.write(at, page);
      }
      case 2 -> { // a copy from elsewhere
        int from = random.nextInt(VOLUME_BYTES / 4096 - 8) * 4096;
        int to = random.nextInt(VOLUME_BYTES / 4096 - 8) * 4096;
        history.write(to, Arrays.copyOfRange(history.disk, from, from + 8 * 4096));
      }
      case 3 -> history.write(at, noise(4096 * (1 + random.nextInt(Math.min(4, 256 - block)))));
      case 4 -> history.write(at, text(4096));
      case 5 -> history.write(random.nextInt(VOLUME_BYTES / 512 - 3) * 512L, text(1536));
      case 6 -> history.zero(at, 4096L * (1 + random.nextInt(256 - block)));
      case 7 -> history.write(at, page);
      default -> history.write(at, new byte[4096]);
    }
  }

  /** Reads the blocks that pieces may resemble as of the base. */
  private static SegmentPacker.Similar similar(
      Segment segment, byte[] previous, byte[] image, SimilarContent memory) {
    long[] blocks = memory.lookUp(segment.meta, segment.data, previous);
    byte[] content = new byte[segment.data.length];
    for (SegmentPacker.Read read : SegmentPacker.reads(segment.meta, blocks)) {
      System.arraycopy(image, (int) read.offset(), content, read.position(), read.length());
    }
    return new SegmentPacker.Similar(blocks, content);
  }

  @Test
  void everySegmentComesBackAsItWas() {
    History history = new History();
    KnownContent known = new KnownContent(1024);
    SimilarContent memory = new SimilarContent(1024);
    PackCounts counts = new PackCounts();
    try (SegmentPacker packer = new SegmentPacker(3)) {
      while (history.head() < 3_000) {
        long first = history.head() + 1;
        int writes = 1 + random.nextInt(60);
        for (int i = 0; i < writes; i++) {
          step(history);
        }
        Segment segment = segment(history, first);
        long base = Math.max(0, first - 1 - random.nextInt(80));
        byte[] image = history.at(base);
        byte[] previous = previous(segment.meta, image);
        SegmentPacker.Similar similar =
            base == 0 ? null : similar(segment, previous, image, memory);
        SegmentPacker.Packed packed =
            packer.pack(segment.meta, segment.data, previous, base, known, similar);
        counts.add(packed.counts());
        assertEquals(segment.data.length, packed.counts().rawBytes());
        assertEquals(packed.bytes().length, packed.counts().sentBytes());
        long byKind = packed.counts().headBytes();
        for (PieceKind kind : PieceKind.values()) {
          byKind += packed.counts().lineBytes(kind);
        }
        assertEquals(packed.counts().sentBytes(), byKind);
        assertTrue(
            packed.bytes().length
                <= segment.data.length
                    + SegmentPacker.OVERHEAD_BYTES_MAX
                    + SegmentPacker.OVERHEAD_BYTES_A_WRITE_MAX * segment.meta.count()
                    + 4 * segment.meta.chunkCount(),
            () -> "W2: " + packed.counts());
        PackedSegment arrived = PackedSegment.read(packed.bytes());
        assertEquals(segment.meta, arrived.meta());
        assertArrayEquals(segment.data, arrived.unpack(older(arrived, history)));
      }
    }
    for (PieceKind kind : PieceKind.values()) {
      assertTrue(counts.pieces(kind) > 0, () -> kind + " never chosen: " + counts);
    }
    assertTrue(counts.sentBytes() * 2 < counts.rawBytes(), counts::toString);
  }

  /**
   * Offsets and lengths that are no multiples of a sector, and noise: nothing helps, little is
   * added.
   */
  @Test
  void noiseCostsLittle() {
    History history = new History();
    for (int i = 0; i < 200; i++) {
      history.write(random.nextInt(VOLUME_BYTES - 5000), noise(1 + random.nextInt(5000)));
    }
    Segment segment = segment(history, 1);
    try (SegmentPacker packer = new SegmentPacker(3)) {
      SegmentPacker.Packed packed =
          packer.pack(segment.meta, segment.data, new byte[segment.data.length], 0, null);
      assertTrue(packed.bytes().length < segment.data.length * 1.02, packed.counts()::toString);
      PackedSegment arrived = PackedSegment.read(packed.bytes());
      assertArrayEquals(segment.data, arrived.unpack(new byte[segment.data.length]));
    }
  }

  /**
   * From a single block to a segment of megabytes, first writes and overwrites, with all that the
   * packer may try: what cannot be made smaller takes at most a fiftieth more on the line, the
   * frame's header and checksum included.
   */
  @Test
  void noiseOnTheLineTakesAtMostAFiftiethMore() {
    KnownContent known = new KnownContent(1024);
    SimilarContent memory = new SimilarContent(1024);
    byte[] image = noise(VOLUME_BYTES);
    long raw = 0;
    long line = 0;
    try (SegmentPacker packer = new SegmentPacker(3)) {
      for (int blocks : new int[] {1, 2, 3, 16, 100, 256}) {
        for (int step = 1; step <= blocks; step *= 4) {
          History history = new History();
          history.write(0, image);
          for (int i = 0; i < blocks; i += step) {
            int writeBlocks = Math.min(step, blocks - i);
            int block = random.nextInt(VOLUME_BYTES / 4096 - writeBlocks + 1);
            history.write(block * 4096L, noise(writeBlocks * 4096));
          }
          Segment segment = segment(history, 2);
          byte[] previous = previous(segment.meta, image);
          SegmentPacker.Packed packed =
              packer.pack(
                  segment.meta,
                  segment.data,
                  previous,
                  1,
                  known,
                  similar(segment, previous, image, memory));
          int sent = FRAME_BYTES + packed.bytes().length;
          assertTrue(
              sent <= segment.data.length * 1.02,
              () -> sent + " of " + segment.data.length + ": " + packed.counts());
          raw += segment.data.length;
          line += sent;
        }
      }
    }
    assertTrue(line <= raw * 1.002, line + " of " + raw);
  }

  @Test
  void pagesOfADatabaseShrinkTenfold() {
    History history = new History();
    history.write(0, text(VOLUME_BYTES / 2));
    history.write(VOLUME_BYTES / 2, noise(VOLUME_BYTES / 2));
    long base = history.head();
    for (int i = 0; i < 400; i++) {
      int at = random.nextInt(VOLUME_BYTES / 4096) * 4096;
      byte[] page = Arrays.copyOfRange(history.disk, at, at + 4096);
      for (int k = 0; k < 60; k++) {
        page[1000 + k] = (byte) random.nextInt();
      }
      history.write(at, page);
    }
    Segment segment = segment(history, base + 1);
    try (SegmentPacker packer = new SegmentPacker(3)) {
      PackCounts counts =
          packer
              .pack(
                  segment.meta, segment.data, previous(segment.meta, history.at(base)), base, null)
              .counts();
      assertTrue(counts.sentBytes() * 10 < counts.rawBytes(), counts::toString);
    }
  }

  /**
   * Pages go to a doublewrite area before they go home: what is written there is like what stands
   * at home. A target that knows version 1 only gets nothing else.
   */
  @Test
  void pagesWrittenTwiceShrinkToo() {
    History history = new History();
    history.write(0, noise(VOLUME_BYTES / 2));
    Segment first = segment(history, 1);
    SimilarContent memory = new SimilarContent(1024);
    byte[] empty = new byte[VOLUME_BYTES];
    memory.lookUp(first.meta, first.data, empty);
    long base = history.head();
    byte[] image = history.at(base);
    for (int i = 0; i < 40; i++) {
      int at = random.nextInt(VOLUME_BYTES / 8192) * 4096;
      byte[] page = Arrays.copyOfRange(history.disk, at, at + 4096);
      int where = random.nextInt(3500);
      System.arraycopy(page, where, page, where + 30, 4096 - where - 30);
      System.arraycopy(noise(30), 0, page, where, 30);
      history.write(VOLUME_BYTES - 4096L * (i + 1), page);
    }
    Segment segment = segment(history, base + 1);
    byte[] previous = previous(segment.meta, image);
    try (SegmentPacker packer = new SegmentPacker(3)) {
      SegmentPacker.Packed packed =
          packer.pack(
              segment.meta,
              segment.data,
              previous,
              base,
              null,
              similar(segment, previous, image, memory));
      assertEquals(40, packed.counts().pieces(PieceKind.SIMILAR));
      assertTrue(
          packed.counts().sentBytes() * 10 < packed.counts().rawBytes(), packed.counts()::toString);
      assertEquals(SegmentPacker.VERSION_SIMILAR, packed.bytes()[0]);
      PackedSegment arrived = PackedSegment.read(packed.bytes());
      assertArrayEquals(segment.data, arrived.unpack(older(arrived, history)));
      SegmentPacker.Packed plain = packer.pack(segment.meta, segment.data, previous, base, null);
      assertEquals(SegmentPacker.VERSION, plain.bytes()[0]);
      assertTrue(
          plain.counts().sentBytes() * 2 > plain.counts().rawBytes(), plain.counts()::toString);
    }
  }

  /** W1: damage and a wrong base are refused or harmless, never served. */
  @Test
  void damageIsNeverServed() {
    History history = new History();
    for (int i = 0; i < 40; i++) {
      step(history);
    }
    long base = history.head();
    for (int i = 0; i < 60; i++) {
      step(history);
    }
    Segment segment = segment(history, base + 1);
    byte[] packed;
    try (SegmentPacker packer = new SegmentPacker(3)) {
      byte[] previous = previous(segment.meta, history.at(base));
      packed =
          packer.pack(segment.meta, segment.data, previous, base, new KnownContent(64)).bytes();
    }
    for (int i = 0; i < 3_000; i++) {
      byte[] damaged = packed.clone();
      if (random.nextInt(4) == 0) {
        damaged = Arrays.copyOf(damaged, random.nextInt(damaged.length));
      } else {
        for (int k = 0; k <= random.nextInt(3); k++) {
          damaged[random.nextInt(damaged.length)] ^= (byte) (1 << random.nextInt(8));
        }
      }
      try {
        PackedSegment arrived = PackedSegment.read(damaged);
        byte[] older = new byte[(int) arrived.meta().dataBytes()];
        for (PackedSegment.Need need : arrived.needs()) {
          if (need.offset() + need.length() <= VOLUME_BYTES && need.seq() <= history.head()) {
            System.arraycopy(
                history.at(need.seq()), (int) need.offset(), older, need.position(), need.length());
          }
        }
        byte[] data = arrived.unpack(older);
        if (arrived.meta().equals(segment.meta)) {
          assertArrayEquals(segment.data, data);
        }
      } catch (Refusal refused) {
        assertEquals(ErrorCode.CORRUPT, refused.code());
      }
    }
    PackedSegment arrived = PackedSegment.read(packed);
    byte[] wrong = older(arrived, history);
    PackedSegment.Need need = arrived.needs().get(0);
    wrong[need.position()] ^= 1;
    assertEquals(
        ErrorCode.CORRUPT, assertThrows(Refusal.class, () -> arrived.unpack(wrong)).code());
  }

  @Test
  void whatIsForgottenIsNotReferredTo() {
    KnownContent known = new KnownContent(16);
    byte[] block = noise(4096);
    known.put(known.hash(block, 0, 4096), 7, 3);
    assertEquals(new KnownContent.Place(7, 3), known.find(known.hash(block, 0, 4096), 7));
    assertEquals(null, known.find(known.hash(block, 0, 4096), 6));
    known.keep(8, 20);
    assertEquals(null, known.find(known.hash(block, 0, 4096), 20));
    for (int i = 1; i <= 1_000; i++) {
      known.put(known.hash(noise(4096), 0, 4096), i, i);
    }
    known.put(known.hash(block, 0, 4096), 1_001, 3);
    assertEquals(new KnownContent.Place(1_001, 3), known.find(known.hash(block, 0, 4096), 2_000));
  }
}
