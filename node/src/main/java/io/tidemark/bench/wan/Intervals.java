package io.tidemark.bench.wan;

import com.github.luben.zstd.Zstd;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What sends the difference every so often: one state an interval reaches the target, and what was
 * overwritten within it never does. The clock is the record's.
 */
final class Intervals {
  private static final int BLOCK_BYTES = 4096;
  private static final byte[] ZEROES = new byte[BLOCK_BYTES];
  private static final Pattern SENT = Pattern.compile("Total bytes (?:sent|received): ([0-9,]+)");

  private final Trace trace;
  private final long intervalMicros;

  Intervals(Trace trace, long intervalMicros) {
    this.trace = trace;
    this.intervalMicros = intervalMicros;
  }

  /** What brings one state to the target. */
  private interface Shipment {
    void ship(byte[] source, BitSet dirty) throws IOException;
  }

  /**
   * Whole blocks.
   *
   * @param plain those blocks of 4 KiB that were written, unless they are all zeroes now, and 8
   *     bytes each for where
   * @param zstd the same, each interval's as one zstd frame of the given level
   */
  record Blocks(long plain, long zstd) {}

  Blocks blocks(int level) throws IOException {
    long[] sums = new long[2];
    each(
        null,
        (source, dirty) -> {
          int count = dirty.cardinality();
          byte[] all = new byte[count * BLOCK_BYTES];
          int at = 0;
          for (int b = dirty.nextSetBit(0); b >= 0; b = dirty.nextSetBit(b + 1)) {
            if (!zero(source, b * BLOCK_BYTES)) {
              System.arraycopy(source, b * BLOCK_BYTES, all, at, BLOCK_BYTES);
              at += BLOCK_BYTES;
            }
          }
          byte[] full = Arrays.copyOf(all, at);
          sums[0] += full.length + 8L * count;
          sums[1] += Zstd.compress(full, level).length + 8L * count;
        });
    return new Blocks(sums[0], sums[1]);
  }

  private static boolean zero(byte[] disk, int at) {
    return Arrays.equals(disk, at, at + BLOCK_BYTES, ZEROES, 0, BLOCK_BYTES);
  }

  /** The real rsync, both directions' bytes as it counts them. */
  long rsync(Path scratch, List<String> options) throws IOException {
    Path from = Files.createTempFile(scratch, "rsync-from", "");
    Path to = Files.createTempFile(scratch, "rsync-to", "");
    long[] sum = new long[1];
    try {
      each(
          begun -> {
            Files.write(from, begun);
            Files.write(to, begun);
          },
          (source, dirty) -> {
            write(from, source, dirty);
            sum[0] += rsync(from, to, options);
          });
      if (Files.mismatch(from, to) >= 0) {
        throw new IllegalStateException("rsync's copy differs");
      }
      return sum[0];
    } finally {
      Files.delete(from);
      Files.delete(to);
    }
  }

  private interface Begin {
    void begin(byte[] content) throws IOException;
  }

  private void each(Begin begin, Shipment shipment) throws IOException {
    byte[] disk = new byte[Math.toIntExact(trace.sizeBytes())];
    BitSet dirty = new BitSet();
    long[] due = {0};
    trace.forEach(
        (meta, data, measured) -> {
          if (measured && due[0] == 0) {
            due[0] = meta.firstTime().micros() + intervalMicros;
            if (begin != null) {
              begin.begin(disk);
            }
          }
          if (measured && meta.firstTime().micros() >= due[0]) {
            shipment.ship(disk, dirty);
            dirty.clear();
            while (meta.firstTime().micros() >= due[0]) {
              due[0] += intervalMicros;
            }
          }
          Trace.apply(meta, data, disk);
          if (measured) {
            touch(meta, dirty);
          }
        });
    shipment.ship(disk, dirty);
  }

  private static void touch(SegmentMeta meta, BitSet dirty) {
    for (int i = 0; i < meta.count(); i++) {
      long from = meta.offset(i) / BLOCK_BYTES;
      long to = (meta.offset(i) + meta.length(i) + BLOCK_BYTES - 1) / BLOCK_BYTES;
      dirty.set((int) from, (int) to);
    }
  }

  private static void write(Path file, byte[] disk, BitSet dirty) throws IOException {
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      for (int b = dirty.nextSetBit(0); b >= 0; b = dirty.nextSetBit(b + 1)) {
        out.seek((long) b * BLOCK_BYTES);
        out.write(disk, b * BLOCK_BYTES, Math.min(BLOCK_BYTES, disk.length - b * BLOCK_BYTES));
      }
    }
  }

  private static long rsync(Path from, Path to, List<String> options) throws IOException {
    List<String> command =
        new ArrayList<>(
            Arrays.asList("rsync", "--no-whole-file", "--inplace", "--ignore-times", "--stats"));
    command.addAll(options);
    command.add(from.toString());
    command.add(to.toString());
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("LC_ALL", "C");
    Process process = builder.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      if (process.waitFor() != 0) {
        throw new Refusal(ErrorCode.FAILED, "rsync failed: " + said.strip());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.FAILED, "interrupted", e);
    }
    long sum = 0;
    Matcher matcher = SENT.matcher(said);
    while (matcher.find()) {
      sum += Long.parseLong(matcher.group(1).replace(",", ""));
    }
    return sum;
  }
}
