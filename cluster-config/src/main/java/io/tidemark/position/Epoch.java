package io.tidemark.position;

/**
 * A volume's generation; only the holder of the current epoch may append (J6).
 *
 * @param value from 1, raised by each promotion
 */
public record Epoch(long value) implements Comparable<Epoch> {
  public static final Epoch FIRST = new Epoch(1);

  public Epoch {
    if (value < 1) {
      throw new IllegalArgumentException("an epoch starts at 1: " + value);
    }
  }

  @Override
  public int compareTo(Epoch other) {
    return Long.compare(value, other.value);
  }
}
