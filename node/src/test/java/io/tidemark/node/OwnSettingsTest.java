package io.tidemark.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.config.Endpoint;
import io.tidemark.config.NodeSettings;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OwnSettingsTest {
  private static final String[] LISTENERS = {"http", "tap-link", "images", "cluster", "management"};

  @TempDir Path directory;

  private NodeSettings load(Path data) {
    Map<String, Object> overrides = Map.of("tidemark.data", data.toString());
    return NodeSettings.load(OwnSettings.of(data).stream().toList(), overrides);
  }

  private static int port(NodeSettings settings, String listener) {
    return settings.config().getInt("tidemark." + listener + ".port");
  }

  /** A second site beside the first has other ports, keeps them, and knows whom it joins. */
  @Test
  void shouldFindFreePortsAndKeepThem() throws IOException {
    Path data = directory.resolve("b");
    NodeSettings usual = load(data);
    try (ServerSocket taken = new ServerSocket()) {
      // Ours, or somebody else's: taken it is.
      int images = port(usual, "images");
      try {
        taken.bind(new java.net.InetSocketAddress("127.0.0.1", images));
      } catch (java.net.BindException already) {
        assertTrue(already.getMessage().contains("use"));
      }
      OwnSettings.settle(usual, Optional.of("b"), List.of("127.0.0.1:25520"));
    }
    NodeSettings settled = load(data);
    assertEquals("b", settled.config().getString("tidemark.site.name"));
    assertEquals(
        List.of("127.0.0.1:25520"), settled.config().getStringList("tidemark.cluster.other-sites"));
    for (String listener : LISTENERS) {
      assertNotEquals(port(usual, listener), port(settled, listener));
    }
    assertEquals(0, settled.config().getInt("tidemark.cassandra.embedded-server.native-port"));

    OwnSettings.settle(settled, Optional.of("b"), List.of("127.0.0.1:9"));
    NodeSettings again = load(data);
    assertEquals(port(settled, "http"), port(again, "http"));
    assertEquals(
        List.of("127.0.0.1:25520", "127.0.0.1:9"),
        again.config().getStringList("tidemark.cluster.other-sites"));
  }

  /** What it joins listens where the usual ports would be, even if it does not run now. */
  @Test
  void shouldLeaveThePortsOfTheSiteThatItJoins() {
    Path data = directory.resolve("b");
    NodeSettings usual = load(data);
    String theirs = new Endpoint("127.0.0.1", port(usual, "cluster")).toString();
    OwnSettings.settle(usual, Optional.of("b"), List.of(theirs));
    assertNotEquals(port(usual, "cluster"), port(load(data), "cluster"));
  }

  @Test
  void shouldRefuseNamesAndDirectoriesThatDoNotFit() throws IOException {
    Path data = directory.resolve("b");
    OwnSettings.settle(load(data), Optional.of("b"), List.of());
    Refusal other =
        assertThrows(
            Refusal.class, () -> OwnSettings.settle(load(data), Optional.of("c"), List.of()));
    assertEquals(ErrorCode.INVALID, other.code());
    assertTrue(other.getMessage().contains("holds the data of site 'b'"), other.getMessage());
    for (String wrong : List.of("", "-x", "a b", "x".repeat(64))) {
      Path fresh = directory.resolve("fresh");
      assertThrows(
          Refusal.class, () -> OwnSettings.settle(load(fresh), Optional.of(wrong), List.of()));
      assertFalse(Files.exists(fresh));
    }
    assertThrows(
        Refusal.class,
        () -> OwnSettings.settle(load(data), Optional.empty(), List.of("127.0.0.1")));
    Path old = directory.resolve("old");
    Files.createDirectories(old);
    Files.writeString(old.resolve("node-id"), "made by an earlier start");
    assertThrows(Refusal.class, () -> OwnSettings.settle(load(old), Optional.of("b"), List.of()));
    OwnSettings.settle(load(old), Optional.of("site-1"), List.of("127.0.0.1:25620"));
    for (String listener : LISTENERS) {
      assertEquals(port(load(directory.resolve("x")), listener), port(load(old), listener));
    }
  }

  /** The examples of docs/operations.md are settings that a node would take. */
  @Test
  void shouldParseTheDocumentedSites() throws IOException {
    String text = Files.readString(Path.of("..", "docs", "operations.md"));
    Matcher block =
        Pattern.compile("```\n(# /etc/tidemark/node\\.conf on .*?)```", Pattern.DOTALL)
            .matcher(text);
    List<NodeSettings> sites = new ArrayList<>();
    while (block.find()) {
      Path file = directory.resolve("node-" + sites.size() + ".conf");
      Files.writeString(file, block.group(1));
      sites.add(NodeSettings.load(Optional.of(file), Map.of()));
    }
    assertEquals(2, sites.size());
    List<String> seeds = sites.get(0).config().getStringList("tidemark.cluster.seeds");
    assertEquals(3, seeds.size());
    assertEquals(seeds, sites.get(1).config().getStringList("tidemark.cluster.other-sites"));
    assertEquals(
        seeds.get(0),
        new Endpoint(
                sites.get(0).config().getString("tidemark.cluster.address"),
                port(sites.get(0), "cluster"))
            .toString());
    for (NodeSettings site : sites) {
      assertTrue(site.tls().isPresent());
      assertFalse(InetAddress.getByName(site.tapLink().host()).isLoopbackAddress());
    }
  }
}
