package io.tidemark.nbd.connection;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.nbd.MemoryExport;
import io.tidemark.nbd.NbdRequest.Command;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.nbd.protocol.Nbd;
import io.tidemark.nbd.protocol.NbdLimits;
import io.tidemark.nbd.slab.MemoryBudget;
import io.tidemark.nbd.slab.SlabPool;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Whole conversations as bytes: what the client sends and the exact answer. */
class ConnectionTest {
  private static final int SIZE = 1 << 20;
  private static final int RW_FLAGS = 0x0d6d;
  private static final int DF = 0x80;

  private final MemoryExport disk = new MemoryExport("disk", SIZE, false, 1);
  private final MemoryExport fixed = new MemoryExport("fixed", SIZE, true, 512);
  private final SlabPool pool = new SlabPool(0);
  private final MemoryBudget budget = new MemoryBudget(64 << 20);
  private final Shared shared =
      new Shared(
          MemoryExport.exports(disk, fixed),
          NbdServerSettings.defaults(),
          pool,
          budget,
          Runnable::run);

  private byte[] answer(byte[] script, int firstStep, int step) {
    ScriptedTransport client = new ScriptedTransport(script, firstStep, step);
    new Connection("test", client, shared).run();
    assertTrue(client.closed());
    assertEquals(0, pool.lentBytes(), "every slab is given back");
    assertEquals(0, budget.usedBytes(), "all counted memory is given back");
    return client.answers();
  }

  private void expect(Frames answers, Frames script) {
    byte[] sent = script.bytes();
    byte[] wanted = answers.bytes();
    byte[] before = disk.disk().clone();
    byte[] whole = answer(sent, sent.length, sent.length);
    assertEquals(hex(wanted), hex(whole), "sent at once");
    byte[] after = disk.disk().clone();
    System.arraycopy(before, 0, disk.disk(), 0, before.length);
    assertArrayEquals(wanted, answer(sent, 0, 1), "sent byte by byte");
    assertArrayEquals(after, disk.disk());
    for (int split = 1; split < sent.length; split += sent.length > 4000 ? 97 : 1) {
      System.arraycopy(before, 0, disk.disk(), 0, before.length);
      assertArrayEquals(wanted, answer(sent, split, sent.length), "split at byte " + split);
      assertArrayEquals(after, disk.disk(), "split at byte " + split);
    }
  }

  private static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }

  private static Frames greeting() {
    return new Frames().hex("4e42444d41474943 49484156454f5054 0003");
  }

  private static Frames hello() {
    return new Frames().hex("00000003");
  }

  private static byte[] exportInfo(int size, int flags) {
    return new Frames().u16(Nbd.INFO_EXPORT).u64(size).u16(flags).bytes();
  }

  /** The shortest way into the transmission phase, simple replies. */
  private static Frames plain() {
    return hello().option(Nbd.OPT_EXPORT_NAME, "disk".getBytes());
  }

  private static Frames plainAnswer() {
    return greeting().u64(SIZE).u16(RW_FLAGS);
  }

  private static Frames structured(String name) {
    return hello()
        .option(Nbd.OPT_STRUCTURED_REPLY)
        .contexts(Nbd.OPT_SET_META_CONTEXT, name, Nbd.BASE_ALLOCATION)
        .info(Nbd.OPT_GO, name);
  }

  private static Frames structuredAnswer(int flags) {
    byte[] context = new Frames().u32(1).text(Nbd.BASE_ALLOCATION).bytes();
    return greeting()
        .optionReply(Nbd.OPT_STRUCTURED_REPLY, Nbd.REP_ACK)
        .optionReply(Nbd.OPT_SET_META_CONTEXT, Nbd.REP_META_CONTEXT, context)
        .optionReply(Nbd.OPT_SET_META_CONTEXT, Nbd.REP_ACK)
        .optionReply(Nbd.OPT_GO, Nbd.REP_INFO, exportInfo(SIZE, flags))
        .optionReply(Nbd.OPT_GO, Nbd.REP_ACK);
  }

  private static byte[] error(int code, String message) {
    return new Frames().u32(code).u16(message.length()).text(message).bytes();
  }

  /** The bytes of the specification's own layout, written out once in full. */
  @Test
  void shouldMatchGoldenBytes() {
    Frames script =
        new Frames()
            .hex("00000003")
            .hex("49484156454f5054 00000007 0000000a 00000004 6469736b 0000")
            .hex("25609513 0000 0001 1122334455667788 0000000000001000 00000004 cafebabe")
            .hex("25609513 0000 0000 1122334455667789 0000000000000fff 00000006")
            .hex("25609513 0000 0002 0000000000000000 0000000000000000 00000000");
    Frames answers =
        new Frames()
            .hex("4e42444d41474943 49484156454f5054 0003")
            .hex("0003e889045565a9 00000007 00000003 0000000c 0000 0000000000100000 0d6d")
            .hex("0003e889045565a9 00000007 00000001 00000000")
            .hex("67446698 00000000 1122334455667788")
            .hex("67446698 00000000 1122334455667789 00cafebabe00");
    expect(answers, script);
  }

  @Test
  void shouldSendZeroesAfterExportNameUnlessToldNotTo() {
    Frames script = new Frames().hex("00000001").option(Nbd.OPT_EXPORT_NAME, "disk".getBytes());
    expect(greeting().u64(SIZE).u16(RW_FLAGS).raw(new byte[124]), script);
  }

  @Test
  void shouldListAndDescribe() {
    Frames script =
        hello()
            .option(Nbd.OPT_LIST)
            .info(Nbd.OPT_INFO, "fixed", 1, 2, 3, 3, 77)
            .info(Nbd.OPT_INFO, "none")
            .option(Nbd.OPT_ABORT);
    int fixedFlags = 0x050f;
    byte[] blocks = new Frames().u16(3).u32(512).u32(4096).u32(32 << 20).bytes();
    expect(
        greeting()
            .optionReply(3, Nbd.REP_SERVER, new Frames().string("disk").text("in memory").bytes())
            .optionReply(3, Nbd.REP_SERVER, new Frames().string("fixed").text("in memory").bytes())
            .optionReply(3, Nbd.REP_ACK)
            .optionReply(6, Nbd.REP_INFO, exportInfo(SIZE, fixedFlags))
            .optionReply(6, Nbd.REP_INFO, new Frames().u16(1).text("fixed").bytes())
            .optionReply(6, Nbd.REP_INFO, new Frames().u16(2).text("in memory").bytes())
            .optionReply(6, Nbd.REP_INFO, blocks)
            .optionReply(6, Nbd.REP_ACK)
            .optionReply(6, Nbd.REP_ERR_UNKNOWN, "no such export".getBytes())
            .optionReply(2, Nbd.REP_ACK),
        script);
  }

  @Test
  void shouldAnswerUnknownMalformedAndOversizedOptions() {
    Frames script =
        hello()
            .option(4711, new byte[100])
            .option(Nbd.OPT_LIST, (byte) 1)
            .option(Nbd.OPT_STRUCTURED_REPLY, (byte) 1)
            .option(Nbd.OPT_GO, (byte) 0, (byte) 0, (byte) 0)
            .option(Nbd.OPT_GO, new Frames().u32(-1).u16(0).bytes())
            .option(Nbd.OPT_GO, new Frames().string("disk").u16(2).u16(0).bytes())
            .option(Nbd.OPT_STARTTLS)
            .contexts(Nbd.OPT_SET_META_CONTEXT, "disk")
            .option(99, new byte[NbdLimits.OPTION_BYTES_MAX + 1])
            .option(Nbd.OPT_ABORT);
    expect(
        greeting()
            .optionReply(4711, Nbd.REP_ERR_UNSUP, "unknown option 4711".getBytes())
            .optionReply(3, Nbd.REP_ERR_INVALID, "LIST carries no data".getBytes())
            .optionReply(8, Nbd.REP_ERR_INVALID, "STRUCTURED_REPLY carries no data".getBytes())
            .optionReply(7, Nbd.REP_ERR_INVALID, "malformed export name".getBytes())
            .optionReply(7, Nbd.REP_ERR_INVALID, "malformed export name".getBytes())
            .optionReply(7, Nbd.REP_ERR_INVALID, "malformed information requests".getBytes())
            .optionReply(5, Nbd.REP_ERR_POLICY, "this server is not configured for TLS".getBytes())
            .optionReply(10, Nbd.REP_ERR_INVALID, "contexts need structured replies".getBytes())
            .optionReply(99, Nbd.REP_ERR_TOO_BIG, "option data longer than 32768 bytes".getBytes())
            .optionReply(2, Nbd.REP_ACK),
        script);
  }

  @Test
  void shouldOfferContexts() {
    Frames script =
        hello()
            .option(Nbd.OPT_STRUCTURED_REPLY)
            .option(Nbd.OPT_STRUCTURED_REPLY)
            .contexts(Nbd.OPT_LIST_META_CONTEXT, "disk")
            .contexts(Nbd.OPT_LIST_META_CONTEXT, "disk", "base:")
            .contexts(Nbd.OPT_LIST_META_CONTEXT, "disk", "qemu:")
            .contexts(Nbd.OPT_SET_META_CONTEXT, "disk", "base:")
            .contexts(Nbd.OPT_SET_META_CONTEXT, "none", "base:allocation")
            .option(Nbd.OPT_ABORT);
    byte[] listed = new Frames().u32(0).text("base:allocation").bytes();
    expect(
        greeting()
            .optionReply(8, Nbd.REP_ACK)
            .optionReply(8, Nbd.REP_ERR_INVALID, "structured replies are on already".getBytes())
            .optionReply(9, Nbd.REP_META_CONTEXT, listed)
            .optionReply(9, Nbd.REP_ACK)
            .optionReply(9, Nbd.REP_META_CONTEXT, listed)
            .optionReply(9, Nbd.REP_ACK)
            .optionReply(9, Nbd.REP_ACK)
            .optionReply(10, Nbd.REP_ACK)
            .optionReply(10, Nbd.REP_ERR_UNKNOWN, "no such export".getBytes())
            .optionReply(2, Nbd.REP_ACK),
        script);
  }

  @Test
  void shouldRefuseWithTheErrorsOfTheSpecification() {
    Frames script =
        plain()
            .request(0, Nbd.CMD_READ, 1, SIZE - 1, 2)
            .request(0, Nbd.CMD_WRITE, 2, SIZE - 1, 2)
            .raw(new byte[2])
            .request(0, Nbd.CMD_WRITE_ZEROES, 3, SIZE, 1)
            .request(0, Nbd.CMD_TRIM, 4, -1, 1)
            .request(0, 77, 5, 0, 0)
            .request(Nbd.CMD_FLAG_DF, Nbd.CMD_READ, 6, 0, 1)
            .request(0, Nbd.CMD_BLOCK_STATUS, 7, 0, 1)
            .request(0, Nbd.CMD_READ, 8, 0, (32 << 20) + 1)
            .request(0, Nbd.CMD_FLUSH, 9, 0, 1)
            .request(0, Nbd.CMD_CACHE, 10, 0, 0xffffffffL)
            .request(0, Nbd.CMD_READ, 11, 5, 0)
            .request(0, Nbd.CMD_FLUSH, 12, 0, 0);
    expect(
        plainAnswer()
            .simple(22, 1)
            .simple(28, 2)
            .simple(28, 3)
            .simple(22, 4)
            .simple(22, 5)
            .simple(22, 6)
            .simple(22, 7)
            .simple(22, 8)
            .simple(22, 9)
            .simple(22, 10)
            .simple(0, 11)
            .simple(0, 12),
        script);
    assertFalse(disk.sawAny(Command.WRITE) || disk.sawAny(Command.READ));
  }

  @Test
  void shouldKeepAReadOnlyExportAsItIs() {
    Frames script =
        structured("fixed")
            .request(0, Nbd.CMD_WRITE, 1, 0, 512)
            .raw(new byte[512])
            .request(0, Nbd.CMD_TRIM, 2, 0, 512)
            .request(0, Nbd.CMD_READ, 3, 0, 511)
            .request(0, Nbd.CMD_FLUSH, 4, 0, 0);
    expect(
        structuredAnswer(0x058f)
            .chunk(1, Nbd.REPLY_ERROR, 1, error(1, "the export is read-only"))
            .chunk(1, Nbd.REPLY_ERROR, 2, error(1, "the export is read-only"))
            .chunk(
                1, Nbd.REPLY_ERROR, 3, error(22, "not a multiple of the smallest block, 512 bytes"))
            .simple(0, 4),
        script);
  }

  @Test
  void shouldSkipAnOversizedWriteAndGoOn() {
    byte[] sent =
        plain()
            .request(0, Nbd.CMD_WRITE, 1, 0, (32 << 20) + 1)
            .raw(new byte[(32 << 20) + 1])
            .request(0, Nbd.CMD_FLUSH, 2, 0, 0)
            .bytes();
    byte[] wanted = plainAnswer().simple(22, 1).simple(0, 2).bytes();
    assertEquals(hex(wanted), hex(answer(sent, sent.length, sent.length)));
  }

  @Test
  void shouldDropAClientThatAnnouncesTooMuch() {
    byte[] sent = plain().request(0, Nbd.CMD_WRITE, 1, 0, 0xffffffffL).bytes();
    assertEquals(hex(plainAnswer().bytes()), hex(answer(sent, sent.length, sent.length)));
  }

  @Test
  void shouldReadHolesAsChunks() {
    disk.disk()[0] = 1;
    disk.disk()[8192] = 2;
    byte[] first = new Frames().u64(0).raw(Arrays.copyOf(disk.disk(), 4096)).bytes();
    byte[] third = new Frames().u64(8192).raw(Arrays.copyOfRange(disk.disk(), 8192, 12288)).bytes();
    byte[] whole = new Frames().u64(0).raw(Arrays.copyOf(disk.disk(), 12288)).bytes();
    Frames script =
        structured("disk")
            .request(0, Nbd.CMD_READ, 1, 0, 12288)
            .request(Nbd.CMD_FLAG_DF, Nbd.CMD_READ, 2, 0, 12288)
            .request(0, Nbd.CMD_READ, 3, 65536, 4096)
            .request(0, Nbd.CMD_READ, 4, 65536, 0);
    expect(
        structuredAnswer(RW_FLAGS | DF)
            .chunk(0, Nbd.REPLY_OFFSET_DATA, 1, first)
            .chunk(0, Nbd.REPLY_OFFSET_HOLE, 1, new Frames().u64(4096).u32(4096).bytes())
            .chunk(1, Nbd.REPLY_OFFSET_DATA, 1, third)
            .chunk(1, Nbd.REPLY_OFFSET_DATA, 2, whole)
            .chunk(1, Nbd.REPLY_OFFSET_HOLE, 3, new Frames().u64(65536).u32(4096).bytes())
            .chunk(1, Nbd.REPLY_NONE, 4),
        script);
  }

  @Test
  void shouldTellAllocation() {
    disk.disk()[4096] = 1;
    Frames script =
        structured("disk")
            .request(0, Nbd.CMD_BLOCK_STATUS, 1, 0, 16384)
            .request(Nbd.CMD_FLAG_REQ_ONE, Nbd.CMD_BLOCK_STATUS, 2, 0, 16384)
            .request(0, Nbd.CMD_BLOCK_STATUS, 3, 0, 0);
    byte[] all = new Frames().u32(1).u32(4096).u32(3).u32(4096).u32(0).u32(8192).u32(3).bytes();
    expect(
        structuredAnswer(RW_FLAGS | DF)
            .chunk(1, Nbd.REPLY_BLOCK_STATUS, 1, all)
            .chunk(1, Nbd.REPLY_BLOCK_STATUS, 2, new Frames().u32(1).u32(4096).u32(3).bytes())
            .chunk(1, Nbd.REPLY_ERROR, 3, error(22, "BLOCK_STATUS of nothing")),
        script);
  }

  @Test
  void shouldSpeakExtendedHeaders() {
    disk.disk()[0] = 9;
    Frames script =
        hello()
            .option(Nbd.OPT_EXTENDED_HEADERS)
            .option(Nbd.OPT_STRUCTURED_REPLY)
            .contexts(Nbd.OPT_SET_META_CONTEXT, "disk", Nbd.BASE_ALLOCATION)
            .info(Nbd.OPT_GO, "disk")
            .extendedRequest(Nbd.CMD_FLAG_PAYLOAD_LEN, Nbd.CMD_WRITE, 1, 1, 2)
            .raw((byte) 8, (byte) 7)
            .extendedRequest(0, Nbd.CMD_READ, 2, 0, 3)
            .extendedRequest(0, Nbd.CMD_WRITE_ZEROES, 3, 4096, SIZE - 4096)
            .extendedRequest(0, Nbd.CMD_BLOCK_STATUS, 4, 0, SIZE)
            .extendedRequest(0, Nbd.CMD_READ, 5, 7, 1L << 40)
            .extendedRequest(Nbd.CMD_FLAG_PAYLOAD_LEN, Nbd.CMD_TRIM, 6, 0, 5)
            .raw(new byte[5]);
    byte[] context = new Frames().u32(1).text(Nbd.BASE_ALLOCATION).bytes();
    byte[] runs = new Frames().u32(1).u32(2).u64(4096).u64(0).u64(SIZE - 4096).u64(3).bytes();
    expect(
        greeting()
            .optionReply(11, Nbd.REP_ACK)
            .optionReply(8, Nbd.REP_ERR_EXT_HEADER_REQD, "extended headers are on".getBytes())
            .optionReply(10, Nbd.REP_META_CONTEXT, context)
            .optionReply(10, Nbd.REP_ACK)
            .optionReply(7, Nbd.REP_INFO, exportInfo(SIZE, RW_FLAGS | DF))
            .optionReply(7, Nbd.REP_ACK)
            .extendedChunk(1, Nbd.REPLY_NONE, 1, 1)
            .extendedChunk(
                1, Nbd.REPLY_OFFSET_DATA, 2, 0, new Frames().u64(0).hex("090807").bytes())
            .extendedChunk(1, Nbd.REPLY_NONE, 3, 4096)
            .extendedChunk(1, Nbd.REPLY_BLOCK_STATUS_EXT, 4, 0, runs)
            .extendedChunk(1, Nbd.REPLY_ERROR, 5, 7, error(22, "longer than 33554432 bytes"))
            .extendedChunk(
                1, Nbd.REPLY_ERROR, 6, 0, error(22, "flags 0x20 do not belong to this command")),
        script);
  }

  @Test
  void shouldPassFlagsOn() {
    answer(
        plain()
            .request(Nbd.CMD_FLAG_FUA, Nbd.CMD_WRITE, 1, 0, 1)
            .raw((byte) 1)
            .request(Nbd.CMD_FLAG_NO_HOLE | Nbd.CMD_FLAG_FAST_ZERO, Nbd.CMD_WRITE_ZEROES, 2, 0, 1)
            .request(Nbd.CMD_FLAG_FUA, Nbd.CMD_TRIM, 3, 4, 4)
            .request(0, Nbd.CMD_CACHE, 4, 0, 8)
            .bytes(),
        0,
        4096);
    assertEquals(
        List.of("WRITE 0+1 fua", "WRITE_ZEROES 0+1 no-hole fast", "TRIM 4+4 fua", "CACHE 0+8"),
        disk.asked());
  }

  /**
   * Payloads of every size relation to the slabs, in every step size: the disk holds what was sent.
   */
  @Test
  void shouldTakePayloadsAcrossSlabs() {
    long seed = Long.getLong("tidemark.seed", 20260101);
    Random random = new Random(seed);
    for (int step : new int[] {1000, 4096, 65_536, 100_000, 1 << 20}) {
      byte[] model = disk.disk().clone();
      Frames script = plain();
      Frames answers = plainAnswer();
      for (int i = 0; i < 60; i++) {
        int length = 1 + random.nextInt(i % 3 == 0 ? 1 << 19 : 60_000);
        int at = random.nextInt(SIZE - length);
        byte[] data = new byte[length];
        random.nextBytes(data);
        script.request(0, Nbd.CMD_WRITE, i, at, length).raw(data);
        answers.simple(0, i);
        System.arraycopy(data, 0, model, at, length);
      }
      assertArrayEquals(answers.bytes(), answer(script.bytes(), 0, step), "seed " + seed);
      assertArrayEquals(model, disk.disk(), "seed " + seed + " step " + step);
    }
  }

  /** Truncated at every byte: no answer to what never came whole, nothing left behind. */
  @Test
  void shouldSurviveTruncation() {
    byte[] sent =
        structured("disk")
            .request(0, Nbd.CMD_WRITE, 1, 0, 64)
            .raw(new byte[64])
            .request(0, Nbd.CMD_READ, 2, 0, 64)
            .bytes();
    byte[] whole = answer(sent, sent.length, sent.length);
    for (int length = 0; length < sent.length; length++) {
      byte[] part = answer(Arrays.copyOf(sent, length), length, 1);
      assertTrue(part.length < whole.length);
      assertArrayEquals(Arrays.copyOf(whole, part.length), part, "truncated at " + length);
    }
  }

  /** Random damage to a conversation: the server answers or drops, and leaves nothing behind. */
  @Test
  void shouldSurviveGarbage() {
    long seed = Long.getLong("tidemark.seed", System.nanoTime());
    System.out.println("ConnectionTest.shouldSurviveGarbage seed " + seed);
    Random random = new Random(seed);
    byte[] sent =
        structured("disk")
            .request(0, Nbd.CMD_WRITE, 1, 0, 64)
            .raw(new byte[64])
            .request(0, Nbd.CMD_READ, 2, 0, 64)
            .request(0, Nbd.CMD_BLOCK_STATUS, 3, 0, 64)
            .request(0, Nbd.CMD_WRITE_ZEROES, 4, 0, 64)
            .bytes();
    for (int round = 0; round < 5000; round++) {
      byte[] damaged = sent.clone();
      for (int i = random.nextInt(4); i >= 0; i--) {
        damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
      }
      if (random.nextInt(8) == 0) {
        random.nextBytes(damaged);
      }
      answer(damaged, random.nextInt(damaged.length), 1 + random.nextInt(100));
    }
  }
}
