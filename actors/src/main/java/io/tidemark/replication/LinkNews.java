package io.tidemark.replication;

import io.tidemark.position.WriteSeq;
import java.nio.ByteBuffer;

/** What the other site answers over a {@link Lines line}. */
public sealed interface LinkNews {
  /**
   * Everything up to {@code seq} is journaled there and durable.
   *
   * @param parcels of this line that are, in all
   */
  record Acknowledged(WriteSeq seq, long parcels) implements LinkNews {}

  /** The hashes that {@link Parcel.AskHashes} asked for, 32 bytes a block. */
  record Hashes(int id, ByteBuffer hashes) implements LinkNews {}

  /** The other site can unpack segments of version 2, with pieces like other blocks. */
  record TakesSimilar() implements LinkNews {}

  /** The other site is there. */
  record Alive() implements LinkNews {}
}
