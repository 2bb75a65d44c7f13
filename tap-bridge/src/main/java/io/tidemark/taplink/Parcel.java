package io.tidemark.taplink;

import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentMeta;
import java.nio.ByteBuffer;

/** What one site's journal tells another's over a {@link SiteLinkStage}. */
public sealed interface Parcel {

  /** The frame as it goes on the line. */
  ByteBuffer frame();

  /** What it takes of the peer's window until it is acknowledged; 0 when nothing will be. */
  long windowBytes();

  /** Whether an acknowledgement answers it. */
  default boolean acknowledged() {
    return true;
  }

  /** A segment, packed. */
  record Packed(SegmentMeta meta, byte[] bytes) implements Parcel {
    @Override
    public ByteBuffer frame() {
      return new LinkMessage.Packed(ByteBuffer.wrap(bytes)).frame();
    }

    @Override
    public long windowBytes() {
      return FrameParser.HEADER_BYTES + (long) bytes.length + meta.dataBytes();
    }
  }

  /** Writes that the source's journal does not have. */
  record Gap(WriteSeq first, WriteSeq last, MicroTime time, String reason) implements Parcel {
    @Override
    public ByteBuffer frame() {
      return new LinkMessage.Gap(first.value(), last.value(), time.micros(), reason).frame();
    }

    @Override
    public long windowBytes() {
      return FrameParser.HEADER_BYTES + FrameType.GAP.checkedBytesMax();
    }
  }

  /** What a gap may have missed has been sent. */
  record SyncDone(long differentBytes) implements Parcel {
    @Override
    public ByteBuffer frame() {
      return new LinkMessage.SyncDone(differentBytes).frame();
    }

    @Override
    public long windowBytes() {
      return FrameParser.HEADER_BYTES + FrameType.SYNC_DONE.checkedBytesMax();
    }
  }

  /** A question for the hashes of what the target's journal holds. */
  record AskHashes(int id, ByteRange range, int blockBytes) implements Parcel {
    @Override
    public ByteBuffer frame() {
      return new LinkMessage.HashesRequest(id, range, blockBytes).frame();
    }

    @Override
    public long windowBytes() {
      return 0;
    }

    @Override
    public boolean acknowledged() {
      return false;
    }
  }
}
