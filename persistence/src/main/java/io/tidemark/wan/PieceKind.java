package io.tidemark.wan;

/** How a piece of data is sent. The order of the constants is part of the format. */
public enum PieceKind {
  /** Zeroes: nothing is sent. */
  ZERO,
  /** As it was at the base, or as an earlier write of the segment left it: nothing is sent. */
  SAME,
  /** The content of a block at an older position: the place is sent. */
  REFERENCE,
  /** Bytes changed in place: the exclusive or with what was there, compressed. */
  DIFFERENCE,
  /** Bytes moved within the piece: compressed with what was there as the dictionary. */
  DICTIONARY,
  /** New content: compressed. */
  COMPRESSED,
  /** New content that does not compress. */
  RAW,
  /** Like another block at the base: compressed with that as the dictionary. Since version 2. */
  SIMILAR;

  private static final PieceKind[] KINDS = values();

  /**
   * @throws IllegalArgumentException for a code that no version has written
   */
  static PieceKind of(int code) {
    if (code < 0 || code >= KINDS.length) {
      throw new IllegalArgumentException("no kind of piece has code " + code);
    }
    return KINDS[code];
  }
}
