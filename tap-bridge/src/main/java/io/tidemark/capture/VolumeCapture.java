package io.tidemark.capture;

import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapStatus;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentKind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The capture of one volume: takes writes from the write path, keeps them in order, and hands them
 * to a tap link. Thread-safe; the write path never waits for the link, the node or a spill.
 *
 * <p>What waits is, in order: segments in flight, the front queue, the spill file, a batch on its
 * way into it, the back queue. Ordinals are contiguous over all of them, so a write's seq is its
 * ordinal plus a base that is known from the first attach on.
 *
 * <pre>
 *                    bound passed, failed disk, other head
 *   CONTINUOUS ----------------------------------------------&gt; COLLAPSED &lt;---+
 *       ^                                                          |           | the same
 *       | SYNC_DONE journaled                     attached, paused |           |
 *       +----------------------- RESYNCING &lt;-----------------------+           |
 *                                    +-------------------------------------------+
 * </pre>
 */
public final class VolumeCapture implements CaptureSink, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(VolumeCapture.class);
  private static final int SPILL_BATCH_BYTES = 4 << 20;

  /** So much is read back at a time while memory is tight, so that hundreds of volumes go on. */
  private static final int SPILL_BATCH_TIGHT_BYTES = 256 << 10;

  private static final long NO_MEMORY_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  /** The keeper lets so much come together, but not longer than so long: a wake-up has a price. */
  private static final int SPILL_WAKE_BYTES = 512 << 10;

  private static final int ACKNOWLEDGE_SAMPLES = 8;
  private static final long SPILL_LINGER_NANOS = TimeUnit.MILLISECONDS.toNanos(5);

  /** There while the tap needs leases, beside the activity log. */
  static final String LEASE_FILE = "lease";

  private static final int COPY_BATCH_BYTES = 1 << 20;
  private static final int COMPARE_BYTES = 4 << 20;
  private static final long SWEEP_NANOS = TimeUnit.SECONDS.toNanos(5);

  private enum Mode {
    CONTINUOUS,
    COLLAPSED,
    RESYNCING
  }

  /** A gap or the end of a resynchronisation, in its place among the writes. */
  private record Marker(Outgoing.Gap gap, Outgoing.SyncDone done, long lastOrdinal) {}

  /** What was handed to the link and is not acknowledged. */
  private static final class Flight {
    final List<Captured> writes;
    final Marker marker;
    final long lastOrdinal;
    Outgoing outgoing;
    boolean sending = true;
    long sentNanos = System.nanoTime();

    /** Whether some of its data is elsewhere in memory than {@code outgoing} says. */
    boolean moved;

    Flight(List<Captured> writes, Marker marker, long lastOrdinal) {
      this.writes = writes;
      this.marker = marker;
      this.lastOrdinal = lastOrdinal;
    }
  }

  private final String name;
  private final long sizeBytes;
  private final Path directory;
  private final Path leaseFile;
  private final CaptureLimits limits;
  private final CaptureMemory memory;
  private final MicroClock clock;
  private final ActivityLog activity;
  private final BackingContent backing;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition work = lock.newCondition();
  private final Condition chore = lock.newCondition();
  private final Condition progress = lock.newCondition();

  // What waits, in order.
  private final Deque<Flight> resend = new ArrayDeque<>();
  private final Deque<Flight> inFlight = new ArrayDeque<>();
  private final Deque<Object> front = new ArrayDeque<>();
  private SpillFile spill;
  private long spilled;
  private long spilledBytes;
  private List<Captured> spilling = List.of();
  private final Deque<Captured> back = new ArrayDeque<>();
  private long backBytes;
  private final List<SpillFile> discarded = new ArrayList<>();

  private Mode mode;
  private boolean attached;
  private boolean closed;
  private boolean senderWoken;
  private boolean senderWaits;
  private long packedNanos = System.nanoTime() - TimeUnit.HOURS.toNanos(1);

  /** Running average of the time from sending something to its acknowledgement. */
  private long acknowledgeNanos;

  /** Newest ordinal that a tag has marked. */
  private long heldOrdinal;

  private volatile String fencedReason;
  private boolean synchronous;

  private long nextOrdinal = 1;
  private long journaledOrdinal;
  private long sentOrdinal;
  private boolean baseKnown;
  private long base;
  private long lastTime;
  private long lastPackedTime;

  private long queuedBytes;
  private long queuedWrites;
  private long frontBytes;
  private long pinnedBytes;
  private long spillOldestTime;

  // The gap that grows while COLLAPSED.
  private long gapFirst;
  private long gapSince;
  private String gapReason = "";
  private long resumeAtNanos;
  private int collapses;
  private final List<Runnable> heldReplies = new ArrayList<>();

  /** The newest hold; may be over. */
  private ReplyHold hold;

  /** What replies pass; null when the tap needs no lease. */
  private volatile LeaseGate lease;

  private final DirtyMap dirty;
  private final DirtyMap syncing;
  private final DirtyMap spillDirty;
  private int syncTurn;
  private boolean gapJournaled;
  private boolean journalEmpty;
  private boolean syncDoneQueued;
  private boolean syncStopped;
  private long syncTotalBytes;
  private long syncDifferentBytes;

  private final Thread keeper;

  /**
   * @param activity the tap's log, already naming this volume or none
   * @param sizeBytes the volume's size
   * @param directory where the spill file may be
   */
  public VolumeCapture(
      String name,
      long sizeBytes,
      Path directory,
      ActivityLog activity,
      BackingContent backing,
      CaptureMemory memory,
      CaptureLimits limits,
      MicroClock clock)
      throws IOException {
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.directory = directory;
    this.activity = activity;
    this.backing = backing;
    this.memory = memory;
    this.limits = limits;
    this.clock = clock;
    this.dirty = new DirtyMap(sizeBytes);
    this.syncing = new DirtyMap(sizeBytes);
    this.spillDirty = new DirtyMap(sizeBytes);
    ActivityLog.State state = activity.state();
    this.synchronous = state.synchronous();
    this.fencedReason = state.fenced() ? "the tap was fenced before it stopped" : null;
    this.leaseFile = directory.resolve(LEASE_FILE);
    if (Files.exists(leaseFile)) {
      this.lease = newGate();
    }
    SpillFile.deleteLeftovers(directory);
    BitSet marked = activity.markedRegions();
    marked.stream().forEach(region -> dirty.add(activity.rangeOf(region)));
    mode = Mode.CONTINUOUS;
    lock.lock();
    try {
      if (!dirty.isEmpty()) {
        openGap(nextOrdinal, "the tap stopped with writes that were not journaled");
      }
    } finally {
      lock.unlock();
    }
    keeper = new Thread(this::keep, "tidemark-capture-" + name);
    keeper.setDaemon(true);
    keeper.start();
  }

  // ---- the write path

  @Override
  public void beforeWrite(ByteRange range) throws IOException {
    if (fencedReason != null) {
      throw new FencedException(fencedReason);
    }
    LeaseGate gate = lease;
    if (gate != null && gate.lost()) {
      throw new FencedException(LeaseGate.refusal(name));
    }
    activity.enter(range);
  }

  @Override
  public void wrote(ByteRange range, Payload payload, Runnable reply) {
    capture(range, payload, reply);
  }

  @Override
  public void zeroed(ByteRange range, Runnable reply) {
    capture(range, null, reply);
  }

  private void capture(ByteRange range, Payload payload, Runnable reply) {
    boolean answerNow;
    Runnable toClient = reply;
    ReplyHold overdue = null;
    lock.lock();
    try {
      ReplyHold holding = hold;
      if (holding != null && (!holding.active() || holding.overdue())) {
        overdue = holding;
        hold = null;
      } else if (holding != null) {
        toClient = () -> holding.pass(() -> answer(reply)); // its seq is above the mark (H1)
      }
      answerNow = admit(range, payload, toClient);
    } finally {
      lock.unlock();
    }
    if (overdue != null) {
      overdue.end().ifPresent(ReplyHold.Ended::giveReplies); // H2
    }
    if (answerNow) {
      answer(toClient);
    }
  }

  /** Gives a reply, at once unless the tap needs a lease and has none (W1). */
  private void answer(Runnable reply) {
    LeaseGate gate = lease;
    if (gate == null) {
      reply.run();
    } else {
      gate.pass(reply);
    }
  }

  /** What leases are told to; empty when the tap needs none. */
  public Optional<LeaseGate> lease() {
    return Optional.ofNullable(lease);
  }

  /**
   * Has replies wait for a lease from now on, also those of the process that comes after this one.
   *
   * @throws Refusal {@code FAILED} when that cannot be kept on disk
   */
  public void requireLease(boolean on) {
    LeaseGate opened = null;
    lock.lock();
    try {
      if (on == (lease != null)) {
        return;
      }
      if (on) {
        createDurably(leaseFile);
        lease = newGate();
        log.warn("volume {}: writes are acknowledged only with a lease from now on", name);
      } else {
        Files.deleteIfExists(leaseFile);
        opened = lease;
        lease = null;
        log.warn("volume {}: writes need no lease any more", name);
      }
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.FAILED, "the tap cannot keep '" + leaseFile + "': " + e.getMessage(), e);
    } finally {
      lock.unlock();
    }
    if (opened != null) {
      opened.open();
    }
  }

  private static void createDurably(Path file) throws IOException {
    if (!Files.exists(file)) {
      Files.createFile(file);
    }
    try (FileChannel directory = FileChannel.open(file.toAbsolutePath().getParent())) {
      directory.force(true);
    }
  }

  private LeaseGate newGate() {
    return new LeaseGate(name, System::nanoTime, clock, limits.leaseWait().toNanos());
  }

  /** A round of leases begins (W1). */
  public void markLease(long round) {
    requireLease(true);
    lease().ifPresent(gate -> gate.mark(round));
  }

  /** That round was granted. */
  public void grantLease(long round, long leaseMicros) {
    lease().ifPresent(gate -> gate.grant(round, leaseMicros));
  }

  /** To be called now and then: writes that have waited for a lease for too long fail. */
  public void expireLease() {
    lease().ifPresent(LeaseGate::expire);
  }

  /**
   * Withholds the replies to all writes that get a seq from now on, until the hold is ended.
   *
   * @param limitNanos a write that comes later ends it
   * @throws Refusal {@code BUSY} while it is held, {@code NOT_ACKNOWLEDGED} while no node is
   *     attached, {@code DARK_INTERVAL} while it is resynchronised
   */
  public ReplyHold hold(long limitNanos) {
    lock.lock();
    try {
      if (hold != null && hold.active()) {
        throw new Refusal(ErrorCode.BUSY, "volume " + name + " is held for another tag");
      }
      if (!attached || !baseKnown || closed) {
        throw new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "no node is attached to volume " + name);
      }
      if (mode != Mode.CONTINUOUS || !dirty.isEmpty()) {
        throw new Refusal(
            ErrorCode.DARK_INTERVAL,
            "volume %s is being resynchronised; its newest writes are no recovery points"
                .formatted(name));
      }
      hold = new ReplyHold(new WriteSeq(base + nextOrdinal - 1), new MicroTime(tick()), limitNanos);
      heldOrdinal = nextOrdinal - 1;
      if (senderWaits) {
        work.signal(); // the tag waits for what it marks to be journaled
      }
      return hold;
    } finally {
      lock.unlock();
    }
  }

  private boolean admit(ByteRange range, Payload payload, Runnable reply) {
    long ordinal = nextOrdinal++;
    long time = tick();
    long cost = Captured.cost(payload);
    if (mode != Mode.COLLAPSED && !take(cost)) {
      collapse("more writes than memory and spill file hold were not journaled", false);
    }
    if (mode == Mode.COLLAPSED) {
      dirty.add(range);
      activity.leaveSticking(range);
      if (synchronous) {
        heldReplies.add(reply);
      }
      return !synchronous;
    }
    if (payload != null) {
      payload.retain();
    }
    enqueue(
        new Captured(
            ordinal,
            time,
            SegmentKind.LIVE,
            range,
            payload,
            synchronous ? reply : null,
            System.nanoTime()));
    return !synchronous;
  }

  private void pin(long bytes) {
    pinnedBytes += bytes;
    memory.pin(bytes);
  }

  private boolean take(long cost) {
    if (synchronous) {
      memory.take(cost); // bounded by the requests in flight: their clients wait
      return true;
    }
    return memory.tryTake(cost);
  }

  private long tick() {
    lastTime = Math.max(lastTime + 1, clock.micros());
    return lastTime;
  }

  private void enqueue(Captured write) {
    queuedBytes += write.dataBytes();
    queuedWrites++;
    if (write.sparse()) {
      pin(write.payload().heldBytes() - write.dataBytes());
    }
    boolean spills = spilled > 0 || !spilling.isEmpty() || !back.isEmpty();
    if (!spills && (synchronous || limits.spillBytesMax() == 0 || !memory.tight())) {
      toFront(write);
    } else {
      back.add(write);
      backBytes += write.dataBytes();
      if (back.size() == 1 || backBytes >= SPILL_WAKE_BYTES) {
        chore.signal();
      }
    }
    if (memory.crowded()) {
      chore.signal();
    }
  }

  private void toFront(Captured write) {
    boolean wasEmpty = front.isEmpty();
    long before = frontBytes;
    front.add(write);
    write.place = front;
    frontBytes += write.dataBytes();
    boolean full = before < limits.segmentBytes() && frontBytes >= limits.segmentBytes();
    if (senderWaits && (wasEmpty || full || front.size() == limits.segmentWrites())) {
      work.signal();
    }
  }

  @Override
  public void failed(ByteRange range) {
    lock.lock();
    try {
      dirty.add(range);
      activity.leaveSticking(range);
      work.signal();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void flushed() {
    // Nothing to do: the marks were durable before the writes that this flush covers (C2).
  }

  // ---- collapse

  /** Drops what waits and everything from now on into a gap; with what is in flight, if told. */
  private void collapse(String reason, boolean withInFlight) {
    log.warn("volume {}: capture collapses: {}", name, reason);
    dropFront();
    spilling.forEach(write -> drop(write, false)); // the keeper, which writes them, releases them
    back.forEach(write -> drop(write, true));
    back.clear();
    backBytes = 0;
    spilling = List.of();
    discardSpill();
    long kept = journaledOrdinal;
    if (withInFlight) {
      dropFlights();
    } else {
      for (Deque<Flight> flights : List.of(inFlight, resend)) {
        for (Flight flight : flights) {
          kept = Math.max(kept, flight.lastOrdinal);
        }
      }
    }
    openGap(kept + 1, reason);
  }

  private void dropFront() {
    for (Object item : front) {
      if (item instanceof Captured write) {
        drop(write, true);
      }
    }
    front.clear();
    frontBytes = 0;
  }

  private void dropFlights() {
    inFlight.addAll(resend);
    resend.clear();
    for (Flight flight : inFlight) {
      flight.writes.forEach(write -> drop(write, true));
    }
    inFlight.clear();
  }

  private void discardSpill() {
    dirty.addAll(spillDirty);
    spillDirty.clear();
    spilled = 0;
    spilledBytes = 0;
    if (spill != null) {
      discarded.add(spill);
      spill = null;
      chore.signal();
    }
  }

  private void drop(Captured write, boolean release) {
    dirty.add(write.range);
    if (write.kind == SegmentKind.LIVE) {
      activity.leaveSticking(write.range);
    }
    if (write.reply != null) {
      heldReplies.add(write.reply);
    }
    forget(write, release);
  }

  private void forget(Captured write, boolean release) {
    queuedBytes -= write.dataBytes();
    queuedWrites--;
    if (write.sparse()) {
      pin(write.dataBytes() - write.payload().heldBytes());
    }
    memory.give(write.cost());
    write.place = null;
    if (release) {
      write.release();
    }
  }

  private void openGap(long first, String reason) {
    gapFirst = first;
    dirty.addAll(syncing);
    syncing.clear();
    mode = Mode.COLLAPSED;
    gapReason = reason;
    gapSince = lastTime;
    gapJournaled = false;
    syncDoneQueued = false;
    syncTurn++;
    long pause = limits.collapsePause().toNanos() << Math.min(collapses, 10);
    pause = Math.min(pause, CaptureLimits.COLLAPSE_PAUSE_MAX.toNanos());
    resumeAtNanos = System.nanoTime() + (collapses == 0 ? 0 : pause);
    collapses++;
    progress.signalAll();
  }

  /** Captures again from here on, and puts the gap in front of it. */
  private void closeGap() {
    if (nextOrdinal == gapFirst) {
      nextOrdinal++;
    }
    long last = nextOrdinal - 1;
    Outgoing.Gap gap =
        new Outgoing.Gap(
            new WriteSeq(base + gapFirst),
            new WriteSeq(base + last),
            new MicroTime(tick()),
            gapReason);
    front.add(new Marker(gap, null, last));
    journalEmpty = gap.first().value() == 1;
    syncing.addAll(dirty);
    dirty.clear();
    syncTotalBytes = syncing.bytes();
    syncDifferentBytes = 0;
    mode = Mode.RESYNCING;
    log.info(
        "volume {}: seqs {}..{} are dark ({}); {} bytes to compare",
        name,
        gap.first(),
        gap.last(),
        gapReason,
        syncTotalBytes);
  }

  /** With the lock held, by the link's thread: begins what only an attached tap can begin. */
  private void advance() {
    if (!attached || closed) {
      return;
    }
    boolean quiet = spilled == 0 && spilling.isEmpty() && back.isEmpty();
    if (mode != Mode.COLLAPSED && !dirty.isEmpty() && quiet) {
      if (front.stream().noneMatch(Marker.class::isInstance)) {
        openGap(nextOrdinal, "a write to the backing store failed");
      }
    }
    if (mode == Mode.COLLAPSED
        && inFlight.isEmpty()
        && resend.isEmpty()
        && front.isEmpty()
        && System.nanoTime() - resumeAtNanos >= 0) {
      closeGap();
    }
  }

  // ---- the link

  /** Everything that may differ when nothing is known of the journal's content. */
  private List<ByteRange> everything(WriteSeq head) throws IOException {
    if (head.value() > 0) {
      return List.of(new ByteRange(0, sizeBytes));
    }
    List<ByteRange> cut = new ArrayList<>();
    for (ByteRange range : backing.allocated()) {
      if (range.offset() < sizeBytes) {
        cut.add(new ByteRange(range.offset(), Math.min(range.end(), sizeBytes) - range.offset()));
      }
    }
    return cut;
  }

  /**
   * The link is attached: goes on where the journal ends, or finds that it must resynchronise.
   *
   * @throws Refusal {@code INVALID} when the volume has another size than the one served
   */
  public void attached(SessionGrant grant) throws IOException {
    if (grant.sizeBytes() != sizeBytes) {
      throw new Refusal(
          ErrorCode.INVALID,
          "volume %s is %d bytes now, the tap serves %d: restart the tap"
              .formatted(name, grant.sizeBytes(), sizeBytes));
    }
    requireLease(grant.leased());
    ActivityLog.State known = activity.state();
    boolean continues = continues(known, grant);
    List<ByteRange> all = continues ? List.of() : everything(grant.head());
    DirtyMap marks = new DirtyMap(sizeBytes);
    lock.lock();
    try {
      long head = grant.head().value();
      boolean inReach =
          !baseKnown
              || (head >= base + journaledOrdinal && head <= base + sentOrdinal && continues);
      if (!inReach && continues) {
        all = everything(grant.head());
        continues = false;
      }
      if (!continues) {
        all.forEach(dirty::add);
        if (!dirty.isEmpty() || baseKnown || mode != Mode.CONTINUOUS || !front.isEmpty()) {
          startOver(baseKnown ? "the journal went on without this tap" : "initial synchronisation");
        }
      } else if (grant.syncOpen() && mode == Mode.CONTINUOUS) {
        everything(grant.head()).forEach(dirty::add);
        startOver("a synchronisation was never completed");
      }
      if (!baseKnown || !continues) {
        base = head - journaledOrdinal;
        baseKnown = true;
        sentOrdinal = journaledOrdinal;
        lastPackedTime = grant.headTime().micros();
      }
      synchronous = grant.synchronous();
      fencedReason = null;
      lastTime = Math.max(lastTime, grant.headTime().micros());
      marks.addAll(dirty);
      marks.addAll(syncing);
    } finally {
      lock.unlock();
    }
    activity.granted(
        grant.volume(),
        grant.sizeBytes(),
        grant.synchronous(),
        grant.session(),
        grant.epoch().value(),
        marks);
    List<Runnable> replies = new ArrayList<>();
    lock.lock();
    try {
      resume(grant, replies);
    } finally {
      lock.unlock();
    }
    replies.forEach(Runnable::run);
  }

  private boolean continues(ActivityLog.State known, SessionGrant grant) {
    VolumeId volume = grant.volume();
    return known.volume().equals(volume.value())
        && onlyOurs(known, grant)
        && (known.cleanSeq() < 0 || known.cleanSeq() == grant.head().value());
  }

  /** Whether every session since the one this tap knows was its own (C8). */
  private static boolean onlyOurs(ActivityLog.State known, SessionGrant grant) {
    if (grant.session() == known.session()) {
      return true; // noted when the store was given up for the journal's content
    }
    int others = grant.session() - known.session() - 1;
    if (grant.sinceSession() > 0) {
      return others >= 0 && grant.sinceSession() <= known.session();
    }
    return others >= 0 && others <= known.openAttempts() - 1; // a node that does not tell
  }

  private void startOver(String reason) {
    if (mode == Mode.COLLAPSED) {
      dropFlights();
      dropFront(); // what was captured before a gap that was opened without dropping anything
      gapFirst = journaledOrdinal + 1;
      gapReason = reason;
    } else {
      collapse(reason, true);
    }
  }

  /** Gives what is in flight up for a gap: the journal will not take it, whatever the reason. */
  public void abandonFlights(String reason) {
    lock.lock();
    try {
      startOver(reason);
      advance();
    } finally {
      lock.unlock();
    }
  }

  /** Drops what the journal has already and prepares the rest to be sent again. */
  private void resume(SessionGrant grant, List<Runnable> replies) {
    long headOrdinal = grant.head().value() - base;
    while (!inFlight.isEmpty()) {
      resend.addFirst(inFlight.pollLast()); // what was sent goes before what waits to be resent
    }
    while (!resend.isEmpty() && resend.peekFirst().lastOrdinal <= headOrdinal) {
      Flight flight = resend.peekFirst();
      if (flight.marker != null && flight.marker.done() != null && grant.syncOpen()) {
        break;
      }
      resend.pollFirst();
      finish(flight, replies);
    }
    attached = true;
    advance();
    progress.signalAll();
  }

  /** The link is broken; what is in flight will be sent again unless the journal has it. */
  public void detached() {
    lock.lock();
    try {
      attached = false;
      inFlight.forEach(flight -> flight.sending = false);
      resend.forEach(flight -> flight.sending = false);
      progress.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** The tap was fenced: every later write fails (J6). */
  public void fenced(String reason) throws IOException {
    boolean news = fencedReason == null;
    fencedReason = reason;
    if (news) {
      activity.fenced();
      log.error("volume {}: fenced: {}", name, reason);
    }
    lease().ifPresent(gate -> gate.refuse(reason));
  }

  /** Makes a waiting {@link #next} return. */
  public void wake() {
    lock.lock();
    try {
      senderWoken = true;
      work.signal();
    } finally {
      lock.unlock();
    }
  }

  /**
   * What to send next; for the link's one sending thread, while attached.
   *
   * @param credit whether the node's window is open
   * @param segmentBytesMax the node's limit of a segment's data
   * @param segmentWritesMax the node's limit of a segment's writes
   * @param waitNanos how long to wait at most
   * @return empty after the wait or when woken
   */
  public Optional<Outgoing> next(
      boolean credit, int segmentBytesMax, int segmentWritesMax, long waitNanos)
      throws InterruptedException {
    int bytes = Math.min(limits.segmentBytes(), segmentBytesMax);
    int writes = Math.min(limits.segmentWrites(), segmentWritesMax);
    Flight flight = null;
    boolean unspill = false;
    lock.lockInterruptibly();
    try {
      long deadline = System.nanoTime() + waitNanos;
      while (flight == null && !unspill && !senderWoken && !closed && attached) {
        advance();
        flight = pick(credit, bytes, writes);
        unspill = flight == null && front.isEmpty() && spilled > 0 && mayReadSpill();
        if (flight == null && !unspill) {
          long left = Math.min(deadline - System.nanoTime(), lingerLeft());
          if (deadline - System.nanoTime() <= 0) {
            break;
          }
          senderWaits = true;
          work.awaitNanos(Math.max(left, 1));
          senderWaits = false;
        }
      }
      senderWoken = false;
    } finally {
      lock.unlock();
    }
    if (unspill) {
      readSpill();
      return Optional.empty();
    }
    if (flight == null) {
      return Optional.empty();
    }
    if (flight.moved && flight.outgoing instanceof Outgoing.Segment segment) {
      flight.outgoing =
          new Outgoing.Segment(segment.meta(), segment.encodedMeta(), Packing.data(flight.writes));
      flight.moved = false;
    }
    if (flight.outgoing == null) {
      flight.outgoing = Packing.segment(flight.writes, base, packedTimes(flight.writes));
    }
    return Optional.of(flight.outgoing);
  }

  private long[] packedTimes(List<Captured> writes) {
    long[] times = new long[writes.size()];
    for (int i = 0; i < times.length; i++) {
      lastPackedTime = Math.max(lastPackedTime + 1, writes.get(i).timeMicros);
      times[i] = lastPackedTime;
    }
    return times;
  }

  private Flight pick(boolean credit, int bytes, int writes) {
    if (!credit) {
      return null;
    }
    if (!resend.isEmpty()) {
      Flight first = resend.pollFirst();
      first.sending = true;
      first.sentNanos = System.nanoTime();
      inFlight.add(first);
      return first;
    }
    if (front.isEmpty()) {
      return null;
    }
    if (front.peekFirst() instanceof Marker marker) {
      front.pollFirst();
      Flight flight = new Flight(List.of(), marker, marker.lastOrdinal());
      if (marker.gap() != null) {
        lastPackedTime = Math.max(lastPackedTime + 1, marker.gap().time().micros());
        Outgoing.Gap gap = marker.gap();
        flight.outgoing =
            new Outgoing.Gap(gap.first(), gap.last(), new MicroTime(lastPackedTime), gap.reason());
      } else {
        flight.outgoing = marker.done();
      }
      sentOrdinal = Math.max(sentOrdinal, flight.lastOrdinal);
      inFlight.add(flight);
      return flight;
    }
    if (!ready(bytes, writes)) {
      return null;
    }
    return pack(bytes, writes);
  }

  private boolean ready(int bytes, int writes) {
    return frontBytes >= bytes || front.size() >= writes || spilled > 0 || lingers() <= 0;
  }

  /** Nanoseconds that the first of {@code front}, a write, still waits for company. */
  private long lingers() {
    Captured first = (Captured) front.peekFirst();
    if (synchronous || first.ordinal <= heldOrdinal) {
      return 0;
    }
    long now = System.nanoTime();
    long rest = limits.linger().toNanos() - (now - first.sinceNanos);
    // What is synchronised comes in steps, and each waits for the one before.
    return first.kind == SegmentKind.LIVE ? Math.max(rest, pace() - (now - packedNanos)) : rest;
  }

  private long pace() {
    long least = limits.pace().toNanos();
    return Math.min(
        Math.max(least, acknowledgeNanos * CaptureLimits.PACE_FACTOR_MAX),
        least * CaptureLimits.PACE_FACTOR_MAX);
  }

  private long lingerLeft() {
    if (front.peekFirst() instanceof Captured) {
      long left = lingers();
      return left > 0 ? left : Long.MAX_VALUE; // ready, but out of credit: an ack will wake us
    }
    if (mode == Mode.COLLAPSED && inFlight.isEmpty()) {
      return Math.max(1, resumeAtNanos - System.nanoTime());
    }
    return Long.MAX_VALUE;
  }

  /** At least one write; a write larger than the limit goes alone. */
  private Flight pack(int bytes, int writes) {
    List<Captured> batch = new ArrayList<>();
    long size = 0;
    SegmentKind kind = ((Captured) front.peekFirst()).kind;
    while (batch.size() < writes
        && front.peekFirst() instanceof Captured write
        && write.kind == kind
        && (batch.isEmpty() || size + write.dataBytes() <= bytes)) {
      batch.add(write);
      size += write.dataBytes();
      front.pollFirst();
    }
    frontBytes -= size;
    Flight flight = new Flight(batch, null, batch.get(batch.size() - 1).ordinal);
    batch.forEach(write -> write.place = flight);
    sentOrdinal = Math.max(sentOrdinal, flight.lastOrdinal);
    inFlight.add(flight);
    packedNanos = System.nanoTime();
    return flight;
  }

  /** The link has written {@code outgoing} out; its data may be moved in memory from now on. */
  public void sent(Outgoing outgoing) {
    lock.lock();
    try {
      for (Flight flight : inFlight) {
        if (flight.outgoing == outgoing) {
          flight.sending = false;
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** The oldest thing in flight is journaled. */
  public void acknowledged() {
    List<Runnable> replies = new ArrayList<>();
    lock.lock();
    try {
      Flight flight = inFlight.pollFirst();
      if (flight == null) {
        throw new IllegalStateException("an acknowledgement of nothing");
      }
      long took = System.nanoTime() - flight.sentNanos;
      acknowledgeNanos += (took - acknowledgeNanos) / ACKNOWLEDGE_SAMPLES;
      finish(flight, replies);
      advance();
      if (senderWaits) {
        work.signal();
      }
    } finally {
      lock.unlock();
    }
    replies.forEach(this::answer);
  }

  private void finish(Flight flight, List<Runnable> replies) {
    journaledOrdinal = Math.max(journaledOrdinal, flight.lastOrdinal);
    List<Captured> live = flight.writes;
    if (!live.isEmpty()) {
      if (live.get(0).kind == SegmentKind.LIVE) {
        activity.leaveAll(live);
      }
      for (Captured write : live) {
        forget(write, true);
        if (write.reply != null) {
          replies.add(write.reply);
        }
      }
    } else if (flight.marker.gap() != null) {
      gapJournaled = mode == Mode.RESYNCING;
    } else if (mode == Mode.RESYNCING && syncDoneQueued) {
      mode = Mode.CONTINUOUS;
      collapses = 0;
      syncTotalBytes = 0;
      restick();
      replies.addAll(heldReplies);
      heldReplies.clear();
      log.info("volume {}: in step with the journal again", name);
    }
    progress.signalAll();
  }

  private void restick() {
    BitSet keep = new BitSet();
    dirty.addRegions(keep, activity.regionBytes());
    syncing.addRegions(keep, activity.regionBytes());
    spillDirty.addRegions(keep, activity.regionBytes());
    activity.stick(keep);
  }

  /** Writes of a resynchronisation never entered the activity log: their regions are stuck. */
  private static List<Captured> live(List<Captured> writes) {
    return writes.stream().filter(write -> write.kind == SegmentKind.LIVE).toList();
  }

  /** While memory is tight, only what must be sent for anything to be acknowledged. */
  private boolean mayReadSpill() {
    return inFlight.isEmpty() || !memory.tight();
  }

  private int spillBatch() {
    long share = Math.min(SPILL_BATCH_BYTES, memory.bytesMax() / 8);
    return memory.tight()
        ? SPILL_BATCH_TIGHT_BYTES
        : (int) Math.max(SPILL_BATCH_TIGHT_BYTES, share);
  }

  private void readSpill() throws InterruptedException {
    SpillFile source;
    long count;
    int most;
    lock.lock();
    try {
      source = spill;
      count = spilled;
      most = spillBatch();
      memory.take(most); // reserved, so that other volumes see it while this one reads
    } finally {
      lock.unlock();
    }
    List<Captured> taken = List.of();
    IOException failure = null;
    try {
      if (source != null && count > 0) {
        taken = source.take(count, most, memory, System.nanoTime());
      }
    } catch (IOException e) {
      failure = e;
    } catch (OutOfMemoryError e) {
      log.warn("volume {}: no memory to read spilled writes to: {}", name, e.getMessage());
    }
    lock.lock();
    try {
      memory.give(most);
      if (taken.isEmpty() && failure == null) {
        if (source != null && count > 0) {
          work.awaitNanos(NO_MEMORY_PAUSE_NANOS);
        }
        return;
      }
      if (source != spill) {
        taken.forEach(Captured::release); // collapsed meanwhile
        return;
      }
      if (failure != null) {
        collapse("the spill file failed: " + failure.getMessage(), false);
        return;
      }
      activity.reenter(live(taken));
      spilled -= taken.size();
      for (Captured write : taken) {
        memory.take(write.cost());
        spilledBytes -= write.dataBytes();
        queuedBytes += write.dataBytes();
        queuedWrites++;
        toFront(write);
      }
      spillOldestTime = taken.isEmpty() ? 0 : taken.get(taken.size() - 1).timeMicros;
      if (spilled == 0 && spilling.isEmpty()) {
        spillDirty.clear();
        restick();
        while (!back.isEmpty()) {
          toFront(back.pollFirst());
        }
        backBytes = 0;
      }
    } finally {
      lock.unlock();
    }
  }

  // ---- the keeper: spills, copies out, sweeps

  private void keep() {
    long sweepAt = System.nanoTime() + SWEEP_NANOS;
    try {
      while (true) {
        List<Captured> batch = List.of();
        List<SpillFile> old;
        SpillFile target = null;
        lock.lock();
        try {
          if (closed) {
            return;
          }
          if (back.isEmpty() && discarded.isEmpty()) {
            long half = limits.copyAfter().toNanos() / 2;
            chore.awaitNanos(queuedWrites > 0 ? half + 1 : TimeUnit.SECONDS.toNanos(1));
          }
          gather();
          old = List.copyOf(discarded);
          discarded.clear();
          if (!back.isEmpty()) {
            batch = takeToSpill();
            target = spill;
          }
        } finally {
          lock.unlock();
        }
        for (SpillFile file : old) {
          closeQuietly(file);
        }
        if (!batch.isEmpty()) {
          spill(batch, target);
        }
        copyOut();
        if (System.nanoTime() - sweepAt >= 0) {
          sweep(false);
          sweepAt = System.nanoTime() + SWEEP_NANOS;
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits for more to spill at once. */
  private void gather() throws InterruptedException {
    long left = SPILL_LINGER_NANOS;
    while (left > 0 && !closed && !back.isEmpty() && backBytes < SPILL_WAKE_BYTES) {
      left = chore.awaitNanos(left);
    }
  }

  private void closeQuietly(SpillFile file) {
    try {
      file.close();
    } catch (IOException e) {
      log.warn("volume {}: a spill file could not be removed: {}", name, e.getMessage());
    }
  }

  private List<Captured> takeToSpill() {
    if (spill == null) {
      spill = new SpillFile(directory, limits.spillBytesMax());
    }
    List<Captured> batch = new ArrayList<>();
    long bytes = 0;
    while (!back.isEmpty() && bytes < SPILL_BATCH_BYTES) {
      bytes += SpillFile.recordBytes(back.peekFirst());
      backBytes -= back.peekFirst().dataBytes();
      batch.add(back.pollFirst());
    }
    spilling = batch;
    if (!spill.hasRoom(bytes)) {
      collapse("the spill file is full", false);
      batch.forEach(Captured::release);
      return List.of();
    }
    return batch;
  }

  private void spill(List<Captured> batch, SpillFile target) {
    IOException failure = null;
    try {
      target.append(batch);
    } catch (IOException e) {
      failure = e;
    }
    lock.lock();
    try {
      if (target != spill) {
        batch.forEach(Captured::release); // collapsed meanwhile
        return;
      }
      if (failure != null) {
        collapse("the spill file failed: " + failure.getMessage(), false);
        batch.forEach(Captured::release);
        return;
      }
      activity.leaveSticking(live(batch));
      if (spilled == 0) {
        spillOldestTime = batch.get(0).timeMicros;
      }
      spilled += batch.size();
      spilling = List.of();
      for (Captured write : batch) {
        spillDirty.add(write.range);
        spilledBytes += write.dataBytes();
        forget(write, true);
      }
      work.signal();
    } finally {
      lock.unlock();
    }
  }

  /** Copies old small writes out of receive buffers that they pin for nobody else. */
  private void copyOut() {
    List<Captured> picked = new ArrayList<>();
    List<Payload> originals = new ArrayList<>();
    lock.lock();
    try {
      if (pinnedBytes <= 0) {
        return;
      }
      boolean urgent = memory.crowded();
      long age = urgent ? 0 : limits.copyAfter().toNanos();
      pickSparse(picked, age);
      for (Captured write : picked) {
        write.payload().retain();
        originals.add(write.payload());
      }
    } finally {
      lock.unlock();
    }
    try {
      for (int i = 0; i < picked.size(); i++) {
        Payload original = originals.get(i);
        swap(picked.get(i), original, memory.copyOf(original.pieces(), original.length()));
      }
    } catch (OutOfMemoryError e) {
      // They stay where they are, and the keeper lives.
      log.warn("volume {}: no memory to copy small writes to: {}", name, e.getMessage());
    } finally {
      originals.forEach(Payload::release);
    }
  }

  private void pickSparse(List<Captured> picked, long age) {
    long now = System.nanoTime();
    long bytes = 0;
    for (Flight flight : inFlight) {
      for (Captured write : flight.writes) {
        if (!flight.sending && write.sparse() && bytes < COPY_BATCH_BYTES) {
          bytes += write.dataBytes();
          picked.add(write);
        }
      }
    }
    for (Object item : front) {
      if (bytes >= COPY_BATCH_BYTES
          || (item instanceof Captured write && now - write.sinceNanos < age)) {
        return;
      }
      if (item instanceof Captured write && write.sparse()) {
        bytes += write.dataBytes();
        picked.add(write);
      }
    }
  }

  private void swap(Captured write, Payload original, CaptureMemory.Copy copy) {
    lock.lock();
    try {
      boolean moves =
          write.place == front || (write.place instanceof Flight flight && !flight.sending);
      if (!moves || write.payload() != original) {
        copy.release();
        return;
      }
      pin(original.length() - original.heldBytes());
      write.replace(copy);
      original.release();
      if (write.place instanceof Flight flight) {
        flight.moved = true;
      }
    } finally {
      lock.unlock();
    }
  }

  private void sweep(boolean all) {
    try {
      activity.sweep(backing::sync, all);
    } catch (IOException e) {
      log.warn("volume {}: the activity log keeps its marks: {}", name, e.getMessage());
    }
  }

  // ---- resynchronisation, for Resync

  /** Waits until there is something to compare: the turn it belongs to, -1 once stopped. */
  int awaitSyncTurn() throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (!syncStopped && !syncReady()) {
        progress.await();
      }
      return syncStopped ? -1 : syncTurn;
    } finally {
      lock.unlock();
    }
  }

  private boolean syncReady() {
    return !syncStopped
        && !closed
        && attached
        && mode == Mode.RESYNCING
        && gapJournaled
        && !syncDoneQueued;
  }

  /** Ends every wait of the comparison for good. */
  void stopSync() {
    lock.lock();
    try {
      syncStopped = true;
      progress.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Lets a moment pass after a failed comparison. */
  void pauseSync(long millis) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      long left = TimeUnit.MILLISECONDS.toNanos(millis);
      while (left > 0 && !syncStopped) {
        left = progress.awaitNanos(left);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether the journal was empty when the gap began: every block is then absent from it. */
  boolean journalWasEmpty() {
    lock.lock();
    try {
      return journalEmpty;
    } finally {
      lock.unlock();
    }
  }

  /** The next range to compare, once live writes leave room; empty when the turn is over. */
  Optional<ByteRange> nextToCompare(int turn) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (turn == syncTurn && syncReady() && crowded()) {
        progress.await();
      }
      return turn == syncTurn && syncReady() ? syncing.first(0, COMPARE_BYTES) : Optional.empty();
    } finally {
      lock.unlock();
    }
  }

  private boolean crowded() {
    return queuedBytes > limits.syncPendingBytes() || spilled > 0 || !back.isEmpty();
  }

  /** Waits for room before a range is locked; false when the turn is over. */
  boolean awaitRoom(int turn) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (turn == syncTurn && syncReady() && crowded()) {
        progress.await();
      }
      return turn == syncTurn && syncReady();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Captures a block that differs, while the caller holds the lock of its range.
   *
   * @param content null when it reads back as zeroes
   * @return false when the turn is over: the block stays to be compared
   */
  boolean inject(int turn, ByteRange range, ByteBuffer content) {
    CaptureMemory.Copy copy = null;
    if (content != null) {
      copy = memory.copyOf(List.of(content), content.remaining());
    }
    lock.lock();
    try {
      if (turn != syncTurn || mode != Mode.RESYNCING) {
        if (copy != null) {
          copy.release();
        }
        return false;
      }
      memory.take(Captured.cost(copy)); // bounded by syncPendingBytes
      syncDifferentBytes += range.length();
      enqueue(
          new Captured(
              nextOrdinal++, tick(), SegmentKind.SYNC, range, copy, null, System.nanoTime()));
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** All of the range is equal or on its way. */
  void compared(int turn, ByteRange range) {
    lock.lock();
    try {
      if (turn == syncTurn && mode == Mode.RESYNCING) {
        syncing.remove(range);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Waits until the end of the turn could be queued: nothing may be in the spill file. */
  void awaitSyncEnd(int turn) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (turn == syncTurn && syncReady() && syncing.isEmpty() && spillInUse()) {
        progress.awaitNanos(TimeUnit.MILLISECONDS.toNanos(50));
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends the turn if nothing is left to compare. The caller holds the lock of the whole volume, so
   * that every write that a comparison may have seen is captured before the end of the turn.
   */
  void finishSync(int turn) {
    lock.lock();
    try {
      if (turn == syncTurn && syncReady() && syncing.isEmpty() && !spillInUse()) {
        syncDoneQueued = true;
        front.add(new Marker(null, new Outgoing.SyncDone(syncDifferentBytes), nextOrdinal - 1));
        work.signal();
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean spillInUse() {
    return spilled > 0 || !spilling.isEmpty() || !back.isEmpty();
  }

  // ---- status and end

  /** The volume's size. */
  public long sizeBytes() {
    return sizeBytes;
  }

  public TapStatus status() {
    lock.lock();
    try {
      TapStatus.Mode shown =
          switch (mode) {
            case COLLAPSED -> TapStatus.Mode.COLLAPSED;
            case RESYNCING -> TapStatus.Mode.RESYNCING;
            case CONTINUOUS -> spillInUse() ? TapStatus.Mode.SPILLING : TapStatus.Mode.CONTINUOUS;
          };
      long unfilled = shown == TapStatus.Mode.CONTINUOUS ? backing.unfilledBytes() : 0;
      if (unfilled > 0) {
        return new TapStatus(
            TapStatus.Mode.FILLING,
            queuedBytes,
            queuedWrites,
            oldestPending(),
            sizeBytes - unfilled,
            sizeBytes);
      }
      boolean syncs = mode != Mode.CONTINUOUS;
      long total = mode == Mode.COLLAPSED ? dirty.bytes() : syncTotalBytes;
      long done = mode == Mode.COLLAPSED ? 0 : Math.max(0, total - syncing.bytes());
      return new TapStatus(
          shown,
          queuedBytes + spilledBytes,
          queuedWrites + spilled,
          oldestPending(),
          syncs ? done : 0,
          syncs ? total : 0);
    } finally {
      lock.unlock();
    }
  }

  private long oldestPending() {
    for (Deque<Flight> flights : List.of(inFlight, resend)) {
      for (Flight flight : flights) {
        if (!flight.writes.isEmpty()) {
          return flight.writes.get(0).timeMicros;
        }
      }
    }
    if (mode == Mode.COLLAPSED) {
      return gapSince;
    }
    for (Object item : front) {
      if (item instanceof Captured write) {
        return write.timeMicros;
      }
    }
    return spilled > 0 ? spillOldestTime : back.isEmpty() ? 0 : back.peekFirst().timeMicros;
  }

  /** Whether every write is journaled and no resynchronisation is due. */
  public boolean drained() {
    lock.lock();
    try {
      return mode == Mode.CONTINUOUS && queuedWrites == 0 && dirty.isEmpty() && idle();
    } finally {
      lock.unlock();
    }
  }

  /**
   * The newest seq given to a write when that and all before it are journaled and nothing is to be
   * compared; empty otherwise, and while no node is attached.
   */
  Optional<WriteSeq> idleAt() {
    lock.lock();
    try {
      return attached && baseKnown && !closed && drained() && backing.unfilledBytes() == 0
          ? Optional.of(new WriteSeq(base + nextOrdinal - 1))
          : Optional.empty();
    } finally {
      lock.unlock();
    }
  }

  BackingContent backing() {
    return backing;
  }

  private boolean idle() {
    return front.isEmpty() && inFlight.isEmpty() && resend.isEmpty() && !spillInUse();
  }

  /** Waits until {@link #drained}; false when the time was not enough. */
  public boolean drain(Duration most) throws InterruptedException {
    long deadline = System.nanoTime() + most.toNanos();
    lock.lockInterruptibly();
    try {
      while (mode != Mode.CONTINUOUS || queuedWrites > 0 || !dirty.isEmpty() || !idle()) {
        long left = deadline - System.nanoTime();
        if (left <= 0) {
          return false;
        }
        progress.awaitNanos(left);
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** The newest seq known to be journaled; empty before the first attach. */
  public Optional<WriteSeq> journaled() {
    lock.lock();
    try {
      return baseKnown ? Optional.of(new WriteSeq(base + journaledOrdinal)) : Optional.empty();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends capture after the last write. Drained, it leaves no region marked and remembers the head;
   * otherwise the marks stay and are compared at the next start.
   */
  @Override
  public void close() throws IOException {
    boolean clean = drained();
    lock.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      chore.signalAll();
      work.signalAll();
      progress.signalAll();
    } finally {
      lock.unlock();
    }
    joinKeeper();
    try {
      if (clean && fencedReason == null) {
        activity.sweep(backing::sync, true);
        Optional<WriteSeq> head = journaled();
        if (head.isPresent() && activity.markedRegions().isEmpty()) {
          activity.stoppedAt(head.get().value());
        }
      }
    } finally {
      releaseAll();
      activity.close();
    }
  }

  private void joinKeeper() {
    boolean interrupted = false;
    while (keeper.isAlive()) {
      try {
        keeper.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void releaseAll() throws IOException {
    lock.lock();
    try {
      for (Object item : front) {
        if (item instanceof Captured write) {
          forget(write, true);
        }
      }
      back.forEach(write -> forget(write, true));
      inFlight.addAll(resend);
      inFlight.forEach(flight -> flight.writes.forEach(write -> forget(write, true)));
      front.clear();
      back.clear();
      inFlight.clear();
      resend.clear();
      if (spill != null) {
        discarded.add(spill);
        spill = null;
      }
      for (SpillFile file : discarded) {
        file.close();
      }
      discarded.clear();
    } finally {
      lock.unlock();
    }
  }
}
