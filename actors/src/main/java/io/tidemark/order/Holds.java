package io.tidemark.order;

import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The bodies of HOLD and RELEASE and of their answers; numbers are big-endian. */
public final class Holds {
  /** A tap holds no longer, whatever it is asked. */
  public static final int LIMIT_MICROS_MAX = 5_000_000;

  /** Other volumes that one order is for. */
  public static final int COMPANIONS_MAX = 255;

  private Holds() {}

  /**
   * HOLD.
   *
   * @param owner by which the hold is released
   * @param limitMicros the tap ends the hold by itself after so long
   * @param companions other volumes, to be held at once if the same process taps them; the hold of
   *     a group takes as long as its orders take, so there is one for each tap
   */
  public record Hold(long owner, int limitMicros, List<String> companions) {
    public Hold {
      companions = List.copyOf(companions);
    }

    public Hold(long owner, int limitMicros) {
      this(owner, limitMicros, List.of());
    }

    public byte[] encode() {
      ByteBuffer out = ByteBuffer.allocate(12 + namesBytes(companions));
      putNames(out.putLong(owner).putInt(limitMicros), companions);
      return out.array();
    }

    /**
     * @throws Refusal INVALID for other bytes, or a limit outside 1 to {@link #LIMIT_MICROS_MAX}
     */
    public static Hold decode(byte[] body) {
      ByteBuffer in = atLeast(body, 12);
      Hold hold = new Hold(in.getLong(), in.getInt(), names(in));
      if (hold.limitMicros < 1 || hold.limitMicros > LIMIT_MICROS_MAX) {
        throw new Refusal(
            ErrorCode.INVALID,
            "a hold lasts from 1 to %d microseconds, not %d"
                .formatted(LIMIT_MICROS_MAX, hold.limitMicros));
      }
      return hold;
    }
  }

  /**
   * The answer to HOLD: replies to all writes after the mark are withheld from now on.
   *
   * @param mark newest seq given to a write when the hold began
   * @param time timestamp of that moment, not before the mark's write nor after any later one
   */
  public record Held(WriteSeq mark, MicroTime time) {
    private static final int BYTES = 16;

    private void put(ByteBuffer out) {
      out.putLong(mark.value()).putLong(time.micros());
    }

    private static Held get(ByteBuffer in) {
      return new Held(new WriteSeq(in.getLong()), new MicroTime(in.getLong()));
    }

    /** The answer to a HOLD without companions. */
    public byte[] encode() {
      return encode(List.of());
    }

    /** The answer, with what became of the companions: empty for one of another process. */
    public byte[] encode(List<Optional<Held>> companions) {
      ByteBuffer out = ByteBuffer.allocate(BYTES + companions.size() * (1 + BYTES));
      put(out);
      for (Optional<Held> companion : companions) {
        out.put((byte) (companion.isPresent() ? 1 : 0));
        companion.orElse(NONE).put(out);
      }
      return out.array();
    }

    private static final Held NONE = new Held(new WriteSeq(0), new MicroTime(0));

    /** Refuses other bytes by INVALID. */
    public static Held decode(byte[] body) {
      return get(checked(body, BYTES));
    }

    /**
     * The first is the ordered volume's.
     *
     * @param companions how many there were in the order
     */
    public static List<Optional<Held>> decode(byte[] body, int companions) {
      ByteBuffer in = checked(body, BYTES + companions * (1 + BYTES));
      List<Optional<Held>> all = new ArrayList<>();
      all.add(Optional.of(get(in)));
      for (int i = 0; i < companions; i++) {
        boolean known = in.get() == 1;
        Held held = get(in);
        all.add(known ? Optional.of(held) : Optional.empty());
      }
      return all;
    }
  }

  /**
   * RELEASE of the owner's hold.
   *
   * @param companions as in the HOLD, or some of them
   */
  public record Release(long owner, List<String> companions) {
    public Release {
      companions = List.copyOf(companions);
    }

    public Release(long owner) {
      this(owner, List.of());
    }

    public byte[] encode() {
      ByteBuffer out = ByteBuffer.allocate(8 + namesBytes(companions));
      putNames(out.putLong(owner), companions);
      return out.array();
    }

    /** Refuses other bytes by INVALID. */
    public static Release decode(byte[] body) {
      ByteBuffer in = atLeast(body, 8);
      return new Release(in.getLong(), names(in));
    }
  }

  /**
   * The answer to RELEASE: what the tap attests.
   *
   * @param unbroken whether the hold lasted until this release
   * @param heldMicros how long replies were withheld; 0 when there was no such hold
   * @param withheld how many replies
   */
  public record Released(boolean unbroken, long heldMicros, int withheld) {
    private static final int BYTES = 13;

    private void put(ByteBuffer out) {
      out.put((byte) (unbroken ? 1 : 0)).putLong(heldMicros).putInt(withheld);
    }

    private static Released get(ByteBuffer in) {
      return new Released(in.get() == 1, in.getLong(), in.getInt());
    }

    /** The answer to a RELEASE without companions. */
    public byte[] encode() {
      return encode(List.of(this));
    }

    /** The answer: the ordered volume's first, then its companions'. */
    public static byte[] encode(List<Released> all) {
      ByteBuffer out = ByteBuffer.allocate(all.size() * BYTES);
      all.forEach(one -> one.put(out));
      return out.array();
    }

    /** Refuses other bytes by INVALID. */
    public static Released decode(byte[] body) {
      return get(checked(body, BYTES));
    }

    /**
     * The first is the ordered volume's.
     *
     * @param companions how many there were in the order
     */
    public static List<Released> decode(byte[] body, int companions) {
      ByteBuffer in = checked(body, BYTES * (1 + companions));
      List<Released> all = new ArrayList<>();
      for (int i = 0; i <= companions; i++) {
        all.add(get(in));
      }
      return all;
    }
  }

  private static int namesBytes(List<String> names) {
    return names.stream().mapToInt(name -> 1 + name.length()).sum();
  }

  /** Names are ASCII, see {@link io.tidemark.position.VolumeName}. */
  private static void putNames(ByteBuffer out, List<String> names) {
    names.forEach(
        name -> out.put((byte) name.length()).put(name.getBytes(StandardCharsets.US_ASCII)));
  }

  private static List<String> names(ByteBuffer in) {
    List<String> names = new ArrayList<>();
    while (in.hasRemaining()) {
      int length = in.get() & 0xff;
      if (length == 0 || length > in.remaining() || names.size() == COMPANIONS_MAX) {
        throw wrong("names of volumes that are empty or do not end, or too many");
      }
      byte[] name = new byte[length];
      in.get(name);
      names.add(new String(name, StandardCharsets.US_ASCII));
    }
    return names;
  }

  private static ByteBuffer atLeast(byte[] body, int bytes) {
    return body.length < bytes ? checked(body, bytes) : ByteBuffer.wrap(body);
  }

  private static ByteBuffer checked(byte[] body, int bytes) {
    if (body.length != bytes) {
      throw wrong("a body of %d bytes instead of %d".formatted(body.length, bytes));
    }
    return ByteBuffer.wrap(body);
  }

  private static Refusal wrong(String what) {
    return new Refusal(ErrorCode.INVALID, what, new BufferUnderflowException());
  }
}
