package io.tidemark.capture;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;

/** An activity log's file in memory; a crash keeps of the unsynced sectors what chance wants. */
public final class CrashingLogFile implements LogFile {
  private static final int SECTOR = 512;
  private byte[] written = new byte[0];
  private byte[] durable = new byte[0];

  public CrashingLogFile() {}

  private CrashingLogFile(byte[] content) {
    written = content.clone();
    durable = content.clone();
  }

  @Override
  public synchronized int read(ByteBuffer into, long position) {
    if (position >= written.length) {
      return -1;
    }
    int length = (int) Math.min(into.remaining(), written.length - position);
    into.put(written, (int) position, length);
    return length;
  }

  @Override
  public synchronized int write(ByteBuffer from, long position) {
    int length = from.remaining();
    int end = (int) position + length;
    if (end > written.length) {
      written = Arrays.copyOf(written, (end + SECTOR - 1) / SECTOR * SECTOR);
    }
    from.get(written, (int) position, length);
    return length;
  }

  @Override
  public synchronized void force() {
    durable = written.clone();
  }

  @Override
  public synchronized long size() {
    return written.length;
  }

  @Override
  public void close() {}

  /** What a power cut leaves: of each unsynced sector the old, the new, or a torn one. */
  public synchronized CrashingLogFile crash(Random random, boolean tear) {
    byte[] left = Arrays.copyOf(durable, written.length);
    for (int at = 0; at < left.length; at += SECTOR) {
      if (!Arrays.equals(left, at, at + SECTOR, written, at, at + SECTOR)) {
        int keep =
            switch (random.nextInt(tear ? 3 : 2)) {
              case 0 -> 0;
              case 1 -> SECTOR;
              default -> random.nextInt(SECTOR);
            };
        System.arraycopy(written, at, left, at, keep);
      }
    }
    return new CrashingLogFile(left);
  }
}
