package io.tidemark.nbd;

import io.tidemark.nbd.connection.Connection;
import io.tidemark.nbd.connection.Shared;
import io.tidemark.nbd.slab.MemoryBudget;
import io.tidemark.nbd.slab.SlabPool;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** An NBD server on one or more addresses; a thread for each client. */
public final class NbdServer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(NbdServer.class);
  private static final int BACKLOG = 64;
  private static final long CHECK_MILLIS = 250;
  private static final long WORKER_IDLE_SECONDS = 30;

  /** After a failed accept (no file descriptors left) the listener rests that long. */
  private static final long ACCEPT_REST_MILLIS = 200;

  private static final AtomicLong CLIENTS = new AtomicLong();

  private final NbdServerSettings settings;
  private final Shared shared;

  /**
   * For Unix sockets: who may connect is for the file's permissions to say, TLS is only offered.
   */
  private final Shared local;

  private final ThreadPoolExecutor workers;
  private final List<Listener> listeners = new ArrayList<>();
  private final Map<Connection, Thread> clients = new ConcurrentHashMap<>();
  private final CountDownLatch closing = new CountDownLatch(1);
  private volatile boolean refusedOne;

  private record Listener(NbdListenAddress address, ServerSocketChannel socket) {}

  private NbdServer(NbdExports exports, NbdServerSettings settings) {
    this.settings = settings;
    this.workers =
        new ThreadPoolExecutor(
            settings.workers(),
            settings.workers(),
            WORKER_IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(), // holds what is in flight, which is limited (N1)
            task -> daemon("nbd-worker", task));
    workers.allowCoreThreadTimeOut(true);
    this.shared =
        new Shared(
            exports,
            settings,
            new SlabPool(settings.pooledBytesMax()),
            new MemoryBudget(settings.memoryBytesMax()),
            workers);
    this.local =
        new Shared(
            exports,
            settings.tls().map(NbdTls::optional).map(settings::withTls).orElse(settings),
            shared.pool(),
            shared.budget(),
            workers);
  }

  /**
   * Starts a server on one address.
   *
   * @throws Refusal BUSY when another server listens there, INVALID for an address that cannot be
   *     used or leaves the machine without TLS being required, FAILED for any other reason
   */
  public static NbdServer start(
      NbdListenAddress address, NbdExports exports, NbdServerSettings settings) {
    return start(List.of(address), exports, settings);
  }

  /** As {@link #start(NbdListenAddress, NbdExports, NbdServerSettings)}, on several addresses. */
  public static NbdServer start(
      List<NbdListenAddress> addresses, NbdExports exports, NbdServerSettings settings) {
    NbdServer server = new NbdServer(exports, settings);
    try {
      for (NbdListenAddress address : addresses) {
        server.listen(address);
      }
    } catch (RuntimeException e) {
      server.close();
      throw e;
    }
    daemon("nbd-watch", server::watch).start();
    for (Listener listener : server.listeners) {
      daemon("nbd-accept " + listener.address(), () -> server.accept(listener)).start();
    }
    return server;
  }

  private static Thread daemon(String name, Runnable task) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    return thread;
  }

  private void listen(NbdListenAddress address) {
    try {
      if (address instanceof NbdListenAddress.Unix unix) {
        clearStale(unix.path());
        ServerSocketChannel socket = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listeners.add(new Listener(address, socket));
        socket.bind(UnixDomainSocketAddress.of(unix.path()), BACKLOG);
      } else if (address instanceof NbdListenAddress.Tcp tcp) {
        listenTcp(tcp);
      }
    } catch (IOException | UnsupportedOperationException e) {
      throw new Refusal(
          e instanceof java.net.BindException ? ErrorCode.BUSY : ErrorCode.FAILED,
          "cannot listen on " + address + ": " + e.getMessage() + "; choose another address",
          e);
    }
  }

  private void listenTcp(NbdListenAddress.Tcp tcp) throws IOException {
    InetSocketAddress resolved = tcp.resolve();
    boolean tlsRequired = settings.tls().isPresent() && settings.tls().get().required();
    if (!resolved.getAddress().isLoopbackAddress() && !tlsRequired) {
      throw new Refusal(
          ErrorCode.INVALID,
          tcp + " leaves this machine: require TLS, or listen on 127.0.0.1 or a unix socket");
    }
    ServerSocketChannel socket = ServerSocketChannel.open();
    listeners.add(new Listener(tcp, socket));
    socket.setOption(StandardSocketOptions.SO_REUSEADDR, true);
    socket.bind(resolved, BACKLOG);
    int port = ((InetSocketAddress) socket.getLocalAddress()).getPort();
    listeners.set(
        listeners.size() - 1, new Listener(new NbdListenAddress.Tcp(tcp.host(), port), socket));
  }

  /** Removes a socket file that nobody listens on any more; refuses to touch anything else. */
  private static void clearStale(Path path) throws IOException {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    BasicFileAttributes attributes =
        Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    if (!attributes.isOther()) {
      throw new Refusal(ErrorCode.INVALID, path + " exists and is not a socket; name another path");
    }
    try (SocketChannel probe = SocketChannel.open(UnixDomainSocketAddress.of(path))) {
      throw new Refusal(
          ErrorCode.BUSY,
          "another server listens on " + probe.getRemoteAddress() + "; stop it or choose another");
    } catch (ConnectException e) {
      LOG.info("replaces {}, which a server that is gone left behind", path);
      Files.delete(path);
    }
  }

  /** Where the server listens; with the port that was chosen for port 0. */
  public List<NbdListenAddress> addresses() {
    return listeners.stream().map(Listener::address).toList();
  }

  /** Clients connected now. */
  public int clients() {
    return clients.size();
  }

  /** Bytes of buffers in use by clients and by whoever retains their payloads. */
  public long bufferBytes() {
    return shared.pool().lentBytes();
  }

  /** Bytes of requests in flight. */
  public long inFlightBytes() {
    return shared.budget().usedBytes();
  }

  private boolean isClosing() {
    return closing.getCount() == 0;
  }

  private void accept(Listener listener) {
    while (!isClosing()) {
      try {
        admit(listener.socket().accept());
      } catch (ClosedChannelException e) {
        LOG.debug("{}: no longer listening", listener.address());
        return;
      } catch (IOException e) {
        LOG.warn("{}: cannot accept a client: {}", listener.address(), e.getMessage());
        rest(ACCEPT_REST_MILLIS);
      }
    }
  }

  private boolean rest(long millis) {
    try {
      return closing.await(millis, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return true;
    }
  }

  private void admit(SocketChannel socket) throws IOException {
    if (clients.size() >= settings.clientsMax()) {
      if (!refusedOne) {
        LOG.warn("{} clients are connected, the most allowed; more are refused", clients.size());
        refusedOne = true;
      }
      socket.close();
      return;
    }
    SocketAddress remote = socket.getRemoteAddress();
    boolean tcp = remote instanceof InetSocketAddress;
    if (tcp) {
      socket.setOption(StandardSocketOptions.TCP_NODELAY, true);
      socket.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
    }
    String name = "nbd-" + CLIENTS.incrementAndGet();
    LOG.debug("{}: client {}", name, remote);
    Connection connection = new Connection(name, socket, tcp ? shared : local);
    Thread thread =
        daemon(
            name,
            () -> {
              try {
                connection.run();
              } finally {
                clients.remove(connection);
              }
            });
    clients.put(connection, thread);
    if (isClosing()) {
      connection.drop();
    }
    thread.start();
  }

  private void watch() {
    while (!rest(CHECK_MILLIS)) {
      long now = System.nanoTime();
      for (Connection connection : clients.keySet()) {
        connection.check(now);
      }
      if (clients.size() < settings.clientsMax()) {
        refusedOne = false;
      }
    }
  }

  /**
   * Stops listening, takes no more requests, lets those in flight finish for {@code closeMillis},
   * then drops what is left. A client that connects again finds nothing failed. Repeatable.
   */
  @Override
  public void close() {
    closing.countDown();
    for (Listener listener : listeners) {
      closeListener(listener);
    }
    clients.keySet().forEach(Connection::finish);
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(settings.closeMillis());
    awaitClients(deadline);
    clients.keySet().forEach(Connection::drop);
    awaitClients(System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(settings.closeMillis()));
    workers.shutdown(); // never shutdownNow: an interrupt would close the backing store (N5)
  }

  private void closeListener(Listener listener) {
    try {
      boolean bound = listener.socket().isOpen() && listener.socket().getLocalAddress() != null;
      listener.socket().close();
      if (bound && listener.address() instanceof NbdListenAddress.Unix unix) {
        Files.deleteIfExists(unix.path());
      }
    } catch (IOException e) {
      LOG.warn("closing {}", listener.address(), e);
    }
  }

  private void awaitClients(long deadlineNanos) {
    try {
      for (Thread thread : clients.values()) {
        long left = TimeUnit.NANOSECONDS.toMillis(deadlineNanos - System.nanoTime());
        if (left <= 0) {
          return;
        }
        thread.join(left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
