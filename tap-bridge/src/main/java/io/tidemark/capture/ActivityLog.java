package io.tidemark.capture;

import io.tidemark.journal.SessionGrant;
import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.CRC32C;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which regions of a backing store may hold writes that the journal lacks, on disk (C2): after a
 * crash only they are compared. Thread-safe.
 *
 * <p>The file, numbers big-endian:
 *
 * <pre>
 *   0      header slot 0, 512 bytes   the valid slot of the higher generation counts; a new
 *   512    header slot 1              header is written over the other one
 *   4096   page 0, 512 bytes: u32 CRC-32C of the rest | u32 page number | 8 bytes of the
 *          incarnation | 496 bytes of bits, region r of the page is bit r % 8 of byte r / 8
 *   4608   page 1 ...
 * </pre>
 *
 * A page fits a sector, so a power cut leaves the old one or the new one; one that is damaged all
 * the same, or belongs to another incarnation, stands for regions that are all marked.
 */
public final class ActivityLog implements AutoCloseable {
  public static final String FILE_NAME = "activity.log";
  static final long REGION_BYTES_MIN = 4L << 20;
  private static final long REGIONS_MAX = 1L << 20;
  private static final Logger log = LoggerFactory.getLogger(ActivityLog.class);

  private static final long MAGIC = 0x544944454d4b414cL;
  private static final int VERSION = 1;
  private static final int PAGE_BYTES = 512;
  private static final int PAGE_HEADER_BYTES = 16;
  private static final int PAGE_REGIONS = (PAGE_BYTES - PAGE_HEADER_BYTES) * 8;
  private static final long PAGES_AT = 4096;

  /** Regions marked ahead of a sequential writer, so that it seldom waits for the disk. */
  private static final int AHEAD = 8;

  /** A region rests for so many sweeps before it is unmarked. */
  private static final int QUIET_SWEEPS = 2;

  /**
   * What the tap remembers of itself beside the marks.
   *
   * @param tapId this tap's lasting identity
   * @param volume the incarnation it was attached to; the zero id when it never was
   * @param sizeBytes that volume's size
   * @param synchronous whether the volume asked for synchronous replies
   * @param fenced whether the tap was fenced when it last heard of its volume
   * @param session number of the last session it was granted
   * @param openAttempts attempts to attach since then whose outcome it never learned
   * @param cleanSeq the head at which it stopped with everything journaled, -1 otherwise
   * @param epoch in which it was granted that session; 0 when an older tap wrote the log
   */
  public record State(
      UUID tapId,
      UUID volume,
      long sizeBytes,
      boolean synchronous,
      boolean fenced,
      int session,
      int openAttempts,
      long cleanSeq,
      long epoch) {
    static final UUID NO_VOLUME = new UUID(0, 0);

    static State fresh() {
      return new State(UUID.randomUUID(), NO_VOLUME, 0, false, false, 0, 0, -1, 0);
    }

    /** The incarnation that the tap was attached to. */
    public Optional<VolumeId> incarnation() {
      return volume.equals(NO_VOLUME) ? Optional.empty() : Optional.of(new VolumeId(volume));
    }

    State withOpenAttempts(int attempts) {
      return new State(
          tapId, volume, sizeBytes, synchronous, fenced, session, attempts, cleanSeq, epoch);
    }

    State withFenced() {
      return new State(
          tapId, volume, sizeBytes, synchronous, true, session, openAttempts, cleanSeq, epoch);
    }

    State withCleanSeq(long seq) {
      return new State(
          tapId, volume, sizeBytes, synchronous, fenced, session, openAttempts, seq, epoch);
    }
  }

  /** Syncs the backing store. */
  @FunctionalInterface
  public interface BackingSync {
    void sync() throws IOException;
  }

  private final LogFile file;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition committed = lock.newCondition();
  private final Object headerLock = new Object();
  private volatile State state;
  private long generation;
  private long regionBytes;
  private int regions;

  /** Marked or about to be: what the next commit writes. */
  private BitSet marked = new BitSet();

  /** Marked on disk. */
  private BitSet durable = new BitSet();

  /** Not to be unmarked: their writes were dropped or are in the spill file. */
  private BitSet stuck = new BitSet();

  private BitSet stalePages = new BitSet();
  private int[] pending = new int[0];
  private int[] lastSweep = new int[0];
  private int sweeps;
  private boolean committing;

  private ActivityLog(LogFile file) {
    this.file = file;
  }

  /**
   * Opens the log of a tap, or starts one.
   *
   * @throws Refusal BUSY while another tap uses the directory
   */
  public static ActivityLog open(Path directory) throws IOException {
    Files.createDirectories(directory);
    FileChannel channel =
        FileChannel.open(
            directory.resolve(FILE_NAME),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    try {
      if (channel.tryLock() == null) {
        throw new OverlappingFileLockException();
      }
    } catch (OverlappingFileLockException e) {
      channel.close();
      throw new Refusal(
          ErrorCode.BUSY,
          "another tap uses the state directory " + directory + ": stop it first",
          e);
    }
    return open(LogFile.of(channel));
  }

  /** Opens the log in any file; a test's file may lose what was never synced. */
  static ActivityLog open(LogFile file) throws IOException {
    ActivityLog opened = new ActivityLog(file);
    opened.load();
    return opened;
  }

  private void load() throws IOException {
    ByteBuffer slots = ByteBuffer.allocate(2 * PAGE_BYTES);
    readAt(slots, 0);
    for (int slot = 0; slot < 2; slot++) {
      decodeHeader(slots.slice(slot * PAGE_BYTES, PAGE_BYTES));
    }
    if (state == null) {
      if (file.size() > 0) {
        log.warn("the activity log holds no valid header: its volume starts over");
      }
      writeHeader(State.fresh());
      return;
    }
    layOut(state.sizeBytes());
    ByteBuffer page = ByteBuffer.allocate(PAGE_BYTES);
    for (int i = 0; i < pages(); i++) {
      page.clear();
      readAt(page, PAGES_AT + (long) i * PAGE_BYTES);
      decodePage(page, i);
    }
    durable = (BitSet) marked.clone();
    stuck = (BitSet) marked.clone();
  }

  private void layOut(long sizeBytes) {
    regionBytes = REGION_BYTES_MIN;
    while (sizeBytes / regionBytes >= REGIONS_MAX) {
      regionBytes *= 2;
    }
    regions = (int) ((sizeBytes + regionBytes - 1) / regionBytes);
    pending = new int[regions];
    lastSweep = new int[regions];
    marked = new BitSet(regions);
    durable = new BitSet(regions);
    stuck = new BitSet(regions);
    stalePages = new BitSet();
  }

  private int pages() {
    return (regions + PAGE_REGIONS - 1) / PAGE_REGIONS;
  }

  private void decodeHeader(ByteBuffer in) {
    CRC32C crc = new CRC32C();
    crc.update(in.duplicate().limit(PAGE_BYTES - 4));
    if (in.getInt(PAGE_BYTES - 4) != (int) crc.getValue()
        || in.getLong() != MAGIC
        || in.getInt() != VERSION) {
      return;
    }
    long written = in.getLong();
    if (written <= generation) {
      return;
    }
    generation = written;
    UUID tapId = new UUID(in.getLong(), in.getLong());
    UUID volume = new UUID(in.getLong(), in.getLong());
    long sizeBytes = in.getLong();
    byte flags = in.get();
    state =
        new State(
            tapId,
            volume,
            sizeBytes,
            (flags & 1) != 0,
            (flags & 2) != 0,
            in.getInt(),
            in.getInt(),
            in.getLong(),
            in.getLong());
  }

  /** Makes {@code next} durable and current. */
  private void writeHeader(State next) throws IOException {
    generation++;
    ByteBuffer out = ByteBuffer.allocate(PAGE_BYTES);
    out.putLong(MAGIC).putInt(VERSION).putLong(generation);
    out.putLong(next.tapId().getMostSignificantBits());
    out.putLong(next.tapId().getLeastSignificantBits());
    out.putLong(next.volume().getMostSignificantBits());
    out.putLong(next.volume().getLeastSignificantBits());
    out.putLong(next.sizeBytes());
    out.put((byte) ((next.synchronous() ? 1 : 0) | (next.fenced() ? 2 : 0)));
    out.putInt(next.session()).putInt(next.openAttempts()).putLong(next.cleanSeq());
    out.putLong(next.epoch());
    out.clear();
    CRC32C crc = new CRC32C();
    crc.update(out.duplicate().limit(PAGE_BYTES - 4));
    out.putInt(PAGE_BYTES - 4, (int) crc.getValue());
    writeAt(out, (generation & 1) * PAGE_BYTES);
    file.force();
    state = next;
  }

  private void decodePage(ByteBuffer page, int number) {
    int from = number * PAGE_REGIONS;
    int to = Math.min(regions, from + PAGE_REGIONS);
    CRC32C crc = new CRC32C();
    crc.update(page.duplicate().position(4).limit(PAGE_BYTES));
    if (page.getInt(0) != (int) crc.getValue()
        || page.getInt(4) != number
        || page.getLong(8) != incarnationTag()) {
      log.warn("a page of the activity log is damaged: its {} regions are compared", to - from);
      marked.set(from, to);
      return;
    }
    for (int r = from; r < to; r++) {
      int bit = r - from;
      if ((page.get(PAGE_HEADER_BYTES + bit / 8) >> (bit % 8) & 1) != 0) {
        marked.set(r);
      }
    }
  }

  private long incarnationTag() {
    return state.volume().getMostSignificantBits() ^ state.volume().getLeastSignificantBits();
  }

  private ByteBuffer encodePage(int number) {
    ByteBuffer page = ByteBuffer.allocate(PAGE_BYTES);
    page.putInt(4, number).putLong(8, incarnationTag());
    int from = number * PAGE_REGIONS;
    int to = Math.min(regions, from + PAGE_REGIONS);
    for (int r = marked.nextSetBit(from); r >= 0 && r < to; r = marked.nextSetBit(r + 1)) {
      int at = PAGE_HEADER_BYTES + (r - from) / 8;
      page.put(at, (byte) (page.get(at) | 1 << ((r - from) % 8)));
    }
    CRC32C crc = new CRC32C();
    crc.update(page.duplicate().position(4));
    return page.putInt(0, (int) crc.getValue());
  }

  public State state() {
    return state;
  }

  /** Size of a region in bytes. */
  public long regionBytes() {
    return regionBytes;
  }

  /** Regions marked now; right after {@link #open} those that must be compared. */
  public BitSet markedRegions() {
    lock.lock();
    try {
      return (BitSet) marked.clone();
    } finally {
      lock.unlock();
    }
  }

  public ByteRange rangeOf(int region) {
    long offset = region * regionBytes;
    return new ByteRange(offset, Math.min(offset + regionBytes, state.sizeBytes()) - offset);
  }

  /** Notes, durably, that an attempt to attach is made whose outcome may stay unknown. */
  public void attempting() throws IOException {
    synchronized (headerLock) {
      writeHeader(state.withOpenAttempts(state.openAttempts() + 1));
    }
  }

  /** An attempt was answered by a refusal: it opened no session. */
  public void attemptRefused() throws IOException {
    synchronized (headerLock) {
      writeHeader(state.withOpenAttempts(Math.max(0, state.openAttempts() - 1)));
    }
  }

  /** Notes, durably, that the tap may not write. */
  public void fenced() throws IOException {
    synchronized (headerLock) {
      writeHeader(state.withFenced());
    }
  }

  /**
   * Notes a granted session. When it is of another incarnation than before, the log starts over;
   * {@code dirty} regions are marked on disk before the header names the incarnation.
   *
   * @param dirty ranges that differ from the journal as far as is known
   */
  void granted(
      VolumeId volume, long sizeBytes, boolean synchronous, int session, long epoch, DirtyMap dirty)
      throws IOException {
    synchronized (headerLock) {
      State next =
          new State(
              state.tapId(), volume.value(), sizeBytes, synchronous, false, session, 0, -1, epoch);
      lock.lock();
      try {
        awaitCommitter();
        boolean same = state.volume().equals(volume.value()) && state.sizeBytes() == sizeBytes;
        if (!same) {
          // Until the new header is written, pages with the new tag read as damaged, so as marked.
          boolean fits = state.sizeBytes() == sizeBytes;
          state = next;
          if (!fits) {
            layOut(sizeBytes);
          }
          stalePages.or(allPages());
        }
        BitSet more = new BitSet();
        dirty.addRegions(more, regionBytes);
        stuck.or(more);
        marked.or(more);
        stalePages.or(pagesOf(more));
        while (!stalePages.isEmpty()) {
          commit();
        }
      } finally {
        lock.unlock();
      }
      writeHeader(next);
    }
  }

  /**
   * Notes a granted session in which the journal's content is to replace the backing store's: no
   * region is marked any more. Whoever calls it has noted durably before that the store is to be
   * filled, and which of it may be nowhere else.
   */
  public void superseded(SessionGrant grant) throws IOException {
    State next =
        new State(
            state.tapId(),
            grant.volume().value(),
            grant.sizeBytes(),
            grant.synchronous(),
            false,
            grant.session(),
            0,
            -1,
            grant.epoch().value());
    synchronized (headerLock) {
      lock.lock();
      try {
        awaitCommitter();
        // Until the new header is written, a crash leaves marks, or pages that read as marked.
        state = next;
        layOut(grant.sizeBytes());
        stalePages.or(allPages());
        while (!stalePages.isEmpty()) {
          commit();
        }
      } finally {
        lock.unlock();
      }
      writeHeader(next);
    }
  }

  private BitSet allPages() {
    BitSet all = new BitSet();
    all.set(0, pages());
    return all;
  }

  private BitSet pagesOf(BitSet some) {
    BitSet pages = new BitSet();
    some.stream().forEach(r -> pages.set(r / PAGE_REGIONS));
    return pages;
  }

  /**
   * A write to the range begins: returns once its regions are marked on disk. Concurrent callers
   * share one sync of the log.
   */
  void enter(ByteRange range) throws IOException {
    if (range.length() == 0) {
      return;
    }
    int first = region(range.offset());
    int last = region(range.end() - 1);
    lock.lock();
    try {
      for (int r = first; r <= last; r++) {
        pending[r]++;
      }
      if (durable.nextClearBit(first) > last) {
        return;
      }
      try {
        mark(first, last);
        while (durable.nextClearBit(first) <= last) {
          commit();
        }
      } catch (IOException e) {
        for (int r = first; r <= last; r++) {
          pending[r]--;
        }
        throw e;
      }
    } finally {
      lock.unlock();
    }
  }

  private void mark(int first, int last) {
    boolean sequential = first > 0 && marked.get(first - 1);
    int to = Math.min(regions, last + 1 + (sequential ? AHEAD : 0));
    for (int r = marked.nextClearBit(first); r < to; r = marked.nextClearBit(r + 1)) {
      marked.set(r);
      lastSweep[r] = sweeps;
      stalePages.set(r / PAGE_REGIONS);
    }
  }

  /** Called with the lock held; gives it up while it writes or waits for whoever writes. */
  private void commit() throws IOException {
    if (committing) {
      awaitCommitter();
      return;
    }
    BitSet pages = stalePages;
    BitSet covered = (BitSet) marked.clone();
    stalePages = new BitSet();
    List<ByteBuffer> images = pages.stream().mapToObj(this::encodePage).toList();
    committing = true;
    boolean done = false;
    try {
      lock.unlock();
      done = writeUnlocked(pages, images);
    } finally {
      lock.lock();
      committing = false;
      if (done) {
        covered.and(marked);
        durable.or(covered);
      } else {
        stalePages.or(pages);
      }
      committed.signalAll();
    }
  }

  private boolean writeUnlocked(BitSet pages, List<ByteBuffer> images) throws IOException {
    // Only the thread that set 'committing' is here, so the file has one writer at a time.
    int i = 0;
    for (int page = pages.nextSetBit(0); page >= 0; page = pages.nextSetBit(page + 1)) {
      writeAt(images.get(i++), PAGES_AT + (long) page * PAGE_BYTES);
    }
    file.force();
    return true;
  }

  private void awaitCommitter() {
    while (committing) {
      committed.awaitUninterruptibly();
    }
  }

  private int region(long offset) {
    return (int) (offset / regionBytes);
  }

  /** A write that entered is journaled, or recorded elsewhere as dirty. */
  void leave(ByteRange range) {
    lock.lock();
    try {
      leaveLocked(range);
    } finally {
      lock.unlock();
    }
  }

  void leaveAll(List<Captured> writes) {
    lock.lock();
    try {
      for (Captured write : writes) {
        leaveLocked(write.range);
      }
    } finally {
      lock.unlock();
    }
  }

  /** A write that entered was not captured: its regions stay marked. */
  void leaveSticking(ByteRange range) {
    lock.lock();
    try {
      if (range.length() > 0) {
        stuck.set(region(range.offset()), region(range.end() - 1) + 1);
      }
      leaveLocked(range);
    } finally {
      lock.unlock();
    }
  }

  /** Writes leave for the spill file: their regions stay marked until {@link #stick} says else. */
  void leaveSticking(List<Captured> writes) {
    lock.lock();
    try {
      for (Captured write : writes) {
        if (write.range.length() > 0) {
          stuck.set(region(write.range.offset()), region(write.range.end() - 1) + 1);
        }
        leaveLocked(write.range);
      }
    } finally {
      lock.unlock();
    }
  }

  private void leaveLocked(ByteRange range) {
    if (range.length() == 0) {
      return;
    }
    int last = region(range.end() - 1);
    for (int r = region(range.offset()); r <= last; r++) {
      pending[r]--;
      lastSweep[r] = sweeps;
    }
  }

  /** A marked region's write comes back from the spill file. */
  void reenter(List<Captured> writes) {
    lock.lock();
    try {
      for (Captured write : writes) {
        if (write.range.length() > 0) {
          int last = region(write.range.end() - 1);
          for (int r = region(write.range.offset()); r <= last; r++) {
            pending[r]++;
          }
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** Replaces the set of regions that must stay marked whatever is journaled. */
  void stick(BitSet regionsToKeep) {
    lock.lock();
    try {
      for (int r = stuck.nextSetBit(0); r >= 0; r = stuck.nextSetBit(r + 1)) {
        lastSweep[r] = sweeps;
      }
      stuck = regionsToKeep;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Unmarks regions that have rested with all their writes journaled, after syncing the backing
   * store if there are any.
   *
   * @param all whether to unmark those that have not rested, too
   * @return how many regions were unmarked
   */
  int sweep(BackingSync backing, boolean all) throws IOException {
    int before;
    lock.lock();
    try {
      sweeps++;
      before = all ? sweeps : sweeps - QUIET_SWEEPS;
      if (restedBefore(before).isEmpty()) {
        return 0;
      }
    } finally {
      lock.unlock();
    }
    backing.sync();
    lock.lock();
    try {
      BitSet rested = restedBefore(before);
      marked.andNot(rested);
      durable.andNot(rested);
      stalePages.or(pagesOf(rested));
      while (!stalePages.isEmpty()) {
        commit();
      }
      return rested.cardinality();
    } finally {
      lock.unlock();
    }
  }

  private BitSet restedBefore(int sweep) {
    BitSet rested = new BitSet();
    for (int r = marked.nextSetBit(0); r >= 0; r = marked.nextSetBit(r + 1)) {
      if (pending[r] == 0 && !stuck.get(r) && lastSweep[r] < sweep) {
        rested.set(r);
      }
    }
    return rested;
  }

  /** Notes that the tap stopped with everything journaled up to {@code seq}. */
  void stoppedAt(long seq) throws IOException {
    synchronized (headerLock) {
      writeHeader(state.withCleanSeq(seq));
    }
  }

  private void readAt(ByteBuffer into, long at) throws IOException {
    while (into.hasRemaining() && file.read(into, at + into.position()) >= 0) {
      // reads on; past the end of the file the rest stays zero
    }
    if (into.hasRemaining()) {
      Arrays.fill(into.array(), into.position(), into.limit(), (byte) 0);
    }
    into.clear();
  }

  private void writeAt(ByteBuffer from, long at) throws IOException {
    while (from.hasRemaining()) {
      file.write(from, at + from.position());
    }
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
