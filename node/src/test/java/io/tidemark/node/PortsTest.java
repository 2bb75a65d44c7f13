package io.tidemark.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.config.NodeSettings;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PortsTest {
  @TempDir Path directory;

  private static NodeSettings settings(String setting, int port) {
    Map<String, Object> overrides = new HashMap<>();
    for (String listener : new String[] {"http", "tap-link", "images", "cluster", "management"}) {
      overrides.put("tidemark." + listener + ".port", 0);
    }
    overrides.put(setting, port);
    return NodeSettings.load(Optional.empty(), overrides);
  }

  /** A taken port is named by its setting, whichever it is. */
  @Test
  void shouldRefuseATakenPort() throws IOException {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      for (String setting :
          new String[] {
            "tidemark.http.port",
            "tidemark.tap-link.port",
            "tidemark.images.port",
            "tidemark.cluster.port",
            "tidemark.management.port"
          }) {
        NodeSettings settings = settings(setting, taken.getLocalPort());
        Refusal refusal = assertThrows(Refusal.class, () -> Ports.requireFree(settings));
        assertEquals(ErrorCode.BUSY, refusal.code());
        assertTrue(refusal.getMessage().contains(setting), refusal.getMessage());
      }
    }
  }

  @Test
  void shouldRefuseOnePortForTwo() throws IOException {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    NodeSettings settings =
        NodeSettings.load(
            Optional.empty(), Map.of("tidemark.http.port", port, "tidemark.tap-link.port", port));
    Refusal refusal = assertThrows(Refusal.class, () -> Ports.requireFree(settings));
    assertEquals(ErrorCode.INVALID, refusal.code());
    Ports.requireFree(settings("tidemark.http.port", port));
  }

  /** The name is made once and kept; a damaged one is not replaced in silence. */
  @Test
  void shouldKeepTheNodesName() throws IOException {
    String name = NodeIdentity.of(directory);
    assertEquals(name, NodeIdentity.of(directory));
    Files.writeString(directory.resolve("node-id"), "x");
    assertEquals(
        ErrorCode.FAILED, assertThrows(Refusal.class, () -> NodeIdentity.of(directory)).code());
  }
}
