package io.tidemark.system;

import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;

/**
 * A protected host's writer that owns one region of the volume, and the plain model of that region.
 * Writes, trims and zeroes of 512 B up to the region's size, overlapping one another at random; the
 * order in which they were acknowledged is the order in which any recovery point must show them.
 */
final class RegionWriter {
  private static final int SECTOR = 512;
  private static final int SMALL_MAX = 16 << 10;
  private final long offset;
  private final byte[] content;
  private final Random random;
  private final List<Op> phase = new ArrayList<>();
  private byte[] phaseBase;
  private Op unanswered;
  private long stamp;

  /**
   * What one request did.
   *
   * @param from first byte in the region
   * @param data what the range holds afterwards
   * @param wire how it was asked for
   */
  private record Op(int from, byte[] data, Wire wire) {
    void applyTo(byte[] region) {
      System.arraycopy(data, 0, region, from, data.length);
    }
  }

  private enum Wire {
    WRITE,
    WRITE_FUA,
    TRIM,
    ZERO,
    ZERO_NO_HOLE
  }

  RegionWriter(long offset, int length, long seed) {
    this.offset = offset;
    this.content = new byte[length];
    this.random = new Random(seed);
    this.phaseBase = content.clone();
  }

  long offset() {
    return offset;
  }

  int length() {
    return content.length;
  }

  /** What the region must hold now. */
  byte[] content() {
    return content;
  }

  int acknowledged() {
    return phase.size();
  }

  /** Starts a phase: recovery points are checked against its operations from here. */
  void beginPhase() {
    phase.clear();
    unanswered = null;
    phaseBase = content.clone();
  }

  /** Writes until told to stop, the count is reached, or the server is gone. */
  void run(String uri, int count, AtomicBoolean stop) throws IOException {
    run(uri, count, stop::get);
  }

  /**
   * @param stop asked before each write; may take its time, which paces the writer
   */
  void run(String uri, int count, BooleanSupplier stop) throws IOException {
    NbdClient client = NbdClient.connect(NbdUri.parse(uri));
    try {
      for (int i = 0; i < count && !stop.getAsBoolean(); i++) {
        Op op = next();
        unanswered = op;
        send(client, op);
        if (random.nextInt(20) == 0) {
          client.flush();
        }
        op.applyTo(content);
        phase.add(op);
        unanswered = null;
      }
      client.close();
    } finally {
      client.abort();
    }
  }

  private Op next() {
    int sectors = content.length / SECTOR;
    int max = random.nextInt(8) == 0 ? content.length : Math.min(SMALL_MAX, content.length);
    int length = (1 + random.nextInt(max / SECTOR)) * SECTOR;
    int from = random.nextInt(sectors - length / SECTOR + 1) * SECTOR;
    byte[] data = new byte[length];
    Wire wire =
        switch (random.nextInt(12)) {
          case 0 -> Wire.TRIM;
          case 1 -> Wire.ZERO;
          case 2 -> Wire.ZERO_NO_HOLE;
          case 3 -> Wire.WRITE_FUA;
          default -> Wire.WRITE;
        };
    if (wire == Wire.WRITE || wire == Wire.WRITE_FUA) {
      random.nextBytes(data);
      if (random.nextBoolean()) {
        Arrays.fill(data, SECTOR / 2, data.length, (byte) stamp);
      }
      ByteBuffer.wrap(data).putLong(offset).putLong(++stamp);
    }
    return new Op(from, data, wire);
  }

  private void send(NbdClient client, Op op) throws IOException {
    long at = offset + op.from;
    switch (op.wire) {
      case WRITE -> client.write(at, ByteBuffer.wrap(op.data));
      case WRITE_FUA -> client.writeThrough(at, ByteBuffer.wrap(op.data));
      case TRIM -> client.trim(at, op.data.length);
      case ZERO -> client.zero(at, op.data.length, false);
      case ZERO_NO_HOLE -> client.zero(at, op.data.length, true);
    }
  }

  /**
   * After a crash of the tap: an unanswered request may have taken effect in each of its sectors or
   * not; everything else must be as acknowledged. Adopts what the backing store really holds.
   */
  void settle(byte[] region) {
    byte[] applied = content.clone();
    if (unanswered != null) {
      unanswered.applyTo(applied);
    }
    for (int s = 0; s < content.length; s += SECTOR) {
      boolean old = Arrays.equals(content, s, s + SECTOR, region, s, s + SECTOR);
      boolean now = Arrays.equals(applied, s, s + SECTOR, region, s, s + SECTOR);
      if (!old && !now) {
        throw new AssertionError(
            "the backing store lost an acknowledged write at "
                + (offset + s)
                + " length "
                + SECTOR);
      }
    }
    System.arraycopy(region, 0, content, 0, content.length);
  }

  /** A forced failover went back to what the region held before some acknowledged writes. */
  void adopt(byte[] region) {
    System.arraycopy(region, 0, content, 0, content.length);
  }

  /** Follows the region through the recovery points of a phase, in order. */
  final class Follower {
    private final byte[] state = phaseBase.clone();
    private int applied;

    /** Goes on until the model equals what the image shows; how many writes that takes at least. */
    int follow(byte[] image, long seq) {
      while (!Arrays.equals(state, image)) {
        Op op = op(applied);
        if (op == null) {
          int at = Arrays.mismatch(state, image);
          throw new AssertionError(
              "image of seq %d shows at %d what no prefix of the writes explains"
                  .formatted(seq, offset + at));
        }
        op.applyTo(state);
        applied++;
      }
      return applied;
    }

    /**
     * Further writes that may have happened, too: as many leave the region as it is, alone or
     * together, such as a trim of zeroes.
     *
     * @return the numbers of writes up to {@code most} after which the region looks as it does now
     */
    List<Integer> invisible(long most) {
      List<Integer> counts = new ArrayList<>(List.of(0));
      byte[] later = state.clone();
      for (int i = 0; i < most && op(applied + i) != null; i++) {
        op(applied + i).applyTo(later);
        if (Arrays.equals(later, state)) {
          counts.add(i + 1);
        }
      }
      return counts;
    }

    private Op op(int index) {
      if (index < phase.size()) {
        return phase.get(index);
      }
      return index == phase.size() ? unanswered : null;
    }
  }

  Follower follower() {
    return new Follower();
  }
}
