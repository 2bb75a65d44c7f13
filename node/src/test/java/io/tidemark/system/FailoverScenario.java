package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Random;

/**
 * A plan between two real sites with real taps: tested, failed over, committed, written there and
 * failed back; both backing stores are compared with what the other site has.
 */
final class FailoverScenario {
  private static final int VOLUME_BYTES = 1 << 20;
  private static final int BLOCK = 4096;
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final String PLAN = "/api/v1/plans/go";

  private final TestSite a;
  private final TestSite b;
  private final Path directory;
  private final Random random;

  FailoverScenario(TestSite a, TestSite b, Path directory, long seed) {
    this.a = a;
    this.b = b;
    this.directory = directory;
    this.random = new Random(seed);
  }

  /** Returns how long the promotion took, from the order, in seconds. */
  double run() throws Exception {
    a.client.createVolume("shop", VOLUME_BYTES);
    Path atA = directory.resolve("shop-a.img");
    Path atB = directory.resolve("shop-b.img");
    try (RandomAccessFile file = new RandomAccessFile(atA.toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
    }
    double seconds;
    try (TestSite.TestTap tap = a.tap("shop", atA)) {
      tap.start();
      tap.awaitServed();
      write(tap, 40);
      a.client.send("POST", "/api/v1/links", "{\"volumes\":[\"shop\"],\"to\":\"b\"}").orFail();
      awaitStreaming(a);
      hook();
      a.client
          .send(
              "POST",
              "/api/v1/plans",
              "{\"name\":\"go\",\"source\":\"a\",\"target\":\"b\",\"steps\":[{\"name\":\"all\","
                  + "\"volumes\":[\"shop\"],\"checks\":[{\"site\":\"b\",\"program\":\"seen.sh\"}]}]}")
          .orFail();
      test();
      write(tap, 40);
      seconds = failOver(tap, atA);
    }
    Files.copy(atA, atB);
    order(b, "/commit", null);
    awaitState(b, "Committed");
    try (TestSite.TestTap tap = b.tap("shop", atB)) {
      tap.start();
      tap.awaitServed();
      write(tap, 40);
      awaitStreaming(b);
      order(a, "/failback", null);
      awaitState(a, "Ready");
      assertArrayEquals(
          Files.readAllBytes(atB), PhaseCheck.read(a, "shop", "latest", a.client.head("shop")));
      assertEquals("Primary", a.client.volume("shop").path("role").asText());
      assertEquals(3, a.client.volume("shop").path("epoch").asInt());
    }
    return seconds;
  }

  /** Images at the target, a check that finds them, and no trace afterwards. */
  private void test() throws Exception {
    order(a, "/failover", "{\"mode\":\"test\"}");
    JsonNode tested = awaitState(b, "Tested");
    JsonNode images = b.client.get("/api/v1/images").orFail();
    assertEquals(1, images.size(), images.toString());
    assertTrue(images.get(0).path("writable").asBoolean(), images.toString());
    String seen = Files.readString(directory.resolve("seen"));
    assertEquals("test shop=" + images.get(0).path("uri").asText() + "\n", seen);
    assertEquals("done", tested.at("/run/tasks/1/state").asText(), tested.toString());
    order(a, "/rollback", null);
    awaitState(b, "Ready");
    assertEquals(0, b.client.get("/api/v1/images").orFail().size());
    Files.delete(directory.resolve("seen"));
  }

  private void hook() throws IOException {
    Path program = b.directory.resolve("data/hooks/seen.sh");
    Files.writeString(
        program,
        "#!/bin/sh\necho \"$TIDEMARK_RUN $TIDEMARK_IMAGES\" > " + directory.resolve("seen") + "\n");
    Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** A client that is still there fails, its writes are all at the other site. */
  private double failOver(TestSite.TestTap tap, Path backing) throws Exception {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      client.write(0, ByteBuffer.wrap(block()));
      order(a, "/failover", "{\"mode\":\"planned\"}");
      JsonNode over = awaitState(b, "FailedOver");
      assertThrows(IOException.class, () -> client.write(0, ByteBuffer.wrap(block())));
      assertEquals(0, over.at("/run/volumes/0/lostWrites").asLong(-1), over.toString());
      assertArrayEquals(
          Files.readAllBytes(backing), PhaseCheck.read(b, "shop", "latest", a.client.head("shop")));
      assertEquals("Fenced", a.client.volume("shop").path("role").asText());
      assertEquals("Primary", b.client.volume("shop").path("role").asText());
      return over.at("/run/rtoSeconds").asDouble();
    }
  }

  private void write(TestSite.TestTap tap, int blocks) throws Exception {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      for (int i = 0; i < blocks; i++) {
        client.write((long) BLOCK * random.nextInt(VOLUME_BYTES / BLOCK), ByteBuffer.wrap(block()));
      }
    }
  }

  private byte[] block() {
    byte[] bytes = new byte[BLOCK];
    random.nextBytes(bytes);
    return bytes;
  }

  private static void order(TestSite at, String what, String body) throws Exception {
    SiteClient.Answer answer = at.client.send("POST", PLAN + what, body);
    assertEquals(202, answer.status(), what + ": " + answer.body());
  }

  private static JsonNode awaitState(TestSite at, String state) throws Exception {
    JsonNode[] last = new JsonNode[1];
    Await.until(
        "the plan is " + state,
        LIMIT,
        () -> {
          last[0] = at.client.get(PLAN).orFail();
          String now = last[0].path("state").asText();
          if (now.equals("Failed") && !state.equals("Failed")) {
            throw new AssertionError("the run failed: " + last[0]);
          }
          return now.equals(state);
        });
    return last[0];
  }

  private static void awaitStreaming(TestSite from) throws Exception {
    Await.until(
        "the link of shop streams and has all",
        LIMIT,
        () -> {
          for (JsonNode link : from.client.get("/api/v1/links").orFail()) {
            JsonNode lane = link.at("/lanes/0");
            if (link.path("state").asText().equals("Streaming")
                && lane.path("volume").asText().equals("shop")
                && lane.at("/lag/writes").asLong() == 0) {
              return true;
            }
          }
          return false;
        });
  }
}
