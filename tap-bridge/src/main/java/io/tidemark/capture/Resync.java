package io.tidemark.capture;

import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Compares what a gap may have missed with the journal and captures what differs, while live writes
 * go on. The package's Javadoc says why an older state of the journal may be compared with.
 */
public final class Resync implements AutoCloseable {
  /** Bytes that one hash covers. */
  public static final int BLOCK_BYTES = 64 << 10;

  static final int HASH_BYTES = 32;
  private static final Logger log = LoggerFactory.getLogger(Resync.class);
  private static final long RETRY_MILLIS = 200;

  private final VolumeCapture capture;
  private final BackingContent backing;
  private final HashSource journal;
  private final long sizeBytes;
  private final Thread thread;
  private final ByteBuffer block = ByteBuffer.allocate(BLOCK_BYTES);
  private final ByteBuffer zeroes = ByteBuffer.allocate(BLOCK_BYTES).asReadOnlyBuffer();
  private final MessageDigest sha256;

  /** Begins to wait for work in a thread of its own. */
  public Resync(
      String name,
      VolumeCapture capture,
      BackingContent backing,
      HashSource journal,
      long sizeBytes) {
    this.capture = capture;
    this.backing = backing;
    this.journal = journal;
    this.sizeBytes = sizeBytes;
    try {
      this.sha256 = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
    thread = new Thread(this::run, "tidemark-resync-" + name);
    thread.setDaemon(true);
    thread.start();
  }

  private void run() {
    try {
      for (int turn = capture.awaitSyncTurn(); turn >= 0; turn = capture.awaitSyncTurn()) {
        try {
          if (compareAll(turn)) {
            finish(turn);
          }
        } catch (IOException e) {
          log.info("the comparison is interrupted and goes on later: {}", e.getMessage());
          capture.pauseSync(RETRY_MILLIS);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void finish(int turn) throws InterruptedException {
    capture.awaitSyncEnd(turn);
    BackingContent.RangeLock held = backing.lock(new ByteRange(0, sizeBytes));
    try {
      capture.finishSync(turn);
    } finally {
      held.close();
    }
  }

  private boolean compareAll(int turn) throws IOException, InterruptedException {
    boolean absent = capture.journalWasEmpty();
    while (true) {
      Optional<ByteRange> range = capture.nextToCompare(turn);
      if (range.isEmpty()) {
        return true;
      }
      ByteRange all = range.get();
      int blocks = (int) ((all.length() + BLOCK_BYTES - 1) / BLOCK_BYTES);
      ByteBuffer hashes =
          absent ? ByteBuffer.allocate(blocks * HASH_BYTES) : journal.hashes(all, BLOCK_BYTES);
      if (hashes.remaining() != blocks * HASH_BYTES) {
        throw new IOException(
            "%d bytes of hashes for %d blocks".formatted(hashes.remaining(), blocks));
      }
      for (int i = 0; i < blocks; i++) {
        long offset = all.offset() + (long) i * BLOCK_BYTES;
        ByteRange piece = new ByteRange(offset, Math.min(BLOCK_BYTES, sizeBytes - offset));
        byte[] expected = new byte[HASH_BYTES];
        hashes.get(hashes.position() + i * HASH_BYTES, expected);
        if (!compare(turn, piece, expected)) {
          return false;
        }
      }
      capture.compared(turn, all);
    }
  }

  /** A first look without the lock finds nearly all equal blocks and disturbs no writer. */
  private boolean compare(int turn, ByteRange range, byte[] expected)
      throws IOException, InterruptedException {
    if (equal(read(range), expected)) {
      return true;
    }
    if (!capture.awaitRoom(turn)) {
      return false;
    }
    BackingContent.RangeLock held = backing.lock(range);
    try {
      ByteBuffer now = read(range);
      return equal(now, expected) || capture.inject(turn, range, isZero(now) ? null : now);
    } finally {
      held.close();
    }
  }

  private ByteBuffer read(ByteRange range) throws IOException {
    block.clear().limit((int) range.length());
    backing.read(range.offset(), block);
    return block.flip();
  }

  private boolean isZero(ByteBuffer bytes) {
    return bytes.mismatch(zeroes.duplicate().limit(bytes.remaining())) < 0;
  }

  private boolean equal(ByteBuffer bytes, byte[] expected) {
    boolean neverWritten = true;
    for (byte b : expected) {
      neverWritten &= b == 0;
    }
    if (neverWritten) {
      return isZero(bytes);
    }
    sha256.update(bytes.duplicate());
    return MessageDigest.isEqual(sha256.digest(), expected);
  }

  /** Never interrupts: that would close the backing store under a read. */
  @Override
  public void close() {
    capture.stopSync();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
