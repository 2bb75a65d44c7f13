package io.tidemark.position;

/**
 * The ordinal of a write in its volume's history.
 *
 * @param value from 1; 0 is the empty base before the first write
 */
public record WriteSeq(long value) implements Comparable<WriteSeq> {
  /** The empty base: no write has happened. */
  public static final WriteSeq BASE = new WriteSeq(0);

  public WriteSeq {
    if (value < 0) {
      throw new IllegalArgumentException("a write seq is never negative: " + value);
    }
  }

  public WriteSeq next() {
    return new WriteSeq(value + 1);
  }

  public WriteSeq plus(long writes) {
    return new WriteSeq(value + writes);
  }

  @Override
  public int compareTo(WriteSeq other) {
    return Long.compare(value, other.value);
  }

  @Override
  public String toString() {
    return Long.toString(value);
  }
}
