package io.tidemark.nbd.protocol;

import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdExports;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * The server's side of the fixed newstyle handshake of one client, from the greeting to the first
 * byte of the transmission phase. Blocks on the transport; whoever runs it watches the clock.
 */
public final class Handshake {
  /** How the handshake changes over to TLS. */
  public interface TlsUpgrade {
    /** Whether options other than STARTTLS and ABORT are refused on a plain connection. */
    boolean required();

    /** The encrypted transport, its handshake done. */
    Transport upgrade(Transport plain) throws IOException;
  }

  private static final int CONTEXT_ID = 1;

  private final NbdExports exports;
  private final Optional<TlsUpgrade> tls;
  private final ByteBuffer in = ByteBuffer.allocate(NbdLimits.OPTION_BYTES_MAX);
  private final ByteBuffer out = ByteBuffer.allocate(64 << 10);
  private final ByteBuffer[] one = {out};
  private Transport transport;
  private boolean encrypted;
  private boolean noZeroes;
  private boolean structured;
  private boolean extended;

  /** The export whose SET_META_CONTEXT chose base:allocation; null when none did. */
  private String contextOf;

  private Handshake(Transport transport, NbdExports exports, Optional<TlsUpgrade> tls) {
    this.transport = transport;
    this.exports = exports;
    this.tls = tls;
  }

  /**
   * Runs the handshake.
   *
   * @param tls empty when the server has no TLS
   * @return empty when the client left in an orderly way
   * @throws ProtocolViolation when the client must be dropped
   */
  public static Optional<Negotiated> run(
      Transport transport, NbdExports exports, Optional<TlsUpgrade> tls) throws IOException {
    return new Handshake(transport, exports, tls).run();
  }

  private Optional<Negotiated> run() throws IOException {
    out.putLong(Nbd.INIT_MAGIC).putLong(Nbd.OPTION_MAGIC);
    out.putShort((short) (Nbd.FLAG_FIXED_NEWSTYLE | Nbd.FLAG_NO_ZEROES));
    send();
    int flags = receive(4).getInt();
    if ((flags & ~(Nbd.FLAG_FIXED_NEWSTYLE | Nbd.FLAG_NO_ZEROES)) != 0) {
      throw new ProtocolViolation("unknown client flags 0x" + Integer.toHexString(flags));
    }
    noZeroes = (flags & Nbd.FLAG_NO_ZEROES) != 0;
    for (int options = 0; options < NbdLimits.OPTIONS_MAX; options++) {
      ByteBuffer header = receive(Nbd.OPTION_BYTES);
      if (header.getLong() != Nbd.OPTION_MAGIC) {
        throw new ProtocolViolation("option without the magic number");
      }
      int option = header.getInt();
      long length = Integer.toUnsignedLong(header.getInt());
      Optional<Negotiated> chosen;
      if (length > NbdLimits.OPTION_BYTES_MAX) {
        skip(option, length);
        chosen = Optional.empty();
      } else {
        ByteBuffer data = receive((int) length);
        if (option == Nbd.OPT_ABORT) {
          reply(option, Nbd.REP_ACK);
          return Optional.empty();
        }
        chosen = answer(option, data);
      }
      if (chosen.isPresent()) {
        return chosen;
      }
    }
    throw new ProtocolViolation("more than " + NbdLimits.OPTIONS_MAX + " options");
  }

  private void skip(int option, long length) throws IOException {
    if (length > NbdLimits.OPTION_SKIP_BYTES_MAX || option == Nbd.OPT_EXPORT_NAME) {
      throw new ProtocolViolation("option " + option + " with " + length + " bytes of data");
    }
    for (long left = length; left > 0; ) {
      left -= receive((int) Math.min(left, in.capacity())).remaining();
    }
    refuse(option, Nbd.REP_ERR_TOO_BIG, "option data longer than " + in.capacity() + " bytes");
  }

  private Optional<Negotiated> answer(int option, ByteBuffer data) throws IOException {
    boolean tlsMissing = !encrypted && tls.isPresent() && tls.get().required();
    if (tlsMissing && option != Nbd.OPT_STARTTLS) {
      if (option == Nbd.OPT_EXPORT_NAME) {
        throw new ProtocolViolation("export asked for without TLS, which this server requires");
      }
      refuse(option, Nbd.REP_ERR_TLS_REQD, "this server requires TLS: send STARTTLS first");
      return Optional.empty();
    }
    switch (option) {
      case Nbd.OPT_EXPORT_NAME -> {
        return Optional.of(exportName(data));
      }
      case Nbd.OPT_LIST -> list(data);
      case Nbd.OPT_STARTTLS -> startTls(data);
      case Nbd.OPT_INFO, Nbd.OPT_GO -> {
        return info(option, data);
      }
      case Nbd.OPT_STRUCTURED_REPLY -> structuredReply(data);
      case Nbd.OPT_EXTENDED_HEADERS -> extendedHeaders(data);
      case Nbd.OPT_LIST_META_CONTEXT, Nbd.OPT_SET_META_CONTEXT -> metaContext(option, data);
      default -> refuse(option, Nbd.REP_ERR_UNSUP, "unknown option " + option);
    }
    return Optional.empty();
  }

  private Negotiated exportName(ByteBuffer data) throws IOException {
    String name = text(data, data.remaining());
    Optional<NbdExport> export = name == null ? Optional.empty() : exports.find(name);
    if (export.isEmpty()) {
      // EXPORT_NAME knows no error reply: the specification has the server close the connection.
      throw new ProtocolViolation("no such export, asked for by EXPORT_NAME");
    }
    NbdExportInfo info = export.get().info();
    out.putLong(info.sizeBytes()).putShort(transmissionFlags(info));
    if (!noZeroes) {
      out.put(new byte[Nbd.EXPORT_NAME_ZEROES]);
    }
    send();
    return negotiated(export.get(), name);
  }

  private Negotiated negotiated(NbdExport export, String name) {
    int context = name.equals(contextOf) ? CONTEXT_ID : 0;
    return new Negotiated(export, structured, extended, context, transport);
  }

  private void list(ByteBuffer data) throws IOException {
    if (data.hasRemaining()) {
      refuse(Nbd.OPT_LIST, Nbd.REP_ERR_INVALID, "LIST carries no data");
      return;
    }
    for (NbdExportInfo info : exports.list()) {
      byte[] name = utf8(info.name());
      byte[] description = utf8(info.description());
      replyHeader(Nbd.OPT_LIST, Nbd.REP_SERVER, 4 + name.length + description.length);
      out.putInt(name.length).put(name).put(description);
    }
    reply(Nbd.OPT_LIST, Nbd.REP_ACK);
  }

  private void startTls(ByteBuffer data) throws IOException {
    if (data.hasRemaining()) {
      refuse(Nbd.OPT_STARTTLS, Nbd.REP_ERR_INVALID, "STARTTLS carries no data");
    } else if (encrypted) {
      refuse(Nbd.OPT_STARTTLS, Nbd.REP_ERR_INVALID, "TLS is on already");
    } else if (tls.isEmpty()) {
      refuse(Nbd.OPT_STARTTLS, Nbd.REP_ERR_POLICY, "this server is not configured for TLS");
    } else {
      reply(Nbd.OPT_STARTTLS, Nbd.REP_ACK);
      transport = tls.get().upgrade(transport);
      encrypted = true;
      // What was agreed in clear text may have been an attacker's: forget it.
      structured = false;
      extended = false;
      contextOf = null;
    }
  }

  private Optional<Negotiated> info(int option, ByteBuffer data) throws IOException {
    String name = data.remaining() < 4 ? null : text(data, data.getInt());
    if (name == null || data.remaining() < 2) {
      refuse(option, Nbd.REP_ERR_INVALID, "malformed export name");
      return Optional.empty();
    }
    int requests = Short.toUnsignedInt(data.getShort());
    if (data.remaining() != 2 * requests) {
      refuse(option, Nbd.REP_ERR_INVALID, "malformed information requests");
      return Optional.empty();
    }
    Optional<NbdExport> export = exports.find(name);
    if (export.isEmpty()) {
      refuse(option, Nbd.REP_ERR_UNKNOWN, "no such export");
      return Optional.empty();
    }
    NbdExportInfo info = export.get().info();
    replyHeader(option, Nbd.REP_INFO, 12);
    out.putShort((short) Nbd.INFO_EXPORT).putLong(info.sizeBytes());
    out.putShort(transmissionFlags(info));
    boolean[] told = new boolean[Nbd.INFO_BLOCK_SIZE + 1];
    for (int i = 0; i < requests; i++) {
      int kind = Short.toUnsignedInt(data.getShort());
      if (kind < told.length && !told[kind]) {
        told[kind] = true;
        describe(option, kind, info);
      }
    }
    reply(option, Nbd.REP_ACK);
    return option == Nbd.OPT_GO ? Optional.of(negotiated(export.get(), name)) : Optional.empty();
  }

  private void describe(int option, int kind, NbdExportInfo info) throws IOException {
    switch (kind) {
      case Nbd.INFO_NAME -> describe(option, kind, utf8(info.name()));
      case Nbd.INFO_DESCRIPTION -> describe(option, kind, utf8(info.description()));
      case Nbd.INFO_BLOCK_SIZE -> {
        replyHeader(option, Nbd.REP_INFO, 14);
        out.putShort((short) Nbd.INFO_BLOCK_SIZE).putInt(info.blockSizeMin());
        out.putInt(info.blockSizePreferred()).putInt(payloadBytesMax(info));
      }
      default -> {} // INFO_EXPORT is always told
    }
  }

  private void describe(int option, int kind, byte[] text) throws IOException {
    replyHeader(option, Nbd.REP_INFO, 2 + text.length);
    out.putShort((short) kind).put(text);
  }

  private void structuredReply(ByteBuffer data) throws IOException {
    if (data.hasRemaining()) {
      refuse(Nbd.OPT_STRUCTURED_REPLY, Nbd.REP_ERR_INVALID, "STRUCTURED_REPLY carries no data");
    } else if (extended) {
      refuse(Nbd.OPT_STRUCTURED_REPLY, Nbd.REP_ERR_EXT_HEADER_REQD, "extended headers are on");
    } else if (structured) {
      refuse(Nbd.OPT_STRUCTURED_REPLY, Nbd.REP_ERR_INVALID, "structured replies are on already");
    } else {
      structured = true;
      reply(Nbd.OPT_STRUCTURED_REPLY, Nbd.REP_ACK);
    }
  }

  private void extendedHeaders(ByteBuffer data) throws IOException {
    if (data.hasRemaining()) {
      refuse(Nbd.OPT_EXTENDED_HEADERS, Nbd.REP_ERR_INVALID, "EXTENDED_HEADERS carries no data");
    } else if (extended) {
      refuse(Nbd.OPT_EXTENDED_HEADERS, Nbd.REP_ERR_INVALID, "extended headers are on already");
    } else {
      extended = true;
      structured = true;
      contextOf = null;
      reply(Nbd.OPT_EXTENDED_HEADERS, Nbd.REP_ACK);
    }
  }

  private void metaContext(int option, ByteBuffer data) throws IOException {
    boolean set = option == Nbd.OPT_SET_META_CONTEXT;
    if (set) {
      contextOf = null;
    }
    if (!structured) {
      refuse(option, Nbd.REP_ERR_INVALID, "contexts need structured replies");
      return;
    }
    String name = data.remaining() < 4 ? null : text(data, data.getInt());
    if (name == null || data.remaining() < 4) {
      refuse(option, Nbd.REP_ERR_INVALID, "malformed export name");
      return;
    }
    long queries = Integer.toUnsignedLong(data.getInt());
    boolean wanted = !set && queries == 0;
    for (long i = 0; i < queries; i++) {
      String query = data.remaining() < 4 ? null : text(data, data.getInt());
      if (query == null) {
        refuse(option, Nbd.REP_ERR_INVALID, "malformed context query");
        return;
      }
      wanted |= query.equals(Nbd.BASE_ALLOCATION) || (!set && query.equals("base:"));
    }
    if (data.hasRemaining()) {
      refuse(option, Nbd.REP_ERR_INVALID, "data after the last context query");
    } else if (exports.find(name).isEmpty()) {
      refuse(option, Nbd.REP_ERR_UNKNOWN, "no such export");
    } else {
      if (wanted) {
        byte[] context = utf8(Nbd.BASE_ALLOCATION);
        replyHeader(option, Nbd.REP_META_CONTEXT, 4 + context.length);
        out.putInt(set ? CONTEXT_ID : 0).put(context);
        contextOf = set ? name : contextOf;
      }
      reply(option, Nbd.REP_ACK);
    }
  }

  /** Longest payload that is announced and taken for the export. */
  public static int payloadBytesMax(NbdExportInfo info) {
    return Math.min(info.blockSizeMax(), NbdLimits.PAYLOAD_BYTES_MAX);
  }

  private short transmissionFlags(NbdExportInfo info) {
    int flags =
        Nbd.TRANSMIT_HAS_FLAGS
            | Nbd.TRANSMIT_SEND_FLUSH
            | Nbd.TRANSMIT_SEND_FUA
            | Nbd.TRANSMIT_CAN_MULTI_CONN
            | Nbd.TRANSMIT_SEND_CACHE;
    flags |=
        info.readOnly()
            ? Nbd.TRANSMIT_READ_ONLY
            : Nbd.TRANSMIT_SEND_TRIM | Nbd.TRANSMIT_SEND_WRITE_ZEROES | Nbd.TRANSMIT_SEND_FAST_ZERO;
    return (short) (structured ? flags | Nbd.TRANSMIT_SEND_DF : flags);
  }

  /** Takes a string of that many bytes; null when the data is shorter or the string is not one. */
  private static String text(ByteBuffer data, int length) {
    if (length < 0 || length > data.remaining() || length > NbdLimits.STRING_BYTES_MAX) {
      return null;
    }
    ByteBuffer bytes = data.slice(data.position(), length);
    data.position(data.position() + length);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      return null; // a name that no export can have
    }
  }

  private static byte[] utf8(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    if (bytes.length > NbdLimits.STRING_BYTES_MAX) {
      throw new IllegalStateException("a string of " + bytes.length + " bytes cannot be sent");
    }
    return bytes;
  }

  private ByteBuffer receive(int bytes) throws IOException {
    in.clear().limit(bytes);
    transport.readFully(in);
    return in.flip();
  }

  private void refuse(int option, int error, String why) throws IOException {
    byte[] message = utf8(why);
    replyHeader(option, error, message.length);
    out.put(message);
    send();
  }

  private void reply(int option, int type) throws IOException {
    replyHeader(option, type, 0);
    send();
  }

  private void replyHeader(int option, int type, int length) throws IOException {
    if (out.remaining() < 20 + length) {
      send();
    }
    out.putLong(Nbd.OPTION_REPLY_MAGIC).putInt(option).putInt(type).putInt(length);
  }

  private void send() throws IOException {
    out.flip();
    transport.write(one, 1);
    out.clear();
  }
}
