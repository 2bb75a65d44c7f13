package io.tidemark.fill;

import io.tidemark.backing.BackingStore;
import io.tidemark.backing.RangeLocks;
import io.tidemark.capture.ContentSource;
import io.tidemark.journal.ContentRun;
import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.position.ByteRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Fills a volume's backing store with what the journal holds: the blocks that somebody waits for at
 * once, all others one after the other in a thread of its own. Where the store holds something it
 * asks for hashes first, so that only what differs is fetched.
 */
public final class Filler implements AutoCloseable {
  /** What somebody waits for is compared and fetched so much at a time. */
  private static final int PIECE_BYTES = ContentRun.BYTES_MAX;

  /** The walk compares so much at a time. */
  private static final int COMPARE_BYTES = 4 << 20;

  private static final int HASH_BYTES = 32;

  /** Who waits for a block is told after so long that it cannot be had. */
  static final Duration ANSWER_WITHIN = Duration.ofSeconds(45);

  private static final long RETRY_NANOS = TimeUnit.MILLISECONDS.toNanos(200);
  private static final long COMMIT_NANOS = TimeUnit.SECONDS.toNanos(2);

  /** The walk rests at most so long for clients after each piece. */
  private static final long REST_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  private static final long TELL_NANOS = TimeUnit.SECONDS.toNanos(10);
  private static final Logger log = LoggerFactory.getLogger(Filler.class);

  private final String volume;
  private final FillMap map;
  private final BackingStore store;
  private final RangeLocks locks;
  private final ContentSource journal;
  private final KeptContent kept;
  private final long bytesPerSecond;
  private final ByteRange whole;
  private final Object rest = new Object();
  private final Thread walk;
  private volatile boolean done;
  private volatile boolean closed;
  private volatile long askedNanos = System.nanoTime();
  private long toldNanos = System.nanoTime() - TELL_NANOS;

  /**
   * @param directory of the tap's state, for what is kept
   * @param locks of the export that writes the store
   * @param bytesPerSecond of content that the walk compares or fetches at most; 0 for no limit
   */
  public Filler(
      String volume,
      long sizeBytes,
      FillMap map,
      Path directory,
      BackingStore store,
      RangeLocks locks,
      ContentSource journal,
      long bytesPerSecond) {
    this.volume = volume;
    this.map = map;
    this.store = store;
    this.locks = locks;
    this.journal = journal;
    this.kept = new KeptContent(volume, directory, map.epoch());
    this.bytesPerSecond = bytesPerSecond;
    this.whole = new ByteRange(0, sizeBytes);
    walk = new Thread(this::walk, "tidemark-fill-" + volume);
    walk.setDaemon(true);
  }

  /** Begins to fill in the background. */
  public void start() {
    log.info("volume {}: served while {} bytes are filled", volume, unfilledBytes());
    walk.start();
  }

  /** Whether the store holds everything, durably. */
  boolean done() {
    return done;
  }

  /** Bytes that only the journal holds yet. */
  public long unfilledBytes() {
    return done ? 0 : map.unfilledBytes();
  }

  FillMap map() {
    return map;
  }

  /** A client asks for something: the walk gives way (W7). */
  void asked() {
    askedNanos = System.nanoTime();
  }

  /**
   * Returns once all blocks that the range touches are filled; takes their locks.
   *
   * @throws IOException when the store fails, or the journal's content cannot be had in time
   */
  public void ensure(ByteRange range) throws IOException {
    long deadline = System.nanoTime() + ANSWER_WITHIN.toNanos();
    while (!done) {
      Optional<ByteRange> next = map.unfilled(range, PIECE_BYTES);
      if (next.isEmpty()) {
        return;
      }
      try {
        fill(next.get());
      } catch (JournalException e) {
        if (closed || System.nanoTime() - deadline >= 0) {
          throw new IOException(
              "the journal's content of " + next.get() + ": " + e.getMessage(), e);
        }
        rest(RETRY_NANOS);
      }
    }
  }

  /** Whether the store may hold anything in the range that is to be kept before it is changed. */
  boolean keeps(ByteRange range) {
    if (!map.keeps(range)) {
      return false;
    }
    try {
      Allocation first = store.allocation(range, 1).get(0);
      return !first.zero() || first.length() < range.length();
    } catch (IOException e) {
      return true; // whoever fills it finds out
    }
  }

  /** A client's change of the range is in the store, and the caller holds its lock (W2). */
  void overwritten(ByteRange range) {
    Optional<ByteRange> inner = done ? Optional.empty() : map.inner(range);
    if (inner.isPresent()) {
      mark(inner.get());
    }
  }

  /** Everything that was filled before the call is durable when it returns (W4). */
  void flushed() throws IOException {
    if (!done) {
      map.commit(store::sync);
    }
  }

  private void mark(ByteRange blocks) {
    try {
      map.fill(blocks);
    } catch (IOException e) {
      // It is filled all the same; the next commit says so on disk, or fails.
      log.error("volume {}: {} cannot be written", volume, FillMap.RECENT_NAME, e);
    }
  }

  // ---- the walk

  private void walk() {
    long committed = System.nanoTime();
    try {
      while (!closed) {
        Optional<ByteRange> next = map.unfilled(whole, ContentRun.RANGE_BYTES_MAX);
        if (next.isEmpty()) {
          finish();
          return;
        }
        long began = System.nanoTime();
        long fetched = fillOrRest(next.get());
        if (System.nanoTime() - committed > COMMIT_NANOS) {
          map.commit(store::sync);
          committed = System.nanoTime();
        }
        pace(began, fetched);
      }
    } catch (IOException e) {
      log.error(
          "volume {}: the store cannot be filled; what is missing is read from the journal",
          volume,
          e);
    } catch (RuntimeException e) {
      if (!closed) {
        log.error("volume {}: filling failed", volume, e);
      }
    }
  }

  private long fillOrRest(ByteRange run) {
    try {
      return fill(run);
    } catch (IOException e) {
      if (!closed && System.nanoTime() - toldNanos > TELL_NANOS) {
        log.warn("volume {}: filling waits: {}", volume, e.getMessage());
        toldNanos = System.nanoTime();
      }
      rest(RETRY_NANOS);
      return 0;
    }
  }

  private void finish() throws IOException {
    map.complete(store::sync);
    if (!closed) {
      done = true;
      log.info("volume {}: the backing store is filled", volume);
    }
  }

  private void pace(long began, long fetched) {
    long took = System.nanoTime() - began;
    long due = bytesPerSecond == 0 ? 0 : (long) (fetched * 1e9 / bytesPerSecond) - took;
    if (askedNanos - began > 0) {
      due = Math.max(due, Math.min(took, REST_NANOS));
    }
    rest(due);
  }

  private void rest(long nanos) {
    long until = System.nanoTime() + nanos;
    synchronized (rest) {
      try {
        for (long left = nanos; left > 0 && !closed; left = until - System.nanoTime()) {
          TimeUnit.NANOSECONDS.timedWait(rest, left);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        closed = true;
      }
    }
  }

  // ---- one piece

  /** The journal's content cannot be had now. */
  private static final class JournalException extends IOException {
    private static final long serialVersionUID = 1L;

    JournalException(IOException cause) {
      super(cause.getMessage(), cause);
    }
  }

  /**
   * Fills at least the first block of a run of unfilled ones; returns bytes read of the journal.
   */
  private long fill(ByteRange run) throws IOException {
    if (closed) {
      throw new JournalException(new IOException("the tap stops"));
    }
    long hole = hole(run);
    if (hole > 0) {
      return fetch(new ByteRange(run.offset(), hole), false);
    }
    return compare(new ByteRange(run.offset(), Math.min(run.length(), COMPARE_BYTES)));
  }

  /** How many whole blocks' bytes at the start of the run the store holds nothing of. */
  private long hole(ByteRange run) throws IOException {
    Allocation first = store.allocation(run, 1).get(0);
    if (!first.zero()) {
      return 0;
    }
    long length = Math.min(first.length(), run.length());
    return length == run.length() ? length : length / map.blockBytes() * map.blockBytes();
  }

  /** Fetches only what differs. */
  private long compare(ByteRange piece) throws IOException {
    ByteBuffer hashes = hashes(piece);
    List<ByteRange> equal = new ArrayList<>();
    List<ByteRange> zero = new ArrayList<>();
    List<ByteRange> other = new ArrayList<>();
    int block = map.blockBytes();
    MessageDigest sha256 = sha256();
    ByteBuffer content = ByteBuffer.allocate(block);
    ByteBuffer zeroes = ByteBuffer.allocate(block);
    for (long at = piece.offset(); at < piece.end(); at += block) {
      ByteRange range = new ByteRange(at, Math.min(block, piece.end() - at));
      byte[] expected = new byte[HASH_BYTES];
      hashes.get(expected);
      content.clear().limit((int) range.length());
      store.read(content, at);
      content.flip();
      boolean holds = content.mismatch(zeroes.duplicate().limit(content.remaining())) >= 0;
      boolean wantsZeroes = ByteBuffer.wrap(expected).equals(ByteBuffer.allocate(HASH_BYTES));
      sha256.update(content.duplicate());
      byte[] digest = sha256.digest();
      if (wantsZeroes ? !holds : MessageDigest.isEqual(digest, expected)) {
        equal.add(range);
      } else {
        keep(range, content, holds);
        (wantsZeroes ? zero : other).add(range);
      }
    }
    kept(piece, zero, other);
    for (ByteRange range : equal) {
      settle(range, range, () -> {});
    }
    for (ByteRange range : zero) {
      settle(range, range, () -> store.zero(range, false));
    }
    for (ByteRange range : joined(other)) {
      for (long at = range.offset(); at < range.end(); ) {
        fetch(new ByteRange(at, range.end() - at), true);
        at = firstUnfilled(at, range);
      }
    }
    return piece.length();
  }

  private long firstUnfilled(long from, ByteRange within) {
    return map.unfilled(new ByteRange(from, within.end() - from), PIECE_BYTES)
        .map(ByteRange::offset)
        .orElse(within.end());
  }

  private static List<ByteRange> joined(List<ByteRange> blocks) {
    List<ByteRange> runs = new ArrayList<>();
    for (ByteRange block : blocks) {
      int last = runs.size() - 1;
      if (last >= 0 && runs.get(last).end() == block.offset()) {
        ByteRange before = runs.get(last);
        runs.set(last, new ByteRange(before.offset(), before.length() + block.length()));
      } else {
        runs.add(block);
      }
    }
    return runs;
  }

  /**
   * Fetches how a run begins.
   *
   * @param holds whether the store may hold something there
   */
  private long fetch(ByteRange run, boolean holds) throws IOException {
    ContentRun first = content(run);
    long blocks =
        first.length() == run.length()
            ? first.length()
            : first.length() / map.blockBytes() * map.blockBytes();
    ByteBuffer bytes = first.bytes();
    if (blocks == 0) {
      blocks = Math.min(map.blockBytes(), run.length());
      bytes = assembled(new ByteRange(run.offset(), blocks), first);
    }
    ByteRange got = new ByteRange(run.offset(), blocks);
    boolean zero = !bytes.hasRemaining();
    for (long at = got.offset(); at < got.end(); at += map.blockBytes()) {
      ByteRange block = new ByteRange(at, Math.min(map.blockBytes(), got.end() - at));
      if (zero && !holds) {
        settle(got, got, () -> {}); // a hole that is to be one: no need to look at each block
        return 0;
      }
      ByteBuffer part = zero ? bytes : bytes.slice((int) (at - got.offset()), (int) block.length());
      settle(
          block,
          block,
          () -> {
            if (zero) {
              store.zero(block, false);
            } else {
              store.write(part, block.offset());
            }
          });
    }
    return zero ? 0 : blocks;
  }

  /** A block whose content comes in several runs. */
  private ByteBuffer assembled(ByteRange block, ContentRun first) throws IOException {
    ByteBuffer all = ByteBuffer.allocate((int) block.length());
    ContentRun run = first;
    while (true) {
      int length = (int) Math.min(run.length(), all.remaining());
      all.put(run.zero() ? ByteBuffer.allocate(length) : run.bytes().slice(0, length));
      if (!all.hasRemaining()) {
        return all.flip();
      }
      run = content(new ByteRange(block.offset() + all.position(), all.remaining()));
    }
  }

  private interface Change {
    void apply() throws IOException;
  }

  /** Under the lock: nobody has filled it meanwhile, or it stays as it is. */
  private void settle(ByteRange locked, ByteRange blocks, Change change) throws IOException {
    locks.lock(locked);
    try {
      if (closed) {
        throw new JournalException(new IOException("the tap stops"));
      }
      if (!map.filled(blocks)) {
        change.apply();
        mark(blocks);
      }
    } finally {
      locks.unlock(locked);
    }
  }

  private void keep(ByteRange block, ByteBuffer content, boolean holds) throws IOException {
    if (holds && map.keeps(block)) {
      kept.write(block.offset(), content);
    }
  }

  /** What differs and is to be kept is durable in its file before anything is overwritten (W5). */
  private void kept(ByteRange piece, List<ByteRange> zero, List<ByteRange> other)
      throws IOException {
    boolean any = false;
    for (List<ByteRange> some : List.of(zero, other)) {
      for (ByteRange block : some) {
        any |= map.keeps(block);
      }
    }
    if (any) {
      kept.sync();
      for (List<ByteRange> some : List.of(zero, other)) {
        for (ByteRange run : joined(some)) {
          map.kept(run);
        }
      }
    }
  }

  private ByteBuffer hashes(ByteRange piece) throws IOException {
    ByteBuffer hashes;
    try {
      hashes = journal.hashes(piece, map.blockBytes());
    } catch (InterruptedException e) {
      throw interrupted(e);
    } catch (IOException e) {
      throw new JournalException(e);
    }
    long blocks = (piece.length() + map.blockBytes() - 1) / map.blockBytes();
    if (hashes.remaining() != blocks * HASH_BYTES) {
      throw new JournalException(
          new IOException(hashes.remaining() + " bytes of hashes for " + blocks + " blocks"));
    }
    return hashes.duplicate();
  }

  private ContentRun content(ByteRange run) throws IOException {
    try {
      return journal.content(run);
    } catch (InterruptedException e) {
      throw interrupted(e);
    } catch (IOException e) {
      throw new JournalException(e);
    }
  }

  private static IOException interrupted(InterruptedException e) {
    Thread.currentThread().interrupt();
    return new IOException("the tap stops", e);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  private void quietly(Change last) {
    try {
      last.apply();
    } catch (IOException e) {
      log.warn("volume {}: at the end of filling: {}", volume, e.getMessage());
    }
  }

  /** Before the store is closed; what is filled stays noted. */
  @Override
  public void close() {
    synchronized (rest) {
      closed = true;
      rest.notifyAll();
    }
    boolean interrupted = false;
    while (walk.isAlive()) {
      try {
        walk.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    quietly(() -> map.commit(store::sync));
    quietly(map::close);
    quietly(kept::close);
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
