package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import java.time.Instant;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A plan between two real sites with real taps: tested, failed over to an empty backing store,
 * committed, written there, failed back to the old one, failed over and rolled back. Taps are
 * killed while they fill, and every store, image and read is compared with a model of the volume.
 */
final class FailoverScenario {
  private static final int VOLUME_BYTES = 16 << 20;
  private static final int BLOCK = 4096;
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final String PLAN = "/api/v1/plans/go";

  private final TestSite a;
  private final TestSite b;
  private final Path directory;
  private final Random random;

  /** What the volume holds, wherever it is. */
  private final byte[] model = new byte[VOLUME_BYTES];

  FailoverScenario(TestSite a, TestSite b, Path directory, long seed) {
    this.a = a;
    this.b = b;
    this.directory = directory;
    this.random = new Random(seed);
  }

  /** Returns what was measured, in words. */
  String run() throws Exception {
    a.client.createVolume("shop", VOLUME_BYTES);
    Path atA = empty("shop-a.img");
    Path atB = empty("shop-b.img");
    String measured;
    try (TestSite.TestTap tapA = a.tap("shop", atA);
        TestSite.TestTap slowB = b.tap("shop", atB, "--fill-rate", "256KiB");
        TestSite.TestTap tapB = b.tap("shop", atB)) {
      tapA.start();
      tapA.awaitServed();
      write(tapA, 40);
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
      slowB.start();
      test();
      write(tapA, 40);
      measured = failOver(tapA, slowB, atA);
      served(slowB, tapB, atB);
      order(b, "/commit", null);
      awaitState(b, "Committed");
      write(tapB, 40);
      awaitStreaming(b);
      measured += "; " + failBack(tapA, atA);
      measured += "; " + thereAndBack(tapA, tapB, atB);
      awaitJournaled(a);
    }
    assertArrayEquals(model, Files.readAllBytes(atA), "the source's store");
    assertArrayEquals(model, PhaseCheck.read(a, "shop", "latest", a.client.head("shop")));
    assertEquals("Primary", a.client.volume("shop").path("role").asText());
    return measured;
  }

  private Path empty(String name) throws IOException {
    Path file = directory.resolve(name);
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(VOLUME_BYTES);
    }
    return file;
  }

  /** In the middle of filling, killed there, and to the end: always the volume's bytes. */
  private void served(TestSite.TestTap tap, TestSite.TestTap next, Path store) throws Exception {
    write(tap, 10);
    same(tap, 64, "in the middle");
    Await.until("it says that it fills", LIMIT, () -> mode(b).equals("filling"));
    awaitJournaled(b);
    assertEquals(0, b.client.volume("shop").path("dark").size(), "every write is a point");
    tap.kill();
    assertFalse(Arrays.equals(model, Files.readAllBytes(store)), "it was filled already");
    next.start();
    next.awaitServed();
    write(next, 10);
    same(next, 64, "after the kill");
    awaitFilled(b, store);
    assertArrayEquals(model, Files.readAllBytes(store), "the target's store");
    awaitJournaled(b);
    assertArrayEquals(model, PhaseCheck.read(b, "shop", "latest", b.client.head("shop")));
  }

  /**
   * The source's tap starts again in front of its old store, stands by, and is killed as soon as it
   * has served.
   */
  private String failBack(TestSite.TestTap tap, Path store) throws Exception {
    tap.kill();
    tap.start();
    Await.until("it stands by", LIMIT, () -> tap.output().contains("standing by"));
    assertThrows(IOException.class, () -> NbdClient.connect(NbdUri.parse(tap.uri())));
    assertFalse(Arrays.equals(model, Files.readAllBytes(store)), "the store is an old one");
    FirstWrite first = new FirstWrite(tap);
    order(a, "/failback", null);
    double seconds = first.seconds();
    tap.kill();
    awaitState(a, "Ready");
    tap.start();
    tap.awaitServed();
    write(tap, 10);
    awaitFilled(a, store);
    same(tap, "the old source after a kill");
    awaitJournaled(a);
    assertArrayEquals(model, Files.readAllBytes(store), "the old source's store");
    assertEquals(3, a.client.volume("shop").path("epoch").asInt());
    return "failback: first write %.2f s after the order".formatted(seconds);
  }

  /**
   * The target's tap was fenced while it ran and is behind, so it puts its clients out and fills;
   * the source's is not behind when the failover is taken back, and keeps its store.
   */
  private String thereAndBack(TestSite.TestTap from, TestSite.TestTap to, Path store)
      throws Exception {
    awaitStreaming(a);
    byte[] before = model.clone();
    FirstWrite there = new FirstWrite(to);
    order(a, "/failover", "{\"mode\":\"planned\"}");
    double over = there.seconds();
    awaitState(b, "FailedOver");
    awaitFilled(b, store);
    same(to, "over again");
    assertArrayEquals(model, Files.readAllBytes(store), "the target's store, over again");
    System.arraycopy(before, 0, model, 0, VOLUME_BYTES);
    FirstWrite back = new FirstWrite(from);
    order(a, "/rollback", null);
    double home = back.seconds();
    awaitState(a, "Ready");
    same(from, "taken back");
    return "over again: %.2f s; taken back: %.2f s".formatted(over, home);
  }

  private void same(TestSite.TestTap tap, String when) throws Exception {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      assertArrayEquals(model, client.read(0, VOLUME_BYTES), when);
    }
  }

  /** Some blocks, so that the rest stays to be filled. */
  private void same(TestSite.TestTap tap, int blocks, String when) throws Exception {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      for (int i = 0; i < blocks; i++) {
        int at = BLOCK * random.nextInt(VOLUME_BYTES / BLOCK);
        assertArrayEquals(
            Arrays.copyOfRange(model, at, at + BLOCK), client.read(at, BLOCK), when + ", at " + at);
      }
    }
  }

  private static String mode(TestSite at) throws Exception {
    return at.client.volume("shop").at("/tap/mode").asText();
  }

  private static void awaitFilled(TestSite at, Path store) throws Exception {
    Path map = Path.of(store + ".tidemark").resolve("fill");
    Await.until(
        "the store is filled", LIMIT, () -> !Files.exists(map) && mode(at).equals("continuous"));
  }

  private static void awaitJournaled(TestSite at) throws Exception {
    Instant now = Instant.now();
    Await.until("all is journaled", LIMIT, () -> SiteClient.drained(at.client.volume("shop"), now));
  }

  /** A client that tries until it may write; the block that it writes is the volume's first. */
  private final class FirstWrite {
    private final long began = System.nanoTime();
    private final byte[] block = block();
    private final CompletableFuture<Double> written = new CompletableFuture<>();

    FirstWrite(TestSite.TestTap tap) {
      Thread client =
          new Thread(
              () -> {
                while (!written.isDone() && System.nanoTime() - began < LIMIT.toNanos()) {
                  try (NbdClient one = NbdClient.connect(NbdUri.parse(tap.uri()))) {
                    one.write(0, ByteBuffer.wrap(block));
                    written.complete((System.nanoTime() - began) / 1e9);
                  } catch (IOException notYet) {
                    LockSupport.parkNanos(5_000_000);
                  }
                }
                written.completeExceptionally(new AssertionError("it may not write"));
              });
      client.setDaemon(true);
      client.start();
    }

    double seconds() throws Exception {
      double seconds = written.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
      System.arraycopy(block, 0, model, 0, BLOCK);
      return seconds;
    }
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
  private String failOver(TestSite.TestTap from, TestSite.TestTap to, Path backing)
      throws Exception {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(from.uri()))) {
      byte[] last = block();
      client.write(0, ByteBuffer.wrap(last));
      System.arraycopy(last, 0, model, 0, BLOCK);
      FirstWrite first = new FirstWrite(to);
      order(a, "/failover", "{\"mode\":\"planned\"}");
      JsonNode over = awaitState(b, "FailedOver");
      assertThrows(IOException.class, () -> client.write(0, ByteBuffer.wrap(block())));
      assertEquals(0, over.at("/run/volumes/0/lostWrites").asLong(-1), over.toString());
      long head = a.client.head("shop");
      assertArrayEquals(model, Files.readAllBytes(backing));
      assertArrayEquals(model, PhaseCheck.read(b, "shop", "seq:" + head, head));
      assertEquals("Fenced", a.client.volume("shop").path("role").asText());
      assertEquals("Primary", b.client.volume("shop").path("role").asText());
      return "promoted %.2f s, first write %.2f s after the order"
          .formatted(over.at("/run/rtoSeconds").asDouble(), first.seconds());
    }
  }

  private void write(TestSite.TestTap tap, int blocks) throws Exception {
    try (NbdClient client = NbdClient.connect(NbdUri.parse(tap.uri()))) {
      for (int i = 0; i < blocks; i++) {
        int at = BLOCK * random.nextInt(VOLUME_BYTES / BLOCK);
        byte[] data = block();
        client.write(at, ByteBuffer.wrap(data));
        System.arraycopy(data, 0, model, at, BLOCK);
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
