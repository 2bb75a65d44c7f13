package io.tidemark.nbd.connection;

import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.nbd.NbdRequest.Command;
import io.tidemark.nbd.protocol.Nbd;
import io.tidemark.nbd.protocol.NbdLimits;
import io.tidemark.nbd.protocol.Negotiated;
import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * Completed requests as bytes of the reply format that was negotiated: simple, structured or
 * extended. For the holder of the outbox's lock alone.
 */
final class Replies {
  private static final int OFFSET_BYTES = 8;
  private static final int MESSAGE_BYTES_MAX = 512;

  private final boolean structured;
  private final boolean extended;
  private final int allocationContext;
  private final Gather out;

  Replies(Negotiated negotiated, Gather out) {
    this.structured = negotiated.structured();
    this.extended = negotiated.extended();
    this.allocationContext = negotiated.allocationContext();
    this.out = out;
  }

  /** Bytes that come before the data of a READ that is answered in one piece. */
  static int readHeaderBytes(Negotiated negotiated) {
    if (negotiated.extended()) {
      return Nbd.EXTENDED_REPLY_BYTES + OFFSET_BYTES;
    }
    return negotiated.structured()
        ? Nbd.STRUCTURED_REPLY_BYTES + OFFSET_BYTES
        : Nbd.SIMPLE_REPLY_BYTES;
  }

  void add(PendingRequest request) throws IOException {
    if (request.error != null) {
      error(request);
    } else if (request.command == Command.READ && request.range().length() > 0) {
      read(request);
    } else if (request.command == Command.BLOCK_STATUS) {
      status(request);
    } else {
      done(request);
    }
  }

  /** An answer without data: the simple form serves unless every reply has the extended one. */
  private void done(PendingRequest request) throws IOException {
    if (extended || (structured && request.command == Command.READ)) {
      ByteBuffer to = out.headers(Nbd.EXTENDED_REPLY_BYTES);
      chunk(to, request, Nbd.REPLY_FLAG_DONE, Nbd.REPLY_NONE, 0);
    } else {
      simple(out.headers(Nbd.SIMPLE_REPLY_BYTES), request.cookie, 0);
    }
  }

  private static void simple(ByteBuffer to, long cookie, int error) {
    to.putInt(Nbd.SIMPLE_REPLY_MAGIC).putInt(error).putLong(cookie);
  }

  private void chunk(ByteBuffer to, PendingRequest request, int flags, int type, int length) {
    if (extended) {
      to.putInt(Nbd.EXTENDED_REPLY_MAGIC).putShort((short) flags).putShort((short) type);
      to.putLong(request.cookie).putLong(request.offset).putLong(length);
    } else {
      to.putInt(Nbd.STRUCTURED_REPLY_MAGIC).putShort((short) flags).putShort((short) type);
      to.putLong(request.cookie).putInt(length);
    }
  }

  private void error(PendingRequest request) throws IOException {
    NbdError error = request.error;
    if (!structured) {
      simple(out.headers(Nbd.SIMPLE_REPLY_BYTES), request.cookie, error.code());
      return;
    }
    String text = request.message == null ? "" : request.message;
    byte[] message = text.getBytes(StandardCharsets.UTF_8);
    int length = message.length <= MESSAGE_BYTES_MAX ? message.length : 0;
    ByteBuffer to = out.headers(Nbd.EXTENDED_REPLY_BYTES + 6 + length);
    chunk(to, request, Nbd.REPLY_FLAG_DONE, Nbd.REPLY_ERROR, 6 + length);
    to.putInt(error.code()).putShort((short) length).put(message, 0, length);
  }

  private void read(PendingRequest request) throws IOException {
    int length = (int) request.range().length();
    List<ByteRange> holes = request.holes;
    if (structured && !request.dontFragment() && !holes.isEmpty()) {
      sparse(request, holes);
      return;
    }
    int headerBytes;
    ByteBuffer memory = request.readSlab.memory();
    if (structured) {
      headerBytes =
          OFFSET_BYTES + (extended ? Nbd.EXTENDED_REPLY_BYTES : Nbd.STRUCTURED_REPLY_BYTES);
      int at = request.readStart - headerBytes;
      int typeAndFlags = (Nbd.REPLY_FLAG_DONE << 16) | Nbd.REPLY_OFFSET_DATA;
      memory.putInt(at + 4, typeAndFlags).putLong(at + 8, request.cookie);
      if (extended) {
        memory.putInt(at, Nbd.EXTENDED_REPLY_MAGIC).putLong(at + 16, request.range().offset());
        memory.putLong(at + 24, OFFSET_BYTES + length);
      } else {
        memory.putInt(at, Nbd.STRUCTURED_REPLY_MAGIC).putInt(at + 16, OFFSET_BYTES + length);
      }
      memory.putLong(request.readStart - OFFSET_BYTES, request.range().offset());
    } else {
      headerBytes = Nbd.SIMPLE_REPLY_BYTES;
      int at = request.readStart - headerBytes;
      memory.putInt(at, Nbd.SIMPLE_REPLY_MAGIC).putInt(at + 4, 0).putLong(at + 8, request.cookie);
    }
    out.add(request.readSlab, request.readStart - headerBytes, headerBytes + length);
  }

  private void sparse(PendingRequest request, List<ByteRange> holes) throws IOException {
    ByteRange range = request.range();
    long at = range.offset();
    int chunks = 0;
    for (ByteRange hole : holes) {
      long from = Math.max(hole.offset(), at);
      long to = Math.min(hole.end(), range.end());
      if (to <= from || chunks >= NbdLimits.READ_CHUNKS_MAX - 2) {
        continue;
      }
      if (from > at) {
        data(request, at, from);
        chunks++;
      }
      ByteBuffer header = out.headers(Nbd.EXTENDED_REPLY_BYTES + OFFSET_BYTES + 4);
      int flags = to == range.end() ? Nbd.REPLY_FLAG_DONE : 0;
      chunk(header, request, flags, Nbd.REPLY_OFFSET_HOLE, OFFSET_BYTES + 4);
      header.putLong(from).putInt((int) (to - from));
      chunks++;
      at = to;
    }
    if (at < range.end()) {
      data(request, at, range.end());
    }
  }

  private void data(PendingRequest request, long from, long to) throws IOException {
    ByteRange range = request.range();
    int length = (int) (to - from);
    ByteBuffer header = out.headers(Nbd.EXTENDED_REPLY_BYTES + OFFSET_BYTES);
    int flags = to == range.end() ? Nbd.REPLY_FLAG_DONE : 0;
    chunk(header, request, flags, Nbd.REPLY_OFFSET_DATA, OFFSET_BYTES + length);
    header.putLong(from);
    out.add(request.readSlab, request.readStart + (int) (from - range.offset()), length);
  }

  private void status(PendingRequest request) throws IOException {
    int most = request.reqOne() ? 1 : NbdLimits.STATUS_RUNS_MAX;
    int runs = Math.min(request.runs.size(), most);
    int length = extended ? 8 + 16 * runs : 4 + 8 * runs;
    ByteBuffer to = out.headers(Nbd.EXTENDED_REPLY_BYTES + length);
    int type = extended ? Nbd.REPLY_BLOCK_STATUS_EXT : Nbd.REPLY_BLOCK_STATUS;
    chunk(to, request, Nbd.REPLY_FLAG_DONE, type, length);
    to.putInt(allocationContext);
    if (extended) {
      to.putInt(runs);
    }
    long left = request.range().length();
    for (int i = 0; i < runs; i++) {
      Allocation run = request.runs.get(i);
      int state = (run.hole() ? Nbd.STATE_HOLE : 0) | (run.zero() ? Nbd.STATE_ZERO : 0);
      // A run that passes the end of the range is allowed for the last one, but not with REQ_ONE.
      long bytes = request.reqOne() ? Math.min(run.length(), left) : run.length();
      left -= bytes;
      if (extended) {
        to.putLong(bytes).putLong(state);
      } else {
        to.putInt((int) Math.min(bytes, 0xfffff000L)).putInt(state);
      }
    }
  }
}
