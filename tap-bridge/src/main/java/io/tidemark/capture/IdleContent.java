package io.tidemark.capture;

import io.tidemark.position.ByteRange;
import io.tidemark.position.WriteSeq;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hashes of the backing store's content while nobody writes. Each block is read under its lock, so
 * that no write to it is half done or without its seq; and no seq is given to any write from before
 * the first block until after the last, so that all of them hold at the same one. For one thread.
 */
public final class IdleContent {
  private static final Logger log = LoggerFactory.getLogger(IdleContent.class);

  private final VolumeCapture capture;
  private final BackingContent backing;

  public IdleContent(VolumeCapture capture) {
    this.capture = capture;
    this.backing = capture.backing();
  }

  /**
   * Reads and hashes a range that lies inside the volume; never waits for the volume to be idle.
   *
   * @param goOn asked before each block; the answer is BUSY when it says no
   */
  public ContentHashes hashes(ByteRange range, int blockBytes, BooleanSupplier goOn)
      throws InterruptedException {
    Optional<WriteSeq> before = capture.idleAt();
    if (before.isEmpty()) {
      return ContentHashes.none(ContentHashes.State.BUSY);
    }
    int blocks = (int) ((range.length() + blockBytes - 1) / blockBytes);
    ByteBuffer hashes = ByteBuffer.allocate(blocks * ContentHashes.HASH_BYTES);
    ByteBuffer block = ByteBuffer.allocate((int) Math.min(blockBytes, range.length()));
    MessageDigest sha256 = sha256();
    for (long at = range.offset(); at < range.end(); at += blockBytes) {
      if (!goOn.getAsBoolean() || !capture.idleAt().equals(before)) {
        return ContentHashes.none(ContentHashes.State.BUSY);
      }
      block.clear().limit((int) Math.min(blockBytes, range.end() - at));
      if (!read(at, block)) {
        return ContentHashes.none(ContentHashes.State.UNREADABLE);
      }
      sha256.update(block.flip());
      hashes.put(sha256.digest());
    }
    return capture.idleAt().equals(before)
        ? new ContentHashes(ContentHashes.State.IDLE, before.get(), hashes.flip())
        : ContentHashes.none(ContentHashes.State.BUSY);
  }

  private boolean read(long offset, ByteBuffer block) throws InterruptedException {
    BackingContent.RangeLock held = backing.lock(new ByteRange(offset, block.remaining()));
    try {
      backing.read(offset, block);
      return true;
    } catch (IOException e) {
      log.warn("the backing store could not be read at {} to verify it", offset, e);
      return false;
    } finally {
      held.close();
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
