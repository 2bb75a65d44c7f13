package io.tidemark.taplink;

import io.tidemark.journal.ContentRun;
import io.tidemark.journal.Journal;
import io.tidemark.journal.JournalSession;
import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapIdentity;
import io.tidemark.journal.TapStatus;
import io.tidemark.order.OrderTaker;
import io.tidemark.order.TapOrder;
import io.tidemark.position.ByteRange;
import io.tidemark.position.Epoch;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentMeta;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;

/** A journal of one volume that keeps every write, and its checks of what a tap may do. */
public final class MemoryJournal implements Journal, AutoCloseable {
  /** A journaled write, or a gap when {@code gapTo} is not 0. */
  public record Entry(long seq, long time, long offset, long length, byte[] data, long gapTo) {}

  /** A dark span: {@code done} is the seq at completion, -1 while open. */
  public record Dark(long first, long last, long done) {}

  final int size;
  private final ScheduledExecutorService timer = Executors.newScheduledThreadPool(1);
  private VolumeId id = VolumeId.random();
  private final List<Entry> entries = new ArrayList<>();
  private final List<Dark> darks = new ArrayList<>();
  private byte[] state;
  private boolean[] written;
  private long head;
  private long headTime;
  private boolean syncOpen;
  private int sessions;
  private Session living;
  private UUID fencedTap;
  private boolean synchronous;
  private UUID lastTap;
  private int since;
  private int own;
  private long epoch = 1;
  private boolean standing;
  private boolean contentFails;
  private long contentBytes;
  boolean leased;
  private boolean loseGrant;
  private volatile long delayMillis;
  private volatile boolean stalled;
  private final List<Runnable> held = new ArrayList<>();
  private TapStatus lastStatus;
  private long hashedBlocks;
  private boolean spoiled;
  private long syncBytes;

  public MemoryJournal(int size) {
    this.size = size;
    this.state = new byte[size];
    this.written = new boolean[size];
  }

  /** The next attach opens a session that its tap never hears of, and takes no attempt back for. */
  public synchronized void loseNextGrant() {
    loseGrant = true;
  }

  /** Gives the attached tap an order. */
  public CompletionStage<byte[]> order(TapOrder order) {
    CompletableFuture<OrderTaker> taker;
    synchronized (this) {
      if (living == null) {
        return CompletableFuture.failedFuture(
            new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "no tap is attached"));
      }
      taker = living.taker;
    }
    return taker.thenCompose(link -> link.take(order));
  }

  /** Answers that much later, without holding up the order. */
  public void delay(long millis) {
    delayMillis = millis;
  }

  /** Refuses every live segment as damaged. */
  public synchronized void spoil(boolean on) {
    spoiled = on;
  }

  public synchronized void synchronous(boolean on) {
    synchronous = on;
  }

  /** Keeps answers back until {@code stall(false)}. */
  public void stall(boolean on) {
    List<Runnable> release;
    synchronized (this) {
      stalled = on;
      release = on ? List.of() : List.copyOf(held);
      if (!on) {
        held.clear();
      }
    }
    release.forEach(Runnable::run);
  }

  public synchronized void fence(UUID tap) {
    fencedTap = tap;
    if (living != null) {
      living.end(new Refusal(ErrorCode.FENCED, "promoted elsewhere"));
    }
  }

  /** The volume was deleted and created again. */
  public synchronized void recreate() {
    id = VolumeId.random();
    entries.clear();
    darks.clear();
    state = new byte[size];
    written = new boolean[size];
    head = 0;
    headTime = 0;
    syncOpen = false;
    if (living != null) {
      living.end(new Refusal(ErrorCode.NOT_FOUND, "deleted"));
    }
  }

  /** Breaks the living session as a node's death does. */
  public synchronized void breakSession() {
    if (living != null) {
      living.end(new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the node goes down"));
    }
  }

  /** No tap is let in until {@link #promote}. */
  public synchronized void standStill() {
    standing = true;
    if (living != null) {
      living.end(new Refusal(ErrorCode.FENCED, "the volume is a replica now"));
    }
  }

  /** The volume goes on here in the next epoch. */
  public synchronized void promote() {
    standing = false;
    epoch++;
    since = sessions + 1;
  }

  /** Another site's link writes, while the volume is a replica. */
  public synchronized void writeElsewhere(int offset, byte[] data) {
    sessions++;
    lastTap = UUID.randomUUID();
    own = sessions;
    since = sessions;
    head++;
    headTime++;
    Entry entry = new Entry(head, headTime, offset, data.length, data, 0);
    entries.add(entry);
    replay(entry, state);
    Arrays.fill(written, offset, offset + data.length, true);
  }

  /** Whether content cannot be read. */
  public synchronized void failContent(boolean on) {
    contentFails = on;
  }

  public synchronized long contentBytes() {
    return contentBytes;
  }

  public synchronized List<Entry> entries() {
    return List.copyOf(entries);
  }

  public synchronized List<Dark> darks() {
    return List.copyOf(darks);
  }

  public synchronized byte[] content() {
    return state.clone();
  }

  public synchronized long head() {
    return head;
  }

  public synchronized boolean syncOpen() {
    return syncOpen;
  }

  public synchronized TapStatus lastStatus() {
    return lastStatus;
  }

  public synchronized long hashedBlocks() {
    return hashedBlocks;
  }

  public synchronized long syncBytes() {
    return syncBytes;
  }

  public synchronized boolean attached() {
    return living != null;
  }

  @Override
  public synchronized CompletionStage<JournalSession> attach(TapIdentity tap) {
    if (!tap.volume().value().equals("v")) {
      return CompletableFuture.failedFuture(
          new Refusal(ErrorCode.NOT_FOUND, "no volume is named " + tap.volume()));
    }
    if (tap.sizeBytes() < size) {
      return CompletableFuture.failedFuture(
          new Refusal(ErrorCode.INVALID, "the backing store is smaller than the volume"));
    }
    if (standing) {
      return CompletableFuture.failedFuture(
          new Refusal(ErrorCode.FENCED, "the volume is a replica; promote it"));
    }
    if (tap.tapId().equals(fencedTap)) {
      return CompletableFuture.failedFuture(new Refusal(ErrorCode.FENCED, "the epoch is over"));
    }
    if (living != null && !living.tap.equals(tap.tapId())) {
      return CompletableFuture.failedFuture(new Refusal(ErrorCode.BUSY, "another tap is attached"));
    }
    if (living != null) {
      living.end(new Refusal(ErrorCode.FENCED, "replaced"));
    }
    sessions++;
    if (!tap.tapId().equals(lastTap)) {
      lastTap = tap.tapId();
      since = sessions;
      own = sessions;
    }
    living = new Session(tap.tapId(), sessions);
    if (loseGrant) {
      loseGrant = false;
      return CompletableFuture.failedFuture(
          new Refusal(ErrorCode.FAILED, "the answer of the attach is lost"));
    }
    return CompletableFuture.completedFuture(living);
  }

  @Override
  public void close() {
    timer.shutdownNow();
  }

  private final class Session implements JournalSession {
    private final UUID tap;
    private final SessionGrant grant;
    private final CompletableFuture<Refusal> ended = new CompletableFuture<>();
    private final CompletableFuture<OrderTaker> taker = new CompletableFuture<>();
    private boolean over;
    private CompletableFuture<Void> last = CompletableFuture.completedFuture(null);

    Session(UUID tap, int number) {
      this.tap = tap;
      this.grant =
          new SessionGrant(
              id,
              size,
              new Epoch(epoch),
              number,
              new WriteSeq(head),
              new MicroTime(headTime),
              syncOpen,
              synchronous,
              since,
              own,
              leased);
    }

    void end(Refusal reason) {
      over = true;
      if (living == this) {
        living = null;
      }
      ended.complete(reason);
    }

    @Override
    public SessionGrant grant() {
      return grant;
    }

    private interface Change {
      void apply();
    }

    private CompletionStage<WriteSeq> change(Change change) {
      CompletableFuture<WriteSeq> result = new CompletableFuture<>();
      synchronized (MemoryJournal.this) {
        if (over) {
          return CompletableFuture.failedFuture(
              new Refusal(ErrorCode.FENCED, "the session is over"));
        }
        try {
          change.apply();
        } catch (Refusal e) {
          over = true;
          return CompletableFuture.failedFuture(e);
        }
        WriteSeq journaled = new WriteSeq(head);
        Runnable answer = () -> result.complete(journaled);
        if (stalled) {
          held.add(answer);
        } else if (delayMillis > 0) {
          timer.schedule(answer, delayMillis, TimeUnit.MILLISECONDS);
        } else {
          answer.run();
        }
      }
      return result;
    }

    @Override
    public CompletionStage<WriteSeq> append(SegmentMeta meta, List<ByteBuffer> data) {
      ByteBuffer all = ByteBuffer.allocate((int) meta.dataBytes());
      data.forEach(piece -> all.put(piece.duplicate()));
      all.flip();
      return change(() -> appendNow(meta, all));
    }

    private void appendNow(SegmentMeta meta, ByteBuffer data) {
      if (spoiled && meta.kind() == io.tidemark.segment.SegmentKind.LIVE) {
        throw new Refusal(ErrorCode.CORRUPT, "spoiled");
      }
      for (int i = 0; i < meta.chunkCount(); i++) {
        CRC32C crc = new CRC32C();
        crc.update(data.slice(i * meta.chunkBytes(), meta.chunkLength(i)));
        if ((int) crc.getValue() != meta.chunkCrc(i)) {
          throw new Refusal(ErrorCode.CORRUPT, "chunk " + i + " does not match its checksum");
        }
      }
      if (meta.lastSeq().value() <= head) {
        return;
      }
      if (meta.firstSeq().value() != head + 1 || meta.firstTime().micros() < headTime) {
        throw new Refusal(ErrorCode.INVALID, "head is " + head + ", the segment is " + meta);
      }
      for (int i = 0; i < meta.count(); i++) {
        int offset = (int) meta.offset(i);
        int length = (int) meta.length(i);
        byte[] bytes = null;
        if (!meta.zero(i)) {
          bytes = new byte[length];
          data.get((int) meta.dataPosition(i), bytes);
        }
        Entry entry = new Entry(meta.seq(i), meta.timeMicros(i), offset, length, bytes, 0);
        entries.add(entry);
        replay(entry, state);
        Arrays.fill(written, offset, offset + length, true);
      }
      if (meta.kind() == io.tidemark.segment.SegmentKind.SYNC) {
        syncBytes += meta.dataBytes();
      }
      head = meta.lastSeq().value();
      headTime = meta.lastTime().micros();
    }

    @Override
    public CompletionStage<WriteSeq> gap(
        WriteSeq first, WriteSeq lastSeq, MicroTime time, String reason) {
      return change(
          () -> {
            if (lastSeq.value() <= head) {
              return;
            }
            if (first.value() != head + 1 || time.micros() < headTime) {
              throw new Refusal(ErrorCode.INVALID, "head is " + head + ", the gap is " + first);
            }
            entries.add(new Entry(first.value(), time.micros(), 0, 0, null, lastSeq.value()));
            darks.add(new Dark(first.value(), lastSeq.value(), -1));
            head = lastSeq.value();
            headTime = time.micros();
            syncOpen = true;
          });
    }

    @Override
    public CompletionStage<WriteSeq> completeSync(long differentBytes) {
      return change(
          () -> {
            syncOpen = false;
            darks.replaceAll(d -> d.done() < 0 ? new Dark(d.first(), d.last(), head) : d);
          });
    }

    @Override
    public CompletionStage<ByteBuffer> hashes(ByteRange range, int blockBytes) {
      synchronized (MemoryJournal.this) {
        int blocks = (int) ((range.length() + blockBytes - 1) / blockBytes);
        ByteBuffer out = ByteBuffer.allocate(32 * blocks);
        for (int i = 0; i < blocks; i++) {
          int from = (int) range.offset() + i * blockBytes;
          int length = Math.min(blockBytes, size - from);
          boolean any = false;
          for (int b = from; b < from + length; b++) {
            any |= written[b];
          }
          out.put(any ? sha256(state, from, length) : new byte[32]);
        }
        hashedBlocks += blocks;
        return CompletableFuture.completedFuture(out.flip());
      }
    }

    @Override
    public CompletionStage<ContentRun> content(ByteRange range) {
      synchronized (MemoryJournal.this) {
        if (contentFails) {
          return CompletableFuture.failedFuture(new Refusal(ErrorCode.CORRUPT, "damaged"));
        }
        int from = (int) range.offset();
        int to = from;
        while (to < range.end() && !written[to]) {
          to++;
        }
        if (to == range.end() || to - from >= 65536) {
          return CompletableFuture.completedFuture(
              ContentRun.zeroes(to == range.end() ? range.length() : (to - from) / 65536 * 65536));
        }
        int length = (int) Math.min(ContentRun.BYTES_MAX, range.length());
        contentBytes += length;
        return CompletableFuture.completedFuture(
            new ContentRun(
                length, ByteBuffer.wrap(Arrays.copyOfRange(state, from, from + length))));
      }
    }

    @Override
    public void takeOrders(OrderTaker orders) {
      taker.complete(orders);
    }

    @Override
    public void status(TapStatus status) {
      synchronized (MemoryJournal.this) {
        lastStatus = status;
      }
    }

    @Override
    public CompletionStage<Refusal> ended() {
      return ended;
    }

    @Override
    public CompletionStage<Void> detach() {
      synchronized (MemoryJournal.this) {
        over = true;
        if (living == this) {
          living = null;
        }
      }
      return last;
    }
  }

  public static void replay(Entry entry, byte[] onto) {
    if (entry.gapTo() != 0) {
      return;
    }
    int offset = (int) entry.offset();
    if (entry.data() == null) {
      Arrays.fill(onto, offset, offset + (int) entry.length(), (byte) 0);
    } else {
      System.arraycopy(entry.data(), 0, onto, offset, entry.data().length);
    }
  }

  private static byte[] sha256(byte[] bytes, int from, int length) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(bytes, from, length);
      return digest.digest();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
