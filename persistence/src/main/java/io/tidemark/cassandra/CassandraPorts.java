package io.tidemark.cassandra;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;

/** Chooses and checks the ports of the embedded Cassandra. */
final class CassandraPorts {
  private CassandraPorts() {}

  /** Replaces port 0 by a free port: the one of last time, when it is free. */
  static EmbeddedCassandraSettings choose(EmbeddedCassandraSettings settings, Path home)
      throws IOException {
    if (settings.nativePort() != 0 && settings.storagePort() != 0) {
      return settings;
    }
    Path file = home.resolve("ports");
    int[] last = {0, 0};
    if (Files.exists(file)) {
      String[] fields = Files.readString(file).strip().split(" ");
      if (fields.length == 2 && fields[0].matches("\\d{1,5}") && fields[1].matches("\\d{1,5}")) {
        last = new int[] {Integer.parseInt(fields[0]), Integer.parseInt(fields[1])};
      }
    }
    EmbeddedCassandraSettings chosen;
    // Both are held until both are chosen, so that they differ.
    try (ServerSocket first = bind(settings, settings.nativePort(), last[0]);
        ServerSocket second = bind(settings, settings.storagePort(), last[1])) {
      chosen = settings.withPorts(first.getLocalPort(), second.getLocalPort());
    }
    Files.writeString(file, chosen.nativePort() + " " + chosen.storagePort() + "\n");
    return chosen;
  }

  /**
   * @throws Refusal {@code BUSY} that names the port and who has it
   */
  static void requireFree(EmbeddedCassandraSettings settings) throws IOException {
    bindExactly(settings, settings.nativePort(), "native-port").close();
    bindExactly(settings, settings.storagePort(), "storage-port").close();
  }

  private static ServerSocket bind(EmbeddedCassandraSettings settings, int wanted, int last)
      throws IOException {
    if (wanted != 0) {
      return bindExactly(settings, wanted, "port");
    }
    try {
      return open(settings, last);
    } catch (IOException e) {
      return open(settings, 0);
    }
  }

  private static ServerSocket bindExactly(EmbeddedCassandraSettings settings, int port, String key)
      throws IOException {
    try {
      return open(settings, port);
    } catch (java.net.BindException e) {
      throw new Refusal(
          ErrorCode.BUSY,
          "port %d of %s, which Cassandra needs, cannot be used: %s has it, or there is no such"
                  .formatted(port, settings.address(), PortOwner.describe(port))
              + " address here; stop that or set tidemark.cassandra.embedded-server."
              + key,
          e);
    }
  }

  private static ServerSocket open(EmbeddedCassandraSettings settings, int port)
      throws IOException {
    ServerSocket socket = new ServerSocket();
    boolean bound = false;
    try {
      socket.setReuseAddress(true);
      socket.bind(new InetSocketAddress(settings.address(), port));
      bound = true;
      return socket;
    } finally {
      if (!bound) {
        socket.close();
      }
    }
  }
}
