package io.tidemark.nbd.connection;

import io.tidemark.capture.Payload;
import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdRequest;
import io.tidemark.nbd.protocol.Nbd;
import io.tidemark.nbd.slab.Slab;
import io.tidemark.position.ByteRange;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;

/**
 * A request from its header to its reply. Belongs to its connection, which uses the object again
 * once the reply is written: nobody touches a request after completing it.
 */
final class PendingRequest implements NbdRequest, Runnable {
  private static final AtomicIntegerFieldUpdater<PendingRequest> OPEN =
      AtomicIntegerFieldUpdater.newUpdater(PendingRequest.class, "open");
  private static final Payload NO_PAYLOAD = new NoPayload();

  private final Connection connection;

  // What the client asks for.
  Command command = Command.FLUSH;
  int flags;
  long cookie;

  /** As the client sent it, for the reply. */
  long offset;

  private ByteRange range = new ByteRange(0, 0);
  private Payload payload = NO_PAYLOAD;

  // Where a READ puts its data: the reply's header goes right before it.
  Slab readSlab;
  int readStart;
  private ByteBuffer readBuffer;

  // The outcome, written by whoever completes the request.
  NbdError error;
  String message;
  List<ByteRange> holes = List.of();
  List<Allocation> runs = List.of();

  /** Memory counted for it while it is in flight. */
  long countedBytes;

  /** When it began to wait in the {@link WriteLane}, {@code System.nanoTime()}. */
  volatile long queuedNanos;

  /** The next one in the list of completed requests. */
  PendingRequest next;

  private int generation;
  private volatile int open;

  PendingRequest(Connection connection) {
    this.connection = connection;
  }

  void open(Command newCommand, int newFlags, long newCookie, ByteRange newRange, long bytes) {
    generation++;
    command = newCommand;
    flags = newFlags;
    cookie = newCookie;
    range = newRange;
    offset = newRange.offset();
    countedBytes = bytes;
    error = null;
    message = null;
    holes = List.of();
    runs = List.of();
    OPEN.lazySet(this, 1);
  }

  void carry(Payload data) {
    payload = data;
  }

  void readInto(Slab slab, int start, ByteBuffer buffer) {
    readSlab = slab;
    readStart = start;
    readBuffer = buffer;
  }

  /** Carries the request out on a worker. */
  @Override
  public void run() {
    connection.carryOut(this);
  }

  @Override
  public Command command() {
    return command;
  }

  @Override
  public ByteRange range() {
    return range;
  }

  @Override
  public boolean fua() {
    return (flags & Nbd.CMD_FLAG_FUA) != 0;
  }

  @Override
  public boolean noHole() {
    return (flags & Nbd.CMD_FLAG_NO_HOLE) != 0;
  }

  @Override
  public boolean fastZero() {
    return (flags & Nbd.CMD_FLAG_FAST_ZERO) != 0;
  }

  @Override
  public boolean dontFragment() {
    return (flags & Nbd.CMD_FLAG_DF) != 0;
  }

  @Override
  public boolean reqOne() {
    return (flags & Nbd.CMD_FLAG_REQ_ONE) != 0;
  }

  @Override
  public Payload payload() {
    return payload;
  }

  @Override
  public ByteBuffer readBuffer() {
    if (readBuffer == null) {
      throw new IllegalStateException("only a READ has a buffer to fill");
    }
    return readBuffer;
  }

  @Override
  public void succeed() {
    if (command == Command.READ || command == Command.BLOCK_STATUS) {
      throw new IllegalStateException(command + " succeeds with data");
    }
    complete();
  }

  /** A request of no bytes is done at once, whatever it is. */
  void finishEmpty() {
    complete();
  }

  @Override
  public void succeedRead(ByteBuffer data, List<ByteRange> dataHoles) {
    if (data.remaining() != range.length()) {
      throw new IllegalArgumentException(
          "a READ of " + range.length() + " bytes answered with " + data.remaining());
    }
    if (data != readBuffer) {
      readBuffer.clear().put(data).flip();
    }
    holes = dataHoles;
    complete();
  }

  @Override
  public void succeedStatus(List<Allocation> allocations) {
    if (allocations.isEmpty()) {
      throw new IllegalArgumentException("a BLOCK_STATUS is answered with one run at least");
    }
    runs = allocations;
    complete();
  }

  @Override
  public void fail(NbdError newError, String newMessage) {
    error = newError;
    message = newMessage;
    complete();
  }

  /** Which use of this object it is. */
  int generation() {
    return generation;
  }

  boolean isOpen(int use) {
    return open != 0 && generation == use;
  }

  private void complete() {
    if (!OPEN.compareAndSet(this, 1, 0)) {
      throw new IllegalStateException("request completed twice");
    }
    Payload data = payload;
    payload = NO_PAYLOAD;
    data.release();
    connection.completed(this);
  }

  /** Gives back what the reply needed; for the thread that wrote it. */
  void replied() {
    readBuffer = null;
    Slab slab = readSlab;
    if (slab != null) {
      readSlab = null;
      slab.release();
    }
  }

  /** The payload of a request that carries none. */
  private static final class NoPayload implements Payload {
    @Override
    public List<ByteBuffer> pieces() {
      return List.of();
    }

    @Override
    public int length() {
      return 0;
    }

    @Override
    public int heldBytes() {
      return 0;
    }

    @Override
    public void retain() {}

    @Override
    public void release() {}
  }
}
