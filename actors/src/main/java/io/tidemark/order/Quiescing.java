package io.tidemark.order;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The bodies of QUIESCE and THAW and of their answers. Numbers are big-endian, texts are a u16
 * length and UTF-8.
 */
public final class Quiescing {
  /** Applications of one order. */
  public static final int APPLICATIONS_MAX = 64;

  public static final int NAME_BYTES_MAX = 128;

  /** Of what an application's hook said; what is longer is cut. */
  public static final int OUTPUT_BYTES_MAX = 512;

  private static final int SUCCEEDED = 1;
  private static final int DOUBTFUL = 2;
  private static final int CRASH_ALLOWED = 4;

  private Quiescing() {}

  /**
   * QUIESCE: make the applications on this tap's host consistent. THAW: let those that the owner's
   * QUIESCE stopped go on, whatever became of it; names no applications.
   *
   * @param owner the same for both
   * @param applications by name; those that this host does not have are passed over; none: all that
   *     it has
   */
  public record Request(long owner, List<String> applications) {
    public Request {
      applications = List.copyOf(applications);
    }

    public byte[] encode() {
      ByteBuffer out = ByteBuffer.allocate(10 + applications.size() * (2 + NAME_BYTES_MAX));
      out.putLong(owner).putShort((short) applications.size());
      applications.forEach(name -> putText(out, name, NAME_BYTES_MAX));
      return taken(out);
    }

    /** Refuses other bytes by INVALID. */
    public static Request decode(byte[] body) {
      return read(
          body,
          in -> {
            long owner = in.getLong();
            List<String> names = new ArrayList<>();
            for (int n = count(in); n > 0; n--) {
              names.add(text(in, NAME_BYTES_MAX));
            }
            return new Request(owner, names);
          });
    }
  }

  /** The answer to both: one result for each application that this host has of those asked for. */
  public static byte[] encode(List<ApplicationResult> results) {
    ByteBuffer out =
        ByteBuffer.allocate(2 + results.size() * (13 + NAME_BYTES_MAX + OUTPUT_BYTES_MAX));
    out.putShort((short) results.size());
    for (ApplicationResult result : results) {
      putText(out, result.application(), NAME_BYTES_MAX);
      out.put(flags(result)).putInt(result.exitCode()).putInt(result.millis());
      putText(out, result.output(), OUTPUT_BYTES_MAX);
    }
    return taken(out);
  }

  private static byte flags(ApplicationResult result) {
    return (byte)
        ((result.succeeded() ? SUCCEEDED : 0)
            | (result.doubtful() ? DOUBTFUL : 0)
            | (result.crashAllowed() ? CRASH_ALLOWED : 0));
  }

  /** Refuses other bytes by INVALID. */
  public static List<ApplicationResult> decode(byte[] body) {
    return read(
        body,
        in -> {
          List<ApplicationResult> results = new ArrayList<>();
          for (int n = count(in); n > 0; n--) {
            String name = text(in, NAME_BYTES_MAX);
            byte flags = in.get();
            int exitCode = in.getInt();
            int millis = in.getInt();
            results.add(
                new ApplicationResult(
                    name,
                    (flags & SUCCEEDED) != 0,
                    exitCode,
                    millis,
                    text(in, OUTPUT_BYTES_MAX),
                    (flags & DOUBTFUL) != 0,
                    (flags & CRASH_ALLOWED) != 0));
          }
          return results;
        });
  }

  private interface Reading<T> {
    T from(ByteBuffer in);
  }

  private static <T> T read(byte[] body, Reading<T> reading) {
    ByteBuffer in = ByteBuffer.wrap(body);
    try {
      T value = reading.from(in);
      if (!in.hasRemaining()) {
        return value;
      }
    } catch (BufferUnderflowException e) {
      throw new Refusal(ErrorCode.INVALID, "the order's body is cut short", e);
    }
    throw new Refusal(ErrorCode.INVALID, in.remaining() + " bytes too many in the order's body");
  }

  private static int count(ByteBuffer in) {
    int count = in.getShort() & 0xffff;
    if (count > APPLICATIONS_MAX) {
      throw new Refusal(ErrorCode.INVALID, count + " applications in one order");
    }
    return count;
  }

  private static void putText(ByteBuffer out, String text, int bytesMax) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int length = Math.min(bytes.length, bytesMax);
    while (length < bytes.length && length > 0 && (bytes[length] & 0xc0) == 0x80) {
      length--; // never cut a character in two
    }
    out.putShort((short) length).put(bytes, 0, length);
  }

  private static String text(ByteBuffer in, int bytesMax) {
    int length = in.getShort() & 0xffff;
    if (length > bytesMax) {
      throw new Refusal(ErrorCode.INVALID, "a text of " + length + " bytes in an order's body");
    }
    byte[] bytes = new byte[length];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static byte[] taken(ByteBuffer out) {
    byte[] bytes = new byte[out.position()];
    out.flip().get(bytes);
    return bytes;
  }
}
