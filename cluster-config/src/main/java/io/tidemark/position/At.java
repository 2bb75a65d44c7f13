package io.tidemark.position;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.DateTimeException;

/** A recovery point as a person names it: {@code latest}, {@code seq:N}, {@code time:ISO-8601}. */
public sealed interface At {
  /** The newest journaled write. */
  record Latest() implements At {
    @Override
    public String toString() {
      return "latest";
    }
  }

  /** The state just after write {@code seq}. */
  record Seq(WriteSeq seq) implements At {
    @Override
    public String toString() {
      return "seq:" + seq;
    }
  }

  /** The state after the last write whose timestamp is not later than {@code time}. */
  record Time(MicroTime time) implements At {
    @Override
    public String toString() {
      return "time:" + time;
    }
  }

  /** A named point of a group that the volume belongs to. */
  record Tag(String name) implements At {
    @Override
    public String toString() {
      return "tag:" + name;
    }
  }

  int TEXT_MAX = 256;

  /** Refuses with {@link ErrorCode#INVALID} when the text is none of the four forms. */
  static At parse(String text) {
    if (text.length() <= TEXT_MAX) {
      if (text.equals("latest")) {
        return new Latest();
      }
      try {
        if (text.startsWith("seq:")) {
          return new Seq(new WriteSeq(Long.parseLong(text.substring(4))));
        }
        if (text.startsWith("time:")) {
          return new Time(MicroTime.parse(text.substring(5)));
        }
      } catch (IllegalArgumentException | DateTimeException e) {
        throw invalid(text, e);
      }
      if (text.startsWith("tag:") && text.length() > 4) {
        return new Tag(text.substring(4));
      }
    }
    throw invalid(text, null);
  }

  private static Refusal invalid(String text, Throwable cause) {
    return new Refusal(
        ErrorCode.INVALID,
        "'"
            + Refusal.printable(text)
            + "' names no recovery point: use latest, seq:N, time:2026-01-31T12:00:00.000001Z or"
            + " tag:NAME",
        cause);
  }
}
