package io.tidemark.nbd.connection;

import io.tidemark.nbd.protocol.Nbd;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/** Frames of the NBD protocol, put together by hand: what a client sends and what it expects. */
public final class Frames {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final DataOutputStream out = new DataOutputStream(bytes);

  @FunctionalInterface
  private interface Put {
    void to(DataOutputStream out) throws IOException;
  }

  private Frames put(Put what) {
    try {
      what.to(out);
      return this;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public Frames hex(String hex) {
    return raw(HexFormat.of().parseHex(hex.replace(" ", "")));
  }

  public Frames raw(byte... more) {
    return put(o -> o.write(more));
  }

  public Frames u16(int value) {
    return put(o -> o.writeShort(value));
  }

  public Frames u32(long value) {
    return put(o -> o.writeInt((int) value));
  }

  public Frames u64(long value) {
    return put(o -> o.writeLong(value));
  }

  public Frames text(String text) {
    return raw(text.getBytes(StandardCharsets.UTF_8));
  }

  public Frames string(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    return u32(utf8.length).raw(utf8);
  }

  public Frames option(int option, byte... data) {
    return u64(Nbd.OPTION_MAGIC).u32(option).u32(data.length).raw(data);
  }

  /** INFO or GO. */
  public Frames info(int option, String name, int... kinds) {
    Frames data = new Frames().string(name).u16(kinds.length);
    for (int kind : kinds) {
      data.u16(kind);
    }
    return option(option, data.bytes());
  }

  /** LIST_META_CONTEXT or SET_META_CONTEXT. */
  public Frames contexts(int option, String name, String... queries) {
    Frames data = new Frames().string(name).u32(queries.length);
    for (String query : queries) {
      data.string(query);
    }
    return option(option, data.bytes());
  }

  public Frames optionReply(int option, int type, byte... data) {
    return u64(Nbd.OPTION_REPLY_MAGIC).u32(option).u32(type).u32(data.length).raw(data);
  }

  public Frames request(int flags, int type, long cookie, long offset, long length) {
    u32(Nbd.REQUEST_MAGIC).u16(flags).u16(type).u64(cookie).u64(offset);
    return u32(length);
  }

  public Frames extendedRequest(int flags, int type, long cookie, long offset, long length) {
    u32(Nbd.EXTENDED_REQUEST_MAGIC).u16(flags).u16(type).u64(cookie).u64(offset);
    return u64(length);
  }

  public Frames simple(int error, long cookie) {
    return u32(Nbd.SIMPLE_REPLY_MAGIC).u32(error).u64(cookie);
  }

  public Frames chunk(int flags, int type, long cookie, byte... data) {
    u32(Nbd.STRUCTURED_REPLY_MAGIC).u16(flags).u16(type).u64(cookie);
    return u32(data.length).raw(data);
  }

  public Frames extendedChunk(int flags, int type, long cookie, long offset, byte... data) {
    u32(Nbd.EXTENDED_REPLY_MAGIC).u16(flags).u16(type).u64(cookie).u64(offset);
    return u64(data.length).raw(data);
  }

  public byte[] bytes() {
    return bytes.toByteArray();
  }
}
