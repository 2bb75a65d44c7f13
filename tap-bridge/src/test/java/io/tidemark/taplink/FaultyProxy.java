package io.tidemark.taplink;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** A TCP proxy that cuts connections, delays bytes and damages them, by a seed. */
public final class FaultyProxy implements AutoCloseable {
  /** What happens to the bytes from the tap, at random. */
  public enum Fault {
    NONE,
    CUT,
    CORRUPT
  }

  private final ServerSocket listener;
  private final InetSocketAddress target;
  private final Random random;
  private final List<Socket> sockets = new ArrayList<>();
  private volatile Fault fault = Fault.NONE;
  private volatile int meanBytes = 200_000;
  private volatile boolean blocked;

  public FaultyProxy(InetSocketAddress target, long seed) throws IOException {
    this.target = target;
    this.random = new Random(seed);
    listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    daemon(this::accept);
  }

  public InetSocketAddress address() {
    return new InetSocketAddress(listener.getInetAddress(), listener.getLocalPort());
  }

  public void fault(Fault next, int everyBytes) {
    fault = next;
    meanBytes = everyBytes;
  }

  /** Cuts what is open and refuses what comes, until unblocked. */
  public void block(boolean on) {
    blocked = on;
    if (on) {
      cut();
    }
  }

  public void cut() {
    List<Socket> all;
    synchronized (sockets) {
      all = List.copyOf(sockets);
      sockets.clear();
    }
    all.forEach(FaultyProxy::close);
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket tap = listener.accept();
        if (blocked) {
          tap.close();
          continue;
        }
        Socket node = new Socket(target.getAddress(), target.getPort());
        synchronized (sockets) {
          sockets.add(tap);
          sockets.add(node);
        }
        daemon(() -> pump(tap, node, true));
        daemon(() -> pump(node, tap, false));
      } catch (IOException e) {
        return; // closed
      }
    }
  }

  private void pump(Socket from, Socket to, boolean faulty) {
    byte[] buffer = new byte[16 << 10];
    long left = next();
    try {
      for (int n = from.getInputStream().read(buffer);
          n >= 0;
          n = from.getInputStream().read(buffer)) {
        if (faulty && fault != Fault.NONE && left < n) {
          if (fault == Fault.CUT) {
            to.getOutputStream().write(buffer, 0, (int) left);
            break;
          }
          buffer[(int) left] ^= (byte) (1 + random.nextInt(255));
        }
        left = left < n ? next() : left - n;
        to.getOutputStream().write(buffer, 0, n);
      }
    } catch (IOException e) {
      // the other direction has closed both
    }
    close(from);
    close(to);
  }

  private synchronized long next() {
    return random.nextInt(2 * meanBytes);
  }

  private static void daemon(Runnable work) {
    Thread thread = new Thread(work, "faulty-proxy");
    thread.setDaemon(true);
    thread.start();
  }

  private static void close(Socket socket) {
    try {
      socket.close();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
    cut();
  }
}
