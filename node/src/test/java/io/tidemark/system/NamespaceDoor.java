package io.tidemark.system;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;

/**
 * Loopback ports of a network namespace, open to this process at the same loopback ports: a process
 * inside takes connections on Unix sockets, which namespaces do not divide. So a test reaches what
 * listens on loopback there, and no other network leads in.
 */
final class NamespaceDoor implements AutoCloseable {
  private static final int BUFFER_BYTES = 64 << 10;
  private static final long STOP_SECONDS = 10;

  private final Process inside;
  private final List<ServerSocketChannel> outside = new ArrayList<>();

  /** Opens the ports; what listens inside may come later. */
  NamespaceDoor(Namespace namespace, Path directory, int... ports)
      throws IOException, InterruptedException {
    Files.createDirectories(directory);
    List<String> command = new ArrayList<>(namespace.inside());
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx32m", "-XX:+UseSerialGC", "-cp"));
    command.add(System.getProperty("java.class.path"));
    command.add(NamespaceDoor.class.getName());
    command.add(directory.toString());
    for (int port : ports) {
      command.add(Integer.toString(port));
    }
    inside =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("door.log").toFile())
            .start();
    for (int port : ports) {
      ServerSocketChannel server = ServerSocketChannel.open();
      outside.add(server);
      server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
      serve(server, socket(directory, port));
    }
  }

  private static UnixDomainSocketAddress socket(Path directory, int port) {
    return UnixDomainSocketAddress.of(directory.resolve("door-" + port));
  }

  /** Passes each connection on to {@code to}, in threads of its own. */
  private static void serve(ServerSocketChannel server, SocketAddress to) {
    daemon(
        () -> {
          while (true) {
            try {
              join(server.accept(), to);
            } catch (ClosedChannelException e) {
              return;
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
        });
  }

  private static void join(SocketChannel from, SocketAddress to) throws IOException {
    SocketChannel other;
    try {
      other = SocketChannel.open(to);
    } catch (IOException e) {
      from.close(); // nobody listens there: the client sees its connection closed
      return;
    }
    daemon(() -> pump(from, other));
    daemon(() -> pump(other, from));
  }

  private static void pump(SocketChannel from, SocketChannel to) {
    try (from;
        to) {
      ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES);
      while (from.read(buffer) >= 0) {
        buffer.flip();
        while (buffer.hasRemaining()) {
          to.write(buffer);
        }
        buffer.clear();
      }
    } catch (AsynchronousCloseException e) {
      // The other direction has ended.
    } catch (IOException e) {
      // One end is gone; closing tells the other.
    }
  }

  private static void daemon(Runnable work) {
    Thread thread = new Thread(work, "door");
    thread.setDaemon(true);
    thread.start();
  }

  @Override
  public void close() throws IOException {
    for (ServerSocketChannel server : outside) {
      server.close();
    }
    inside.getOutputStream().close();
    try {
      inside.onExit().orTimeout(STOP_SECONDS, TimeUnit.SECONDS).join();
    } catch (CompletionException e) {
      inside.destroyForcibly().onExit().join();
    }
  }

  /** The process inside; ends with its standard input. */
  public static void main(String[] arguments) throws IOException {
    Path directory = Path.of(arguments[0]);
    for (int i = 1; i < arguments.length; i++) {
      int port = Integer.parseInt(arguments[i]);
      ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
      Files.deleteIfExists(directory.resolve("door-" + port));
      server.bind(socket(directory, port));
      serve(server, new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
    }
    while (System.in.read() >= 0) {}
    System.exit(0);
  }
}
