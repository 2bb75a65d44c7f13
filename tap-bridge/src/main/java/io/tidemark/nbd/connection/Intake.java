package io.tidemark.nbd.connection;

import io.tidemark.nbd.protocol.Transport;
import io.tidemark.nbd.slab.Slab;
import io.tidemark.nbd.slab.SlabPayload;
import io.tidemark.nbd.slab.SlabPool;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * What a client sent and nobody has parsed yet. Reads fill a slab from front to back; payloads stay
 * where they were read to. For the reading thread alone.
 */
final class Intake {
  /** A slab with less room left is put aside. */
  private static final int ROOM_MIN = 16 << 10;

  /** Up to so much of a payload is copied to a new slab rather than left straddling two. */
  private static final int COPY_MAX = 16 << 10;

  /** Where a straddling payload is split: a page border of the backing store. */
  private static final int PAGE_BYTES = 4096;

  private final Transport transport;
  private final SlabPool pool;
  private Slab slab;
  private int parsed;
  private int filled;

  /** Where the last payload in this slab ended: what lies between is held by the next one. */
  private int heldFrom;

  /** The payload being received: where it ends in this slab, 0 when there is none. */
  private int payloadEnd;

  private int payloadLength;

  /** The first part of a payload that straddles two slabs. */
  private Slab headSlab;

  private ByteBuffer head;
  private int headHeld;

  Intake(Transport transport, SlabPool pool) {
    this.transport = transport;
    this.pool = pool;
    this.slab = pool.take(SlabPool.SMALL_BYTES);
  }

  boolean has(int bytes) {
    return filled - parsed >= bytes;
  }

  boolean isEmpty() {
    return filled == parsed;
  }

  /** The slab's memory, to be read at {@link #at} while {@link #has} says so. */
  ByteBuffer memory() {
    return slab.memory();
  }

  int at() {
    return parsed;
  }

  void skip(int bytes) {
    parsed += bytes;
  }

  /** Throws away what is here of the next {@code bytes} bytes; how many of them it was. */
  int discard(long bytes) {
    int n = (int) Math.min(bytes, filled - parsed);
    parsed += n;
    return n;
  }

  /**
   * Begins a payload at the parse position and sees to it that there is room for the rest.
   *
   * @param offset where in the volume the data goes, for the place of a split
   */
  void beginPayload(int length, long offset) {
    payloadLength = length;
    if (length > slab.capacity() - parsed) {
      int received = filled - parsed;
      if (received <= COPY_MAX) {
        moveTo(pool.take(Math.max(length, SlabPool.LARGE_BYTES)));
      } else {
        split(length, offset);
        return;
      }
    }
    payloadEnd = parsed + length;
  }

  private void split(int length, long offset) {
    int end = slab.capacity();
    int cut = end - (int) ((offset + (end - parsed)) % PAGE_BYTES);
    if (cut < filled) {
      cut = end;
    }
    int headLength = cut - parsed;
    headSlab = slab;
    head = slab.view(parsed, headLength);
    headHeld = cut - heldFrom;
    payloadEnd = cut;
    payloadLength = length - headLength;
  }

  /** Whether the whole payload is here. */
  boolean payloadComplete() {
    if (head != null && payloadEnd != 0 && filled == payloadEnd && slab == headSlab) {
      slab = pool.take(Math.max(payloadLength, SlabPool.LARGE_BYTES));
      parsed = 0;
      filled = 0;
      heldFrom = 0;
      payloadEnd = payloadLength;
    }
    return slab != headSlab && filled >= payloadEnd;
  }

  /** The payload, its reference the caller's. */
  SlabPayload endPayload() {
    int held = payloadEnd - heldFrom;
    SlabPayload payload;
    if (head == null) {
      payload = slab.payload(parsed, payloadLength, held);
    } else {
      slab.retain();
      ByteBuffer tail = slab.view(parsed, payloadLength);
      payload = SlabPayload.straddling(headSlab, head, slab, tail, headHeld + held);
      headSlab = null;
      head = null;
    }
    parsed = payloadEnd;
    heldFrom = payloadEnd;
    payloadEnd = 0;
    return payload;
  }

  /**
   * Waits for more from the client.
   *
   * @param wanted bytes that will have to be in one piece from the parse position on, when no
   *     payload is being received
   * @return false at the end of the stream
   */
  boolean fill(int wanted) throws IOException {
    if (payloadEnd == 0) {
      makeRoom(wanted);
    }
    ByteBuffer memory = slab.memory();
    // A slab made for one huge payload takes nothing after it; a split ends where it was cut.
    boolean exact = payloadEnd != 0 && (slab == headSlab || oversize());
    memory.limit(exact ? payloadEnd : slab.capacity()).position(filled);
    int n = transport.read(memory);
    memory.clear();
    if (n < 0) {
      return false;
    }
    filled += n;
    return true;
  }

  private boolean oversize() {
    return slab.capacity() > 2 * SlabPool.LARGE_BYTES;
  }

  private void makeRoom(int wanted) {
    if (parsed == filled && !oversize() && slab.soleOwner()) {
      slab.startAgain();
      parsed = 0;
      filled = 0;
      heldFrom = 0;
    } else if (slab.capacity() - filled < ROOM_MIN
        || slab.capacity() - parsed < wanted
        || oversize()) {
      moveTo(pool.take(SlabPool.LARGE_BYTES));
    }
  }

  private void moveTo(Slab next) {
    int left = filled - parsed;
    next.memory().put(0, slab.memory(), parsed, left);
    slab.release();
    slab = next;
    parsed = 0;
    filled = left;
    heldFrom = 0;
  }

  void close() {
    if (headSlab != null && headSlab != slab) {
      headSlab.release();
    }
    slab.release();
  }
}
