package io.tidemark.system;

import io.tidemark.order.OrderKind;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Between a tap and its node: passes the frames of the tap link on and, once armed, does something
 * at an exact step of a hold. Steps are those of the tap's side.
 */
final class OrderWatch implements AutoCloseable {
  /** What has happened when the action is run. */
  enum Step {
    /** The node has sent HOLD; the tap does not have it. */
    ASKED_TO_HOLD,
    /** The tap holds; the node does not know, and will not. */
    HOLDS,
    /** The node has the mark. */
    HOLD_KNOWN,
    /** The node has sent RELEASE; the tap holds, and does not have it. */
    ASKED_TO_RELEASE,
    /** The tap has given its replies; what it attests is lost. */
    RELEASED,
    /** The node has what the tap attests. */
    ATTESTED
  }

  private record Armed(Step step, Runnable action, CountDownLatch done) {}

  private static final int HEADER_BYTES = 24;
  private static final int LENGTH_AT = 8;
  private static final int ORDER = 16;
  private static final int ORDER_DONE = 17;

  private final int nodePort;
  private final ServerSocket server;
  private final AtomicReference<Armed> armed = new AtomicReference<>();
  private final Map<Long, Integer> kinds = new ConcurrentHashMap<>();
  private volatile boolean closed;

  OrderWatch(int nodePort) throws IOException {
    this.nodePort = nodePort;
    this.server = new ServerSocket(0, 16, InetAddress.getLoopbackAddress());
    new Thread(this::accept, "order-watch").start();
  }

  int port() {
    return server.getLocalPort();
  }

  /** The action is run once, at the next such step; the latch is down when it was. */
  CountDownLatch at(Step step, Runnable action) {
    CountDownLatch done = new CountDownLatch(1);
    armed.set(new Armed(step, action, done));
    return done;
  }

  private void accept() {
    while (!closed) {
      try {
        Socket tap = server.accept();
        connect(tap);
      } catch (IOException e) {
        if (!closed) {
          throw new UncheckedIOException(e);
        }
      }
    }
  }

  private void connect(Socket tap) throws IOException {
    Socket node;
    try {
      node = new Socket(InetAddress.getLoopbackAddress(), nodePort);
    } catch (IOException e) {
      tap.close(); // the node is being restarted: the tap tries again
      return;
    }
    tap.setTcpNoDelay(true);
    node.setTcpNoDelay(true);
    new Thread(() -> pump(tap, node), "tap-to-node").start();
    new Thread(() -> pump(node, tap), "node-to-tap").start();
  }

  private void pump(Socket from, Socket to) {
    try (from;
        to) {
      DataInputStream in = new DataInputStream(from.getInputStream());
      OutputStream out = to.getOutputStream();
      byte[] header = new byte[HEADER_BYTES];
      boolean on = true;
      while (on) {
        in.readFully(header);
        byte[] body = new byte[ByteBuffer.wrap(header).getInt(LENGTH_AT)];
        in.readFully(body);
        on = pass(header, body, out);
      }
    } catch (EOFException | SocketException e) {
      // One of them is gone; the other finds out by the closed connection.
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Whether the connection goes on. */
  private boolean pass(byte[] header, byte[] body, OutputStream out) throws IOException {
    int type = header[5];
    if (type == ORDER) {
      int kind = body[8];
      kinds.put(ByteBuffer.wrap(body).getLong(), kind);
      if (reached(kind, Step.ASKED_TO_HOLD, Step.ASKED_TO_RELEASE)) {
        return false;
      }
    }
    int answered = type == ORDER_DONE ? kinds.get(ByteBuffer.wrap(body).getLong()) : 0;
    if (reached(answered, Step.HOLDS, Step.RELEASED)) {
      return false;
    }
    out.write(header);
    out.write(body);
    return !reached(answered, Step.HOLD_KNOWN, Step.ATTESTED);
  }

  private boolean reached(int kind, Step ofHold, Step ofRelease) {
    Step step =
        kind == OrderKind.HOLD.code()
            ? ofHold
            : kind == OrderKind.RELEASE.code() ? ofRelease : null;
    Armed now = armed.get();
    if (step == null || now == null || now.step() != step || !armed.compareAndSet(now, null)) {
      return false;
    }
    now.action().run();
    now.done().countDown();
    return true;
  }

  @Override
  public void close() throws IOException {
    closed = true;
    server.close();
  }
}
