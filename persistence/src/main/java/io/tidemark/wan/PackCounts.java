package io.tidemark.wan;

import java.util.Arrays;

/** What became of a segment's data: bytes of it by kind, and what was sent for them. */
public final class PackCounts {
  private final long[] dataBytes = new long[PieceKind.values().length];
  private final long[] pieces = new long[PieceKind.values().length];
  private final long[] lineBytes = new long[PieceKind.values().length];
  private long headBytes;
  private long sentBytes;

  void piece(PieceKind kind, int length) {
    dataBytes[kind.ordinal()] += length;
    pieces[kind.ordinal()]++;
  }

  /** All pieces of the kind took so many bytes. */
  void line(PieceKind kind, long bytes) {
    lineBytes[kind.ordinal()] += bytes;
    sentBytes += bytes;
  }

  void head(long bytes) {
    headBytes += bytes;
    sentBytes += bytes;
  }

  /** Adds another segment's. */
  public void add(PackCounts other) {
    for (int i = 0; i < dataBytes.length; i++) {
      dataBytes[i] += other.dataBytes[i];
      pieces[i] += other.pieces[i];
      lineBytes[i] += other.lineBytes[i];
    }
    headBytes += other.headBytes;
    sentBytes += other.sentBytes;
  }

  /** Bytes of the volume's data sent as this kind. */
  public long dataBytes(PieceKind kind) {
    return dataBytes[kind.ordinal()];
  }

  public long pieces(PieceKind kind) {
    return pieces[kind.ordinal()];
  }

  /**
   * Bytes made for the line of what was sent as this kind; what a reference takes is in {@link
   * #headBytes}.
   */
  public long lineBytes(PieceKind kind) {
    return lineBytes[kind.ordinal()];
  }

  /** Bytes of the volume's data. */
  public long rawBytes() {
    return Arrays.stream(dataBytes).sum();
  }

  /** Bytes for positions, times, lengths, kinds and references; a part of {@link #sentBytes}. */
  public long headBytes() {
    return headBytes;
  }

  /** Bytes made for the line. */
  public long sentBytes() {
    return sentBytes;
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    text.append(rawBytes())
        .append(" bytes in ")
        .append(sentBytes)
        .append(" (head ")
        .append(headBytes);
    for (PieceKind kind : PieceKind.values()) {
      text.append(", ").append(kind).append(' ').append(dataBytes(kind));
    }
    return text.append(')').toString();
  }
}
