package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A tap whose backing store is a block device: killed under load, it compares what it marked. */
class BlockDeviceTapTest {
  private static final String VOLUME = "device";
  private static final int VOLUME_BYTES = (64 << 20) + 512;
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);

  @TempDir Path directory;

  @Test
  @Timeout(value = 8, unit = TimeUnit.MINUTES)
  void shouldResynchroniseADeviceAfterKill() throws Exception {
    Shell.requires("losetup");
    Shell.requiresRoot(Path.of("/dev/loop-control"));
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    Path below = directory.resolve("below.img");
    try (RandomAccessFile file = new RandomAccessFile(below.toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
      // A volume that holds data when it is first attached: a device cannot tell where.
      file.seek(40 << 20);
      file.write(new byte[100_000]);
      file.write("old data".getBytes(java.nio.charset.StandardCharsets.US_ASCII));
    }
    String device = Shell.read("losetup", "-f", "--show", below.toString());
    try {
      withSite(Path.of(device));
      Shell.run("blockdev", "--flushbufs", device).orFail();
    } finally {
      Shell.run("losetup", "-d", device).orFail();
    }
  }

  private void withSite(Path device) throws Exception {
    Path state = directory.resolve("state");
    try (TestSite site = new TestSite(directory.resolve("site"))) {
      site.start();
      site.client.createVolume(VOLUME, VOLUME_BYTES);
      try (TestSite.TestTap homeless = site.tap(VOLUME, device)) {
        homeless.start();
        assertEquals(2, homeless.exitCode(60), homeless.output());
        assertTrue(homeless.output().contains("--state"), homeless.output());
      }
      try (TestSite.TestTap tap = site.tap(VOLUME, device, "--state", state.toString())) {
        tap.start();
        tap.awaitServed();
        awaitEqual(site, device);
        killUnderLoad(site, tap);
        assertTrue(Files.isDirectory(state.resolve(VOLUME)), "marks beside no device");
        tap.start();
        tap.awaitServed();
        awaitEqual(site, device);
        JsonNode volume = site.client.volume(VOLUME);
        assertEquals(1, volume.path("dark").size(), volume.toString());
        write(tap.uri(), new AtomicLong(), 50);
        awaitEqual(site, device);
      }
    }
  }

  private static void killUnderLoad(TestSite site, TestSite.TestTap tap) throws Exception {
    AtomicLong done = new AtomicLong();
    ExecutorService writer = Executors.newSingleThreadExecutor();
    try {
      long before = site.client.head(VOLUME);
      Future<Void> writing = writer.submit(() -> writeUntilGone(tap.uri(), done));
      Await.until("writes are journaled", LIMIT, () -> site.client.head(VOLUME) > before + 200);
      tap.kill();
      writing.get(30, TimeUnit.SECONDS);
      System.out.printf("killed after %d writes%n", done.get());
    } finally {
      writer.shutdownNow();
    }
  }

  private static Void writeUntilGone(String uri, AtomicLong done) throws Exception {
    try {
      write(uri, done, Integer.MAX_VALUE);
      throw new AssertionError("nobody killed the tap");
    } catch (IOException gone) {
      return null;
    }
  }

  private static void write(String uri, AtomicLong done, int count) throws IOException {
    Random random = new Random(SEED + done.get());
    try (NbdClient client = NbdClient.connect(NbdUri.parse(uri))) {
      for (int i = 0; i < count; i++) {
        byte[] data = new byte[512 * (1 + random.nextInt(32))];
        random.nextBytes(data);
        client.write(
            512L * random.nextInt((VOLUME_BYTES - data.length) / 512 + 1), ByteBuffer.wrap(data));
        done.incrementAndGet();
      }
    }
  }

  /** J2: drained and protected, an image at the head is the device, byte for byte. */
  private static void awaitEqual(TestSite site, Path device) throws Exception {
    Instant since = Instant.now();
    Await.until(
        "protected and drained",
        LIMIT,
        () -> {
          JsonNode volume = site.client.volume(VOLUME);
          return volume.path("state").asText().equals("Protected")
              && volume.at("/tap/connected").asBoolean()
              && SiteClient.drained(volume, since)
              && volume.at("/tap/mode").asText().equals("continuous");
        });
    JsonNode image = site.client.openImage(VOLUME, "latest", false).orFail();
    byte[] held = new byte[VOLUME_BYTES];
    try (NbdClient client = NbdClient.connect(NbdUri.parse(image.path("uri").asText()));
        RandomAccessFile live = new RandomAccessFile(device.toFile(), "r")) {
      live.readFully(held);
      for (int at = 0; at < VOLUME_BYTES; at += 4 << 20) {
        ByteBuffer piece = ByteBuffer.allocate(Math.min(4 << 20, VOLUME_BYTES - at));
        client.read(at, piece);
        assertTrue(
            Arrays.equals(piece.array(), 0, piece.capacity(), held, at, at + piece.capacity()),
            "the image at the head differs from the device after offset " + at);
      }
    }
    site.client.closeImage(image.path("name").asText());
  }
}
