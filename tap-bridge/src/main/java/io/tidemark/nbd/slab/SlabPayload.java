package io.tidemark.nbd.slab;

import io.tidemark.capture.Payload;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * The data of a write where the socket read left it: in one slab, or in two when it straddles their
 * border. References are counted by the slabs, whose memory is reused as a whole (S1).
 */
public final class SlabPayload implements Payload {
  private Slab first;
  private Slab second;
  private ByteBuffer view;
  private List<ByteBuffer> pieces = List.of();
  private int length;
  private int heldBytes;

  SlabPayload() {}

  void fill(Slab slab, ByteBuffer part, int held) {
    first = slab;
    length = part.remaining();
    heldBytes = held;
    if (part != view) {
      view = part;
      pieces = List.of(part);
    }
  }

  /** A payload of a part of one slab followed by a part of another; takes over a reference each. */
  public static SlabPayload straddling(
      Slab first, ByteBuffer head, Slab second, ByteBuffer tail, int heldBytes) {
    SlabPayload payload = new SlabPayload();
    payload.first = first;
    payload.second = second;
    payload.pieces = List.of(head, tail);
    payload.length = head.remaining() + tail.remaining();
    payload.heldBytes = heldBytes;
    return payload;
  }

  @Override
  public List<ByteBuffer> pieces() {
    return pieces;
  }

  @Override
  public int length() {
    return length;
  }

  @Override
  public int heldBytes() {
    return heldBytes;
  }

  @Override
  public void retain() {
    first.retain();
    if (second != null) {
      second.retain();
    }
  }

  @Override
  public void release() {
    Slab tail = second; // read first: after its release this object may serve another write
    first.release();
    if (tail != null) {
      tail.release();
    }
  }
}
