package io.tidemark.hook;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The beginning and the end of what a program printed. Thread-safe. */
final class BoundedOutput {
  static final int HEAD_BYTES_MAX = 120;
  static final int TAIL_BYTES_MAX = 340;

  /** Not kept: says that a line of standard output follows. */
  static final byte MARK = 036;

  private final byte[] head = new byte[HEAD_BYTES_MAX];
  private final byte[] tail = new byte[TAIL_BYTES_MAX]; // a ring
  private long total;
  private int marks;
  private boolean ended;

  synchronized void add(byte[] bytes, int length) {
    for (int i = 0; i < length; i++) {
      if (bytes[i] == MARK) {
        marks++;
        notifyAll();
        continue;
      }
      if (total < HEAD_BYTES_MAX) {
        head[(int) total] = bytes[i];
      } else {
        tail[(int) ((total - HEAD_BYTES_MAX) % TAIL_BYTES_MAX)] = bytes[i];
      }
      total++;
    }
  }

  /** Nothing follows. */
  synchronized void end() {
    ended = true;
    notifyAll();
  }

  /** Returns when {@code count} marks have come, nothing follows, or the time is over. */
  synchronized void awaitMarks(int count, long millis) {
    long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    try {
      for (long left = millis; marks < count && !ended && left > 0; ) {
        wait(left);
        left = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * What is kept, safe to show.
   *
   * @param secrets each is replaced; where the output was cut, nothing as long as the longest of
   *     them is left of what was next to the cut (H5)
   */
  synchronized String text(List<String> secrets) {
    int headBytes = (int) Math.min(total, HEAD_BYTES_MAX);
    long after = total - headBytes;
    int tailBytes = (int) Math.min(after, TAIL_BYTES_MAX);
    byte[] end = new byte[tailBytes];
    for (int i = 0; i < tailBytes; i++) {
      end[i] = tail[(int) ((after - tailBytes + i) % TAIL_BYTES_MAX)];
    }
    if (after == tailBytes) {
      byte[] whole = new byte[headBytes + tailBytes];
      System.arraycopy(head, 0, whole, 0, headBytes);
      System.arraycopy(end, 0, whole, headBytes, tailBytes);
      return clean(new String(whole, StandardCharsets.UTF_8), secrets).strip();
    }
    int edge =
        secrets.stream().mapToInt(s -> s.getBytes(StandardCharsets.UTF_8).length).max().orElse(0);
    int keptHead = Math.max(0, headBytes - edge);
    int keptTail = Math.max(0, tailBytes - edge);
    return clean(new String(head, 0, keptHead, StandardCharsets.UTF_8), secrets)
        + "\n... "
        + (total - keptHead - keptTail)
        + " bytes left out ...\n"
        + clean(
            new String(end, tailBytes - keptTail, keptTail, StandardCharsets.UTF_8).strip(),
            secrets);
  }

  private static String clean(String text, List<String> secrets) {
    String shown = text;
    for (String secret : secrets) {
      shown = shown.replace(secret, "***");
    }
    return shown.replace("\r", "").replaceAll("[\\p{Cntrl}&&[^\\n\\t]]", "?");
  }
}
