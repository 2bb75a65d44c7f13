package io.tidemark.nbd.connection;

import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdRequest.Command;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.nbd.NbdTls;
import io.tidemark.nbd.protocol.Handshake;
import io.tidemark.nbd.protocol.Nbd;
import io.tidemark.nbd.protocol.NbdLimits;
import io.tidemark.nbd.protocol.Negotiated;
import io.tidemark.nbd.protocol.PlainTransport;
import io.tidemark.nbd.protocol.ProtocolViolation;
import io.tidemark.nbd.protocol.TlsTransport;
import io.tidemark.nbd.protocol.Transport;
import io.tidemark.nbd.slab.SlabPayload;
import io.tidemark.position.ByteRange;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLEngine;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One client from its handshake to its end; {@link #run} is its reading thread. */
public final class Connection implements Runnable {
  private static final Logger LOG = LoggerFactory.getLogger(Connection.class);

  private static final Command[] COMMANDS = {
    Command.READ,
    Command.WRITE,
    null, // DISC, which is no request
    Command.FLUSH,
    Command.TRIM,
    Command.CACHE,
    Command.WRITE_ZEROES,
    Command.BLOCK_STATUS
  };

  /** For so many wake-ups after a batch of several requests the client counts as a parallel one. */
  private static final int PARALLEL_WAKEUPS = 16;

  /** A thread that waits for room looks that often whether its client was dropped. */
  private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  private static final ByteRange NOWHERE = new ByteRange(0, 0);

  private final String name;
  private final Shared shared;
  private final NbdServerSettings settings;
  private final long acceptedNanos = System.nanoTime();
  private final Pace[] paces = new Pace[Command.values().length];
  private final WriteLane writes;

  private volatile Transport transport;
  private volatile boolean closing;
  private volatile boolean dropped;
  private volatile Outbox outbox;

  /** When the payload being received began, {@code System.nanoTime()}; 0 when there is none. */
  private volatile long receivingSinceNanos;

  // For the reading thread, once the handshake is over.
  private Negotiated negotiated;
  private NbdExport export;
  private NbdExportInfo info;
  private int payloadBytesMax;
  private Intake intake;
  private ReadSpace readSpace;
  private int parallel;
  private int batch;

  // The request being parsed.
  private int flags;
  private int type;
  private long cookie;
  private long offset;
  private long length;
  private NbdError refusal;

  /**
   * @param name for logs and thread names
   */
  public Connection(String name, SocketChannel socket, Shared shared) {
    this(name, new PlainTransport(socket), shared);
  }

  Connection(String name, Transport transport, Shared shared) {
    this.name = name;
    this.transport = transport;
    this.shared = shared;
    this.settings = shared.settings();
    this.writes = new WriteLane(shared.workers());
    for (int i = 0; i < paces.length; i++) {
      paces[i] = new Pace();
    }
  }

  @Override
  public void run() {
    try {
      Optional<Negotiated> chosen =
          Handshake.run(transport, shared.exports(), settings.tls().map(Upgrade::new));
      if (chosen.isPresent()) {
        serve(chosen.get());
      }
    } catch (ProtocolViolation e) {
      LOG.warn("{}: {}; dropped", name, e.getMessage());
    } catch (IOException e) {
      LOG.debug("{}: connection lost", name, e);
    } catch (RuntimeException | Error e) {
      LOG.error("{}: dropped after an error in the server", name, e);
    } finally {
      transport.close();
    }
  }

  private final class Upgrade implements Handshake.TlsUpgrade {
    private final NbdTls tls;

    Upgrade(NbdTls tls) {
      this.tls = tls;
    }

    @Override
    public boolean required() {
      return tls.required();
    }

    @Override
    public Transport upgrade(Transport plain) throws IOException {
      SSLEngine engine = tls.context().createSSLEngine();
      engine.setUseClientMode(false);
      engine.setNeedClientAuth(tls.clientCertificate());
      TlsTransport encrypted = new TlsTransport(plain, engine);
      encrypted.handshake();
      return encrypted;
    }
  }

  private void serve(Negotiated chosen) throws IOException {
    negotiated = chosen;
    transport = chosen.transport();
    export = chosen.export();
    info = export.info();
    payloadBytesMax = Handshake.payloadBytesMax(info);
    intake = new Intake(transport, shared.pool());
    readSpace = new ReadSpace(shared.pool(), Replies.readHeaderBytes(chosen));
    outbox = new Outbox(name, chosen, shared.budget(), transport::close);
    LOG.debug("{}: serves {}", name, info.name());
    export.clientEntered();
    try {
      transmit();
      drain();
    } catch (ProtocolViolation e) {
      outbox.flush(); // what was asked for properly before is answered
      throw e;
    } finally {
      transport.close();
      outbox.close();
      intake.close();
      readSpace.close();
      export.clientLeft();
    }
  }

  private void transmit() throws IOException {
    int headerBytes = negotiated.extended() ? Nbd.EXTENDED_REQUEST_BYTES : Nbd.REQUEST_BYTES;
    while (true) {
      if (intake.has(headerBytes)) {
        parse(headerBytes);
        if (type == Nbd.CMD_DISC || closing) {
          // Not ESHUTDOWN: a client that connects again sends anew what was not answered, but
          // hands an error on to its user.
          return;
        }
        batch++;
        accept();
        outbox.answerWhenFull();
      } else {
        parallel = batch > 1 ? PARALLEL_WAKEUPS : Math.max(0, parallel - 1);
        batch = 0;
        if (!receive(headerBytes)) {
          if (!intake.isEmpty()) {
            throw new EOFException("the client left in the middle of a request");
          }
          return;
        }
      }
    }
  }

  private boolean receive(int wanted) throws IOException {
    outbox.beforeWaiting();
    try {
      return intake.fill(wanted);
    } finally {
      outbox.afterWaiting();
    }
  }

  private void parse(int headerBytes) throws ProtocolViolation {
    ByteBuffer in = intake.memory();
    int at = intake.at();
    boolean extended = negotiated.extended();
    int magic = in.getInt(at);
    if (magic != (extended ? Nbd.EXTENDED_REQUEST_MAGIC : Nbd.REQUEST_MAGIC)) {
      throw new ProtocolViolation("request with magic number 0x" + Integer.toHexString(magic));
    }
    flags = Short.toUnsignedInt(in.getShort(at + 4));
    type = Short.toUnsignedInt(in.getShort(at + 6));
    cookie = in.getLong(at + 8);
    offset = in.getLong(at + 16);
    length = extended ? in.getLong(at + 24) : Integer.toUnsignedLong(in.getInt(at + 24));
    intake.skip(headerBytes);
  }

  private void accept() throws IOException {
    boolean carries =
        type == Nbd.CMD_WRITE || (negotiated.extended() && (flags & Nbd.CMD_FLAG_PAYLOAD_LEN) != 0);
    String why = check();
    if (why != null) {
      if (carries) {
        skipPayload();
      }
      refuse(why);
      return;
    }
    Command command = COMMANDS[type];
    boolean read = command == Command.READ;
    long counted = read || command == Command.WRITE ? length : 0;
    takeRoom(counted);
    SlabPayload payload = null;
    if (carries && length > 0) {
      payload = receivePayload(counted);
    }
    PendingRequest request = begin(command, new ByteRange(offset, length), counted);
    if (length == 0 && command != Command.FLUSH) {
      request.finishEmpty();
      return;
    }
    if (payload != null) {
      request.carry(payload);
    } else if (read) {
      readSpace.lend(request, (int) length);
    }
    dispatch(request);
  }

  private PendingRequest begin(Command command, ByteRange range, long counted) {
    PendingRequest request = outbox.next(this);
    request.open(command, flags, cookie, range, counted);
    request.offset = offset;
    outbox.begin(counted);
    return request;
  }

  private void refuse(String why) throws IOException {
    takeRoom(0);
    begin(Command.FLUSH, NOWHERE, 0).fail(refusal, why);
  }

  /** Checks the parsed request; returns why it is refused, with {@code refusal} set, or null. */
  private String check() {
    refusal = NbdError.EINVAL;
    Command command = type < COMMANDS.length ? COMMANDS[type] : null;
    if (command == null) {
      return "unknown command " + type;
    }
    if ((flags & ~flagsAllowed(command)) != 0) {
      return "flags 0x" + Integer.toHexString(flags) + " do not belong to this command";
    }
    boolean changes =
        command == Command.WRITE || command == Command.TRIM || command == Command.WRITE_ZEROES;
    if (changes && info.readOnly()) {
      refusal = NbdError.EPERM;
      return "the export is read-only";
    }
    if (command == Command.FLUSH) {
      return offset == 0 && length == 0 ? null : "FLUSH has offset and length 0";
    }
    if (command == Command.BLOCK_STATUS && (negotiated.allocationContext() == 0 || length == 0)) {
      return length == 0 ? "BLOCK_STATUS of nothing" : "no metadata context was negotiated";
    }
    boolean data = command == Command.READ || command == Command.WRITE;
    if (data && (length < 0 || length > payloadBytesMax)) {
      return "longer than " + payloadBytesMax + " bytes";
    }
    if (offset < 0 || length < 0 || offset > info.sizeBytes() - length) {
      if (command == Command.WRITE || command == Command.WRITE_ZEROES) {
        refusal = NbdError.ENOSPC;
      }
      return "past the end of the export, which has " + info.sizeBytes() + " bytes";
    }
    if (((offset | length) & (info.blockSizeMin() - 1)) != 0) {
      return "not a multiple of the smallest block, " + info.blockSizeMin() + " bytes";
    }
    return null;
  }

  private int flagsAllowed(Command command) {
    int allowed = Nbd.CMD_FLAG_FUA;
    switch (command) {
      case READ -> allowed |= negotiated.structured() ? Nbd.CMD_FLAG_DF : 0;
      case WRITE -> allowed |= negotiated.extended() ? Nbd.CMD_FLAG_PAYLOAD_LEN : 0;
      case WRITE_ZEROES -> allowed |= Nbd.CMD_FLAG_NO_HOLE | Nbd.CMD_FLAG_FAST_ZERO;
      case BLOCK_STATUS -> allowed |= Nbd.CMD_FLAG_REQ_ONE;
      default -> {}
    }
    return allowed;
  }

  private SlabPayload receivePayload(long counted) throws IOException {
    intake.beginPayload((int) length, offset);
    try {
      if (!intake.payloadComplete()) {
        receivingSinceNanos = System.nanoTime();
        do {
          if (!receive(0)) {
            throw new EOFException("the client left in the middle of a write");
          }
        } while (!intake.payloadComplete());
        receivingSinceNanos = 0;
      }
    } catch (IOException e) {
      shared.budget().giveBack(counted);
      throw e;
    }
    return intake.endPayload();
  }

  private void skipPayload() throws IOException {
    if (length < 0 || length > NbdLimits.PAYLOAD_SKIP_BYTES_MAX) {
      throw new ProtocolViolation("a payload of " + Long.toUnsignedString(length) + " bytes");
    }
    long left = length - intake.discard(length);
    while (left > 0) {
      if (!receive(1)) {
        throw new EOFException("the client left in the middle of a write");
      }
      left -= intake.discard(left);
    }
  }

  /** Waits until one more request of that many bytes is within the limits (N1). */
  private void takeRoom(long bytes) throws IOException {
    long requestsMax = settings.inFlightRequestsMax();
    long bytesMax = Math.max(0, settings.inFlightBytesMax() - bytes);
    if (outbox.inFlight() >= requestsMax || outbox.inFlightBytes() > bytesMax) {
      outbox.flush();
      while (!outbox.awaitBelow(requestsMax, bytesMax, System.nanoTime() + LOOK_NANOS)) {
        endIfDropped();
      }
    }
    if (bytes == 0) {
      return;
    }
    while (!shared.budget().tryTake(bytes)) {
      endIfDropped();
      outbox.beforeWaiting();
      try {
        shared.budget().awaitChange();
      } catch (InterruptedException e) {
        throw new IOException("the reading thread was told to stop", e);
      } finally {
        outbox.afterWaiting();
      }
    }
  }

  private void endIfDropped() throws EOFException {
    if (dropped) {
      throw new EOFException("dropped while it waited for room");
    }
  }

  /** Carries the request out here and now unless something else would have to wait for it. */
  private void dispatch(PendingRequest request) {
    Command command = request.command;
    boolean synced = command == Command.FLUSH || request.fua();
    Pace pace = paces[command.ordinal()];
    boolean othersWait = parallel > 0 || !intake.isEmpty() || outbox.inFlight() > 1;
    if (!othersWait || !(synced || pace.slow())) {
      carryOut(request);
    } else if (command == Command.WRITE && !synced && !pace.verySlow()) {
      writes.execute(request);
    } else {
      shared.workers().execute(request);
    }
  }

  void carryOut(PendingRequest request) {
    int use = request.generation();
    Pace pace = paces[request.command.ordinal()];
    boolean synced = request.command == Command.FLUSH || request.fua();
    long bytes = request.range().length();
    long began = System.nanoTime();
    try {
      export.handle(request);
    } catch (RuntimeException | Error e) {
      LOG.error("{}: a request failed for an error in the server", name, e);
      if (request.isOpen(use)) {
        request.fail(NbdError.EIO, "an error in the server, see its log");
      }
    }
    if (!synced) {
      pace.took(System.nanoTime() - began, bytes);
    }
  }

  void completed(PendingRequest request) {
    outbox.completed(request);
  }

  /** Lets requests in flight finish and their replies go out. */
  private void drain() throws IOException {
    outbox.flush();
    long stepNanos = TimeUnit.MILLISECONDS.toNanos(settings.closeMillis());
    while (!outbox.awaitBelow(1, 0, System.nanoTime() + stepNanos)) {
      if (closing || dropped) {
        return;
      }
      LOG.info("{}: the client has left, {} of its requests go on", name, outbox.inFlight());
    }
  }

  /** Stops taking requests: what is in flight is finished, then the connection ends. */
  public void finish() {
    closing = true;
    transport.endInput();
  }

  /** Ends the connection now. */
  public void drop() {
    dropped = true;
    transport.close();
  }

  /** Called now and then: drops a client that takes too long where it may not. */
  public void check(long nowNanos) {
    Outbox out = outbox;
    if (out == null) {
      if (older(acceptedNanos, nowNanos, settings.handshakeMillis())) {
        LOG.warn("{}: no handshake in {} ms; dropped", name, settings.handshakeMillis());
        drop();
      }
      return;
    }
    long receiving = receivingSinceNanos;
    long writing = out.writingSinceNanos();
    boolean stalled =
        (receiving != 0 && older(receiving, nowNanos, settings.stallMillis()))
            || (writing != 0 && older(writing, nowNanos, settings.stallMillis()));
    if (stalled && shared.budget().contended()) {
      LOG.warn("{}: stalled while others wait for the memory it keeps; dropped", name);
      drop();
    }
  }

  private static boolean older(long thenNanos, long nowNanos, long millis) {
    return nowNanos - thenNanos > TimeUnit.MILLISECONDS.toNanos(millis);
  }
}
