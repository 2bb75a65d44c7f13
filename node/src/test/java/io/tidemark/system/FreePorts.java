package io.tidemark.system;

import java.io.IOException;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.Random;

/**
 * Ports for servers that tests start. They lie below what the kernel gives to outgoing connections,
 * and each of the test processes that run side by side has a range of its own, so that a port found
 * free is still free when its server starts. Thread-safe.
 */
final class FreePorts {
  private static final int PORTS_A_PROCESS = 4000;
  private static final int FIRST =
      12_000 + PORTS_A_PROCESS * Integer.getInteger("tidemark.test.fork", 0);
  private static int next = new Random().nextInt(PORTS_A_PROCESS);

  private FreePorts() {}

  /** A port that is free on the wildcard, hence on each address. */
  static synchronized int freePort() throws IOException {
    for (int i = 0; i < PORTS_A_PROCESS; i++) {
      int port = FIRST + next;
      next = (next + 1) % PORTS_A_PROCESS;
      try (ServerSocket socket = new ServerSocket()) {
        socket.bind(new InetSocketAddress("0.0.0.0", port));
        return port;
      } catch (BindException taken) {
        continue;
      }
    }
    throw new IOException("no port from %d on is free".formatted(FIRST));
  }
}
