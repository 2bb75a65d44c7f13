package io.tidemark.replication;

import io.tidemark.position.WriteSeq;
import io.tidemark.segment.SegmentKind;
import io.tidemark.segment.SegmentMeta;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;

/** Random writes to a volume of any kind of content, and what it held after each: the oracle. */
final class Scribe {
  static final int CHUNK_BYTES = 64 << 10;
  private static final int BLOCK = 4096;

  /** Writes and their data as a tap sends them. */
  record Segment(SegmentMeta meta, byte[] data) {}

  private record Write(long time, int offset, int length, byte[] data) {}

  final byte[] disk;
  private final Random random;
  private final List<Write> writes = new ArrayList<>();

  /** Later than the creation of any volume that these writes go to. */
  private long micros = (System.currentTimeMillis() + 60_000) * 1_000;

  Scribe(int volumeBytes, Random random) {
    this.disk = new byte[volumeBytes];
    this.random = random;
  }

  long head() {
    return writes.size();
  }

  long timeOf(long seq) {
    return writes.get((int) seq - 1).time;
  }

  /** What the volume held after write {@code seq}. */
  byte[] at(long seq) {
    byte[] image = new byte[disk.length];
    for (int i = 0; i < seq; i++) {
      apply(image, writes.get(i));
    }
    return image;
  }

  private static void apply(byte[] image, Write write) {
    if (write.data == null) {
      Arrays.fill(image, write.offset, write.offset + write.length, (byte) 0);
    } else {
      System.arraycopy(write.data, 0, image, write.offset, write.length);
    }
  }

  /** Another line of history, the same up to {@code seq}. */
  Scribe fork(long seq) {
    Scribe other = new Scribe(disk.length, random);
    other.writes.addAll(writes.subList(0, (int) seq));
    other.micros = micros;
    System.arraycopy(at(seq), 0, other.disk, 0, disk.length);
    return other;
  }

  /** A segment of 1 to {@code writesMax} random writes. */
  Segment next(int writesMax) {
    long first = head() + 1;
    int count = 1 + random.nextInt(writesMax);
    for (int i = 0; i < count; i++) {
      micros += 1 + random.nextInt(900);
      Write write = write();
      apply(disk, write);
      writes.add(write);
    }
    return segment(first);
  }

  private Segment segment(long first) {
    SegmentMeta.Builder builder =
        new SegmentMeta.Builder(SegmentKind.LIVE, new WriteSeq(first), CHUNK_BYTES);
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    for (Write write : writes.subList((int) first - 1, writes.size())) {
      builder.add(write.time, write.offset, write.length, write.data == null);
      if (write.data != null) {
        data.writeBytes(write.data);
      }
    }
    byte[] bytes = data.toByteArray();
    int[] crcs = new int[(bytes.length + CHUNK_BYTES - 1) / CHUNK_BYTES];
    CRC32C crc = new CRC32C();
    for (int i = 0; i < crcs.length; i++) {
      crc.reset();
      crc.update(bytes, i * CHUNK_BYTES, Math.min(CHUNK_BYTES, bytes.length - i * CHUNK_BYTES));
      crcs[i] = (int) crc.getValue();
    }
    return new Segment(builder.build(crcs), bytes);
  }

  private Write write() {
    int blocks = disk.length / BLOCK;
    int kind = random.nextInt(10);
    if (kind == 0) { // a range of sectors, at no block's border
      int length = 512 * (1 + random.nextInt(20));
      int offset = 512 * random.nextInt((disk.length - length) / 512 + 1);
      return new Write(micros, offset, length, bytes(length));
    }
    int count = 1 + random.nextInt(3);
    int offset = BLOCK * random.nextInt(blocks - count + 1);
    int length = BLOCK * count;
    if (kind == 1) {
      return new Write(micros, offset, length, null);
    }
    byte[] data = Arrays.copyOfRange(disk, offset, offset + length);
    if (kind == 2) { // what is elsewhere on the disk already
      int from = BLOCK * random.nextInt(blocks - count + 1);
      data = Arrays.copyOfRange(disk, from, from + length);
    } else if (kind == 3) { // written again as it is
      return new Write(micros, offset, length, data);
    } else if (kind <= 6) { // some bytes changed in place
      for (int i = 0; i < 40; i++) {
        data[random.nextInt(length)] = (byte) random.nextInt();
      }
    } else if (kind == 7) { // moved within the block
      int shift = 1 + random.nextInt(60);
      System.arraycopy(data, 0, data, shift, length - shift);
    } else if (kind == 8) { // text
      for (int i = 0; i < length; i++) {
        data[i] = (byte) ("tidemark journals every write ".charAt(random.nextInt(30)));
      }
    } else {
      data = bytes(length);
    }
    return new Write(micros, offset, length, data);
  }

  private byte[] bytes(int length) {
    byte[] data = new byte[length];
    random.nextBytes(data);
    return data;
  }

  /** What is replaced, laid out like a segment's data. */
  static byte[] previous(SegmentMeta meta, byte[] image) {
    byte[] previous = new byte[(int) meta.dataBytes()];
    for (int i = 0; i < meta.count(); i++) {
      if (!meta.zero(i)) {
        System.arraycopy(
            image,
            (int) meta.offset(i),
            previous,
            (int) meta.dataPosition(i),
            (int) meta.length(i));
      }
    }
    return previous;
  }
}
