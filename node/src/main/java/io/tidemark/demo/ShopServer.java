package io.tidemark.demo;

import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.SQLException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;

/**
 * The protected server: an ext4 disk with the shop's database, whose every changed block goes to
 * the volume over NBD. It remembers each write, so it knows what the disk held after any of them.
 */
final class ShopServer implements AutoCloseable {
  static final String DATABASE = "shop.db";
  private static final int BLOCK = Ext4.BLOCK_BYTES;
  private static final int WRITE_BYTES_MAX = 64 << 10;

  /** One NBD request, which is one write seq; null data for one that writes zeroes. */
  private record Write(int offset, int length, byte[] data) {}

  /**
   * A moment that the story may want back.
   *
   * @param seq writes until then
   * @param sha256 of the whole disk
   */
  record Moment(long seq, Instant time, String sha256, ShopDatabase.Books books) {}

  private final Path directory;
  private final Ext4 disk;
  private final ShopDatabase database;
  private final NbdClient volume;
  private final byte[] content;
  private final List<Write> writes = new ArrayList<>();
  private final Random random;

  private ShopServer(
      Path directory, Ext4 disk, ShopDatabase database, NbdClient volume, Random random) {
    this.directory = directory;
    this.disk = disk;
    this.database = database;
    this.volume = volume;
    this.content = new byte[(int) volume.sizeBytes()];
    this.random = random;
  }

  /** Makes the file system and the database, and writes both to the volume. */
  static ShopServer open(Path directory, NbdUri volume, Random random)
      throws IOException, InterruptedException, SQLException {
    NbdClient client = NbdClient.connect(volume);
    Ext4 disk = Ext4.make(directory.resolve("host.img"), client.sizeBytes());
    ShopDatabase database = new ShopDatabase(directory.resolve(DATABASE));
    database.create();
    ShopServer server = new ShopServer(directory, disk, database, client, random);
    server.save();
    return server;
  }

  /** Writes issued so far; each is one seq. */
  long writeCount() {
    return writes.size();
  }

  Moment sell() throws IOException, InterruptedException, SQLException {
    database.sell(random);
    save();
    return moment();
  }

  Moment forgetTheWhere() throws IOException, InterruptedException, SQLException {
    database.forgetTheWhere();
    save();
    return moment();
  }

  Moment moment() throws SQLException {
    return new Moment(
        writes.size(),
        Instant.now().truncatedTo(ChronoUnit.MICROS),
        sha256(content),
        database.books());
  }

  /** The database file goes to the file system, and every block that changed to the volume. */
  private void save() throws IOException, InterruptedException {
    disk.put(directory.resolve(DATABASE), DATABASE);
    try (FileChannel file = FileChannel.open(disk.image(), StandardOpenOption.READ)) {
      byte[] now = new byte[content.length];
      ByteBuffer into = ByteBuffer.wrap(now);
      while (into.hasRemaining() && file.read(into) >= 0) {
        // A file reads in as many pieces as it likes.
        continue;
      }
      int offset = 0;
      while (offset < now.length) {
        int length = changedRun(now, offset);
        if (length > 0) {
          write(now, offset, length);
        }
        offset += Math.max(length, BLOCK);
      }
    }
    volume.flush();
  }

  /**
   * Bytes of changed blocks from here on that are all zero or all not, as one request takes them.
   */
  private int changedRun(byte[] now, int offset) {
    int length = 0;
    boolean zero = zero(now, offset);
    while (offset + length < now.length
        && length < WRITE_BYTES_MAX
        && !same(now, offset + length)
        && zero(now, offset + length) == zero) {
      length += BLOCK;
    }
    return length;
  }

  private boolean same(byte[] now, int offset) {
    return Arrays.equals(now, offset, offset + BLOCK, content, offset, offset + BLOCK);
  }

  private static boolean zero(byte[] now, int offset) {
    for (int i = offset; i < offset + BLOCK; i++) {
      if (now[i] != 0) {
        return false;
      }
    }
    return true;
  }

  private void write(byte[] now, int offset, int length) throws IOException {
    boolean zero = zero(now, offset);
    if (zero) {
      volume.zero(offset, length, false);
    } else {
      volume.write(offset, ByteBuffer.wrap(now, offset, length));
    }
    System.arraycopy(now, offset, content, offset, length);
    byte[] data = zero ? null : Arrays.copyOfRange(now, offset, offset + length);
    writes.add(new Write(offset, length, data));
  }

  /** The hash of the disk as it was after the first {@code seq} writes. */
  String sha256After(long seq) {
    byte[] then = new byte[content.length];
    for (Write write : writes.subList(0, (int) seq)) {
      if (write.data == null) {
        Arrays.fill(then, write.offset, write.offset + write.length, (byte) 0);
      } else {
        System.arraycopy(write.data, 0, then, write.offset, write.length);
      }
    }
    return sha256(then);
  }

  static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  /** Reads a whole export, as a host does that boots from it. */
  static byte[] readAll(NbdUri uri) throws IOException {
    try (NbdClient client = NbdClient.connect(uri)) {
      byte[] all = new byte[(int) client.sizeBytes()];
      int step = 1 << 20;
      for (int offset = 0; offset < all.length; offset += step) {
        client.read(offset, ByteBuffer.wrap(all, offset, Math.min(step, all.length - offset)));
      }
      return all;
    }
  }

  /** Stores a disk's content as a file. */
  static Ext4 asFileSystem(byte[] bytes, Path file) throws IOException {
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      out.setLength(0);
      out.write(bytes);
    }
    return Ext4.of(file);
  }

  @Override
  public void close() throws IOException {
    volume.close();
  }
}
