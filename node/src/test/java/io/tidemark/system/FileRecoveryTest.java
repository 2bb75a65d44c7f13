package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Files of a protected volume: written through a tap, changed, deleted, and fetched as they were at
 * each point from a real site, which is killed on the way.
 */
class FileRecoveryTest {
  private static final String VOLUME = "files";
  private static final int VOLUME_BYTES = 48 << 20;
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);
  private final HttpClient http = HttpClient.newHttpClient();

  @Test
  @Timeout(value = 5, unit = TimeUnit.MINUTES)
  void shouldRecoverFilesOfEveryPoint(@TempDir Path directory) throws Exception {
    Shell.requires("nbdfuse", "nbdcopy", "mkfs.ext4", "debugfs", "unshare", "nsenter", "setpriv");
    Shell.requiresRoot(Path.of("/dev/fuse"));
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    byte[] first = new byte[5_000_001];
    byte[] second = new byte[3_000_007];
    new Random(SEED).nextBytes(first);
    new Random(SEED + 1).nextBytes(second);
    Path backing = Files.write(directory.resolve("backing.img"), new byte[VOLUME_BYTES]);
    Path disk = Files.write(directory.resolve("disk.img"), new byte[VOLUME_BYTES]);
    Shell.run("mkfs.ext4", "-q", "-F", disk.toString()).orFail();
    try (TestSite site = new TestSite(directory.resolve("site"));
        TestSite.TestTap tap = site.tap(VOLUME, backing)) {
      site.start();
      site.client.createVolume(VOLUME, VOLUME_BYTES);
      tap.start();
      tap.awaitServed();
      Await.until(
          "protected",
          LIMIT,
          () -> site.client.volume(VOLUME).path("state").asText().equals("Protected"));
      long empty = site.client.head(VOLUME);
      long made = store(site, tap, disk);
      change(directory, disk, "write " + Files.write(directory.resolve("1"), first) + " f");
      long one = store(site, tap, disk);
      change(
          directory,
          disk,
          "rm f\nwrite " + Files.write(directory.resolve("2"), second) + " f\nmkdir d");
      long two = store(site, tap, disk);
      change(directory, disk, "rm f");
      long gone = store(site, tap, disk);

      assertArrayEquals(first, fetch(site, one, "/f", null));
      assertArrayEquals(second, fetch(site, two, "/f", null));
      byte[] part = fetch(site, one, "/f", "bytes=4000000-4999999");
      assertArrayEquals(Arrays.copyOfRange(first, 4_000_000, 5_000_000), part);
      assertEquals("NOT_FOUND", files(site, gone, "/f").code());
      assertEquals("NOT_FOUND", files(site, made, "/f").code());
      assertEquals("UNREADABLE", files(site, empty, "/").code());
      assertEquals("d", files(site, gone, "/").orFail().at("/entries/0/name").asText());
      history(site, empty, made, one, two, gone);
      fullDisk(site, one, directory.resolve("full"));
      image(site, one, first, second);
      killed(site, one, first);
    }
  }

  private static void assertArrayEquals(byte[] wanted, byte[] got) {
    assertTrue(Arrays.equals(wanted, got), wanted.length + " bytes wanted, got " + got.length);
  }

  private static void change(Path directory, Path disk, String commands) throws Exception {
    Path script = Files.writeString(directory.resolve("script"), commands + "\n");
    Shell.run("debugfs", "-w", "-f", script.toString(), disk.toString()).orFail();
  }

  /** Writes the disk through the tap; returns the seq once it is journaled. */
  private static long store(TestSite site, TestSite.TestTap tap, Path disk) throws Exception {
    long before = site.client.head(VOLUME);
    Shell.run("nbdcopy", "--flush", disk.toString(), tap.uri()).orFail();
    Instant copied = Instant.now();
    Await.until(
        "journaled",
        LIMIT,
        () -> {
          JsonNode volume = site.client.get("/api/v1/volumes/" + VOLUME).orFail();
          return volume.at("/head/seq").asLong() > before && SiteClient.drained(volume, copied);
        });
    return site.client.head(VOLUME);
  }

  private static SiteClient.Answer files(TestSite site, long seq, String path) throws Exception {
    return site.client.get("/api/v1/volumes/" + VOLUME + "/files?at=seq:" + seq + "&path=" + path);
  }

  private byte[] fetch(TestSite site, long seq, String path, String range) throws Exception {
    return fetch(site, "/volumes/" + VOLUME + "/content?at=seq:" + seq + "&path=" + path, range);
  }

  private byte[] fetch(TestSite site, String query, String range) throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(site.client.base() + "/api/v1" + query));
    if (range != null) {
      request.header("Range", range);
    }
    HttpResponse<byte[]> response =
        http.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
    if (response.statusCode() / 100 != 2) {
      throw new AssertionError(new String(response.body(), StandardCharsets.UTF_8));
    }
    return response.body();
  }

  /** Each version once, in order, and what could not be looked at. */
  private static void history(TestSite site, long empty, long made, long one, long two, long gone)
      throws Exception {
    StringBuilder ats = new StringBuilder();
    for (long seq : new long[] {gone, empty, made, two, one}) {
      ats.append("&at=seq:").append(seq);
    }
    JsonNode history =
        site.client
            .get("/api/v1/volumes/" + VOLUME + "/files/history?path=/f&hash=true" + ats)
            .orFail();
    System.out.println(history);
    JsonNode versions = history.path("versions");
    JsonNode last = versions.path(versions.size() - 1);
    assertFalse(versions.path(0).path("exists").asBoolean(true), history.toString());
    assertFalse(last.path("exists").asBoolean(true), history.toString());
    assertEquals(3_000_007, versions.path(versions.size() - 2).at("/entry/sizeBytes").asInt());
    assertEquals("UNREADABLE", history.at("/skipped/0/code").asText(), history.toString());
  }

  /** A file that does not fit where it is fetched to is told, and no part of it is left. */
  private static void fullDisk(TestSite site, long seq, Path place) throws Exception {
    Files.createDirectories(place);
    List<String> command =
        new ArrayList<>(List.of("unshare", "--mount", "--propagation", "private", "sh", "-c"));
    command.add(
        "mount -t tmpfs -o size=1m tmpfs \"$1\"; there=$1; shift; \"$@\"; echo \"exit $?\";"
            + " ls -A \"$there\"; echo end");
    command.addAll(List.of("sh", place.toString()));
    command.addAll(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), "io.tidemark.cli.Main"));
    command.addAll(List.of("files", "get", VOLUME, "/f", "--at", "seq:" + seq));
    command.addAll(List.of("--to", place.resolve("f").toString(), "--node", site.client.base()));
    String output = Shell.run(command).orFail().output();
    assertTrue(output.contains("No space left on device"), output);
    assertTrue(output.endsWith("exit 1\nend\n"), output);
  }

  /** A writable image shows what its clients wrote, once they are gone. */
  private void image(TestSite site, long seq, byte[] first, byte[] second) throws Exception {
    JsonNode image =
        site.client
            .post(
                "/api/v1/images",
                SiteClient.object()
                    .put("volume", VOLUME)
                    .put("at", "seq:" + seq)
                    .put("writable", true)
                    .put("name", "w"))
            .orFail();
    assertArrayEquals(first, fetch(site, "/images/w/content?path=/f", null));
    try (NbdClient client = NbdClient.connect(NbdUri.parse(image.path("uri").asText()))) {
      assertEquals("BUSY", site.client.get("/api/v1/images/w/files?path=/").code());
      // Zeroes where the file system begins: it is none any more.
      client.write(0, ByteBuffer.allocate(64 << 10));
    }
    Await.until(
        "the image is seen as its clients left it",
        LIMIT,
        () -> site.client.get("/api/v1/images/w/files?path=/").code().equals("UNREADABLE"));
    site.client.closeImage("w");
    assertEquals("NOT_FOUND", site.client.get("/api/v1/images/w/files?path=/").code());
    assertEquals(second.length, fetch(site, seq, "/f", "bytes=0-3000006").length);
  }

  /** Nothing of a view outlives its node (B2, V1). */
  private void killed(TestSite site, long seq, byte[] first) throws Exception {
    files(site, seq, "/").orFail();
    Path place = site.directory.resolve("data/files");
    List<ProcessHandle> inside =
        ProcessHandle.of(site.pid()).stream()
            .flatMap(ProcessHandle::descendants)
            .filter(p -> p.info().commandLine().orElse("").contains(place.toString()))
            .toList();
    assertTrue(inside.size() >= 2, inside.toString());
    site.kill();
    for (ProcessHandle process : inside) {
      process.onExit().get(20, TimeUnit.SECONDS);
    }
    assertFalse(mounts().contains(place.toString()));
    site.start();
    try (var left = Files.list(place)) {
      assertTrue(
          left.noneMatch(path -> path.getFileName().toString().startsWith("view-")), "is emptied");
    }
    assertArrayEquals(first, fetch(site, seq, "/f", null));
  }

  private static String mounts() throws IOException {
    return Files.readString(Path.of("/proc/mounts"));
  }
}
