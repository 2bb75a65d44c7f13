package io.tidemark.taplink;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tidemark.capture.ContentHashes;
import io.tidemark.journal.ContentRun;
import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapStatus;
import io.tidemark.order.OrderKind;
import io.tidemark.position.ByteRange;
import io.tidemark.position.Epoch;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;

/** Frames as bytes: golden, split, cut short, damaged, over their limits. */
class FrameTest {
  private static final UUID ID = new UUID(0x0102030405060708L, 0x090a0b0c0d0e0f10L);

  private static final List<LinkMessage> FROM_TAP =
      List.of(
          new LinkMessage.Hello(1, 1, ID, 1 << 30, "db", "host/unix:x"),
          segment(),
          new LinkMessage.Gap(3, 9, 1_700_000_000_000_000L, "spill full"),
          new LinkMessage.SyncDone(65536),
          new LinkMessage.HashesRequest(7, new ByteRange(65536, 131072), 65536),
          new LinkMessage.Status(new TapStatus(TapStatus.Mode.SPILLING, 1, 2, 3, 4, 5)),
          new LinkMessage.Ping(42),
          new LinkMessage.Pong(43),
          new LinkMessage.Bye("stop"));

  private static final List<LinkMessage> FROM_NODE =
      List.of(
          new LinkMessage.Welcome(
              1,
              new SessionGrant(
                  new VolumeId(ID),
                  1 << 30,
                  new Epoch(2),
                  5,
                  new WriteSeq(77),
                  new MicroTime(1_700_000_000_000_000L),
                  true,
                  false,
                  0,
                  SessionGrant.OLDER_NODE,
                  false),
              16 << 20,
              4 << 20,
              4096),
          new LinkMessage.Hashes(7, ByteBuffer.wrap(new byte[64])),
          new LinkMessage.Ack(3, 80),
          new LinkMessage.Refused(ErrorCode.BUSY, true, "another tap"),
          new LinkMessage.Ping(1),
          new LinkMessage.Pong(2),
          new LinkMessage.Bye("node stops"));

  private static final List<LinkMessage> FROM_TAP_V2 =
      List.of(
          new LinkMessage.ContentHashesAnswer(
              7, new ContentHashes(ContentHashes.State.IDLE, new WriteSeq(80), counting(64))),
          new LinkMessage.ContentHashesAnswer(8, ContentHashes.none(ContentHashes.State.BUSY)));

  private static final List<LinkMessage> FROM_NODE_V2 =
      List.of(new LinkMessage.ContentHashesRequest(7, new ByteRange(65536, 131072), 65536));

  private static final List<LinkMessage> FROM_TAP_V3 =
      List.of(
          LinkMessage.OrderDone.of(0x0102030405060708L, "held".getBytes(US_ASCII)),
          LinkMessage.OrderDone.of(9, new Refusal(ErrorCode.HOLD_TIMEOUT, "too late")));

  private static final List<LinkMessage> FROM_NODE_V3 =
      List.of(
          new LinkMessage.Welcome(
              3,
              new SessionGrant(
                  new VolumeId(ID),
                  1 << 30,
                  new Epoch(2),
                  5,
                  new WriteSeq(77),
                  new MicroTime(1_700_000_000_000_000L),
                  false,
                  true,
                  3,
                  SessionGrant.OLDER_NODE,
                  false),
              16 << 20,
              4 << 20,
              4096),
          new LinkMessage.Order(0x0102030405060708L, OrderKind.HOLD.code(), 900_000, counting(8)),
          new LinkMessage.Order(9, 200, -1, counting(0)));

  private static final List<LinkMessage> FROM_TAP_V4 =
      List.of(
          new LinkMessage.ContentRequest(7, new ByteRange(65536, 131072)),
          new LinkMessage.Status(new TapStatus(TapStatus.Mode.FILLING, 1, 2, 3, 4, 5)));

  private static final List<LinkMessage> FROM_NODE_V4 =
      List.of(
          new LinkMessage.Welcome(
              4,
              new SessionGrant(
                  new VolumeId(ID),
                  1 << 30,
                  new Epoch(2),
                  5,
                  new WriteSeq(77),
                  new MicroTime(1_700_000_000_000_000L),
                  false,
                  true,
                  3,
                  2,
                  true),
              16 << 20,
              4 << 20,
              4096),
          LinkMessage.Content.of(7, new ContentRun(64, counting(64))),
          LinkMessage.Content.of(8, ContentRun.zeroes(65536)),
          LinkMessage.Content.failed(9, "damaged"));

  private static final List<LinkMessage> ALL_FROM_TAP =
      joined(joined(joined(FROM_TAP, FROM_TAP_V2), FROM_TAP_V3), FROM_TAP_V4);
  private static final List<LinkMessage> ALL_FROM_NODE =
      joined(joined(joined(FROM_NODE, FROM_NODE_V2), FROM_NODE_V3), FROM_NODE_V4);

  private static final byte[] DATA =
      "four-k of data, in spirit".getBytes(java.nio.charset.StandardCharsets.US_ASCII);

  private final long seed = Long.getLong("tidemark.seed", System.nanoTime());

  private static List<LinkMessage> joined(List<LinkMessage> some, List<LinkMessage> more) {
    List<LinkMessage> all = new ArrayList<>(some);
    all.addAll(more);
    return all;
  }

  private static ByteBuffer counting(int length) {
    ByteBuffer out = ByteBuffer.allocate(length);
    for (int i = 0; i < length; i++) {
      out.put((byte) i);
    }
    return out.flip();
  }

  private static LinkMessage.Segment segment() {
    byte[] data = "four-k of data, in spirit".getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    CRC32C crc = new CRC32C();
    crc.update(data);
    SegmentMeta meta =
        new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(1), 65536)
            .add(1_700_000_000_000_001L, 512, data.length, false)
            .add(1_700_000_000_000_002L, 4096, 4096, true)
            .build(new int[] {(int) crc.getValue()});
    return new LinkMessage.Segment(meta, ByteBuffer.wrap(meta.encode()));
  }

  private static byte[] bytes(LinkMessage message) {
    boolean data = message instanceof LinkMessage.Segment;
    ByteBuffer head = FrameParser.encode(message.type(), message.encode(), data ? DATA.length : 0);
    ByteBuffer all = ByteBuffer.allocate(head.remaining() + (data ? DATA.length : 0));
    all.put(head);
    if (data) {
      all.put(DATA);
    }
    return all.array();
  }

  private static byte[] stream(List<LinkMessage> messages) {
    ByteBuffer all = ByteBuffer.allocate(1 << 20);
    messages.forEach(message -> all.put(bytes(message)));
    byte[] stream = new byte[all.position()];
    all.flip().get(stream);
    return stream;
  }

  private static List<LinkMessage> parse(LinkEnd from, byte[] stream, int... cuts)
      throws LinkProtocolException {
    FrameParser parser = new FrameParser(from, header -> {});
    List<LinkMessage> read = new ArrayList<>();
    int at = 0;
    for (int i = 0; i <= cuts.length; i++) {
      int to = i == cuts.length ? stream.length : cuts[i];
      parser.feed(ByteBuffer.wrap(stream, at, to - at).slice());
      at = to;
      for (FrameParser.Frame f = parser.next(); f != null; f = parser.next()) {
        read.add(LinkMessage.decode(f));
      }
    }
    return read;
  }

  /** The bytes of version 1 never change: another tap may have been written from the document. */
  @Test
  void shouldKeepTheBytesOfVersionOne() throws Exception {
    assertGolden("/tap-link-v1.hex", joined(FROM_TAP, FROM_NODE));
  }

  /** Nor do those that version 2 adds. */
  @Test
  void shouldKeepTheBytesOfVersionTwo() throws Exception {
    assertGolden("/tap-link-v2.hex", joined(FROM_TAP_V2, FROM_NODE_V2));
  }

  /** Nor those of version 3. */
  @Test
  void shouldKeepTheBytesOfVersionThree() throws Exception {
    assertGolden("/tap-link-v3.hex", joined(FROM_TAP_V3, FROM_NODE_V3));
  }

  /** Nor those of version 4. */
  @Test
  void shouldKeepTheBytesOfVersionFour() throws Exception {
    assertGolden("/tap-link-v4.hex", joined(FROM_TAP_V4, FROM_NODE_V4));
  }

  private static void assertGolden(String resource, List<LinkMessage> messages) throws Exception {
    ByteBuffer golden = ByteBuffer.allocate(1 << 20);
    try (var in = FrameTest.class.getResourceAsStream(resource)) {
      assertNotNull(in, "golden file");
      for (String line :
          new String(in.readAllBytes(), java.nio.charset.StandardCharsets.US_ASCII).split("\n")) {
        golden.put(HexFormat.of().parseHex(line.strip()));
      }
    }
    byte[] expected = new byte[golden.position()];
    golden.flip().get(expected);
    assertEquals(HexFormat.of().formatHex(expected), HexFormat.of().formatHex(stream(messages)));
  }

  @Test
  void shouldReadWhatWasWritten() throws Exception {
    assertSame(ALL_FROM_TAP, parse(LinkEnd.TAP, stream(ALL_FROM_TAP)));
    assertSame(ALL_FROM_NODE, parse(LinkEnd.NODE, stream(ALL_FROM_NODE)));
  }

  private static void assertSame(List<LinkMessage> expected, List<LinkMessage> read) {
    assertEquals(expected.size(), read.size());
    for (int i = 0; i < read.size(); i++) {
      assertArrayEquals(bytes(expected.get(i)), bytes(read.get(i)));
    }
  }

  @Test
  void shouldReadAStreamSplitAtEveryByte() throws Exception {
    byte[] stream = stream(ALL_FROM_TAP);
    for (int cut = 0; cut <= stream.length; cut++) {
      assertSame(ALL_FROM_TAP, parse(LinkEnd.TAP, stream, cut));
    }
    int[] everywhere = new int[stream.length];
    for (int i = 0; i < everywhere.length; i++) {
      everywhere[i] = i;
    }
    assertSame(ALL_FROM_TAP, parse(LinkEnd.TAP, stream, everywhere));
  }

  @Test
  void shouldWaitForTheRestOfAFrameThatIsCutShort() throws Exception {
    for (LinkMessage message : ALL_FROM_TAP) {
      byte[] whole = bytes(message);
      for (int length = 0; length < whole.length; length++) {
        FrameParser parser = new FrameParser(LinkEnd.TAP, header -> {});
        parser.feed(ByteBuffer.wrap(whole, 0, length).slice());
        assertNull(parser.next());
      }
    }
  }

  @Test
  void shouldDetectEveryDamagedByteButThoseOfChunks() {
    for (LinkMessage message : ALL_FROM_TAP) {
      byte[] whole = bytes(message);
      int covered = whole.length - (message instanceof LinkMessage.Segment ? DATA.length : 0);
      for (int i = 0; i < covered; i++) {
        byte[] damaged = whole.clone();
        damaged[i] ^= 0x10;
        assertThrows(
            LinkProtocolException.class, () -> parse(LinkEnd.TAP, damaged), message + " byte " + i);
      }
    }
  }

  @Test
  void shouldRefuseLengthsOverTheLimitsBeforeTheBodyComes() {
    for (FrameType type : FrameType.values()) {
      LinkEnd from = type.from(LinkEnd.TAP) ? LinkEnd.TAP : LinkEnd.NODE;
      long over = type.checkedBytesMax() + 1L;
      assertThrows(LinkProtocolException.class, () -> parse(from, header(type, over, over)));
      long data = type.checkedBytesMax() + (long) type.dataBytesMax() + 1;
      assertThrows(
          LinkProtocolException.class,
          () -> parse(from, header(type, data, type.checkedBytesMax())));
      assertThrows(LinkProtocolException.class, () -> parse(from, header(type, 0, 1)));
      assertThrows(LinkProtocolException.class, () -> parse(from, header(type, -1, 0)));
    }
  }

  private static byte[] header(FrameType type, long body, long checked) {
    ByteBuffer out = ByteBuffer.allocate(FrameParser.HEADER_BYTES);
    out.putInt(FrameParser.MAGIC).put((byte) 1).put((byte) type.code()).putShort((short) 0);
    out.putInt((int) body).putInt((int) checked).putInt(0);
    CRC32C crc = new CRC32C();
    crc.update(out.duplicate().flip());
    return out.putInt((int) crc.getValue()).array();
  }

  @Test
  void shouldRefuseFramesOfTheWrongEnd() {
    assertThrows(
        LinkProtocolException.class, () -> parse(LinkEnd.TAP, bytes(new LinkMessage.Ack(1, 1))));
    assertThrows(
        LinkProtocolException.class, () -> parse(LinkEnd.NODE, bytes(new LinkMessage.SyncDone(1))));
  }

  /** Well-framed nonsense ends in a protocol error, never in anything else. */
  @Test
  void shouldSurviveNonsenseInsideValidFrames() {
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    List<LinkMessage> all = joined(ALL_FROM_TAP, ALL_FROM_NODE);
    for (int i = 0; i < 100_000; i++) {
      LinkMessage message = all.get(random.nextInt(all.size()));
      ByteBuffer body = message.encode();
      byte[] bytes = new byte[body.remaining()];
      body.get(bytes);
      for (int n = random.nextInt(4); n >= 0 && bytes.length > 0; n--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
      }
      int keep = random.nextInt(3) == 0 ? random.nextInt(bytes.length + 1) : bytes.length;
      FrameParser.Frame frame =
          new FrameParser.Frame(
              message.type(), 1, ByteBuffer.wrap(bytes, 0, keep).slice(), List.of());
      try {
        LinkMessage.decode(frame);
      } catch (LinkProtocolException e) {
        assertNotNull(e.getMessage());
      }
    }
  }
}
