package io.tidemark.demo;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.cli.NodeClient;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** The node and the tap of the demonstration, as processes. */
final class DemoSite {
  static final String VOLUME = "shop";
  private static final long START_SECONDS_MAX = 90;
  private static final long LOOK_MILLIS = 100;

  private final Stage stage;
  private final Path directory;
  private final int tapLinkPort = Stage.freePort();
  private final NodeClient client;
  private Process node;
  private Process tap;

  DemoSite(Stage stage) throws IOException {
    this.stage = stage;
    this.directory = stage.directory();
    int http = Stage.freePort();
    this.client = new NodeClient(URI.create("http://127.0.0.1:" + http));
    Files.writeString(
        directory.resolve("site.conf"),
        """
        tidemark {
          site.name = demo
          http.port = %d
          tap-link.port = %d
          images.port = %d
          cluster.port = %d
          management.enabled = off
          cassandra.embedded-server {
            native-port = %d, storage-port = %d, heap = 512 MiB, memtable = 64 MiB
            minimum-free = 1 GiB
          }
        }
        """
            .formatted(
                http,
                tapLinkPort,
                Stage.freePort(),
                Stage.freePort(),
                Stage.freePort(),
                Stage.freePort()));
  }

  NodeClient client() {
    return client;
  }

  Path backing() {
    return directory.resolve("shop.img");
  }

  NbdUri volumeUri() {
    return NbdUri.parse("nbd+unix:///" + VOLUME + "?socket=" + directory.resolve("shop.sock"));
  }

  void startNode() throws IOException, InterruptedException {
    launchNode();
    awaitNode();
  }

  /** Starts the node without waiting for it. */
  void launchNode() throws IOException {
    node = stage.start("node", "512m", "up", "--config", "site.conf", "--data", "data");
  }

  void awaitNode() throws InterruptedException {
    await(
        node,
        "node",
        "the node did not become ready",
        () -> {
          try {
            return client.get("/site").path("name").asText().equals("demo");
          } catch (Refusal e) {
            return refusedSoFar(e);
          }
        });
  }

  /** Whether the refusal is final; one that only says "not yet" is not. */
  private static boolean refusedSoFar(Refusal refusal) {
    if (refusal.code() != ErrorCode.NOT_ACKNOWLEDGED) {
      throw refusal;
    }
    return false;
  }

  void startTap() throws IOException, InterruptedException {
    tap =
        stage.start(
            "tap",
            "128m",
            "tap",
            "--volume",
            VOLUME + "=" + backing(),
            "--listen",
            "unix:" + directory.resolve("shop.sock"),
            "--node",
            "127.0.0.1:" + tapLinkPort);
    await(
        tap,
        "tap",
        "the tap did not serve its volume",
        () -> {
          try (NbdClient probe = NbdClient.connect(volumeUri())) {
            return probe.sizeBytes() > 0;
          } catch (IOException e) {
            return false;
          }
        });
  }

  /** Waits until the volume, as the node tells of it, is as wanted. */
  JsonNode awaitVolume(String otherwise, Predicate<JsonNode> wanted) throws InterruptedException {
    JsonNode[] newest = new JsonNode[1];
    await(
        node,
        "node",
        otherwise,
        () -> {
          try {
            newest[0] = client.get("/volumes/" + VOLUME);
            return wanted.test(newest[0]);
          } catch (Refusal e) {
            return refusedSoFar(e);
          }
        });
    return newest[0];
  }

  /** Waits until a job has ended; returns what is known of it then. */
  JsonNode awaitJob(JsonNode started) throws InterruptedException {
    JsonNode[] newest = {started};
    await(
        node,
        "node",
        "the job did not end",
        () -> {
          newest[0] = client.get("/jobs/" + started.path("id").asText());
          return !newest[0].path("state").asText().equals("running");
        });
    return newest[0];
  }

  private interface Condition {
    boolean holds() throws InterruptedException;
  }

  private void await(Process process, String log, String otherwise, Condition condition)
      throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS_MAX);
    while (!condition.holds()) {
      if (process.waitFor(LOOK_MILLIS, TimeUnit.MILLISECONDS)) {
        throw new Refusal(
            ErrorCode.FAILED, otherwise + "; the " + log + " ended:\n" + stage.output(log));
      }
      if (System.nanoTime() > deadline) {
        throw new Refusal(
            ErrorCode.FAILED,
            otherwise + " within " + START_SECONDS_MAX + " seconds:\n" + stage.output(log));
      }
    }
  }

  /** Kills the node with -9 and waits until its Cassandra has noticed and ended, too. */
  void killNode() {
    for (ProcessHandle child : stage.kill(node)) {
      child.onExit().orTimeout(START_SECONDS_MAX, TimeUnit.SECONDS).join();
    }
  }

  /** Stops tap and node in order, as an administrator would. */
  void stop() {
    stage.stop(tap);
    stage.stop(node);
  }
}
