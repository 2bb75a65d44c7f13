package io.tidemark.export;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.tidemark.export.Exports.ExportRequest;
import io.tidemark.image.HeldPoints;
import io.tidemark.imageserver.MemoryPoints;
import io.tidemark.imageserver.Tools;
import io.tidemark.job.JobRegistry;
import io.tidemark.job.JobSummary;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroClock;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExportJobsTest {
  private static final int SIZE = 6 * 1024 * 1024 + 512;
  private final long seed = Long.getLong("tidemark.seed", System.nanoTime());
  private final Random random = new Random(seed);
  private final ExecutorService io = Executors.newFixedThreadPool(4);
  private final MemoryPoints points = new MemoryPoints(SIZE, io);
  private final JobRegistry jobs = new JobRegistry(MicroClock.system());
  @TempDir Path scratch;
  private ExportJobs exports;

  ExportJobsTest() {
    System.out.println("ExportJobsTest -Dtidemark.seed=" + seed);
  }

  @BeforeEach
  void start() throws IOException {
    exports = new ExportJobs(scratch.resolve("records"), jobs, points, new HeldPoints(points));
    for (int i = 0; i < 40; i++) {
      int length = (1 + random.nextInt(random.nextInt(8) == 0 ? 2000 : 40)) * 512;
      int offset = random.nextInt((SIZE - length) / 512 + 1) * 512;
      byte[] data = new byte[length];
      random.nextBytes(data);
      points.write(offset, length, random.nextInt(4) == 0 ? null : data);
    }
    points.write(SIZE - 512, 512, filled(512));
  }

  private static byte[] filled(int length) {
    byte[] data = new byte[length];
    java.util.Arrays.fill(data, (byte) 7);
    return data;
  }

  @AfterEach
  void stop() {
    points.gate.complete(null);
    jobs.close();
    exports.close();
    io.shutdown();
  }

  private JobSummary begin(At at, String format, Path file) {
    return exports
        .export(new ExportRequest(MemoryPoints.NAME, at, format, file.toString()))
        .toCompletableFuture()
        .orTimeout(30, TimeUnit.SECONDS)
        .join();
  }

  private JobSummary ended(JobSummary job) {
    return jobs.ended(job.id()).toCompletableFuture().orTimeout(60, TimeUnit.SECONDS).join();
  }

  private Refusal refused(At at, String format, Path file) {
    CompletionException e = assertThrows(CompletionException.class, () -> begin(at, format, file));
    return (Refusal) e.getCause();
  }

  private void assertNothingLeft(Path file) throws IOException {
    assertFalse(Files.exists(file.resolveSibling(file.getFileName() + ".part")));
    try (var records = Files.list(scratch.resolve("records"))) {
      assertEquals(0, records.count());
    }
  }

  /**
   * A raw export is the point's content byte for byte, at any point, and its holes take no space.
   */
  @Test
  void shouldWriteRawFiles() throws IOException {
    for (long seq : new long[] {0, 1, 20, 41}) {
      Path file = scratch.resolve("disk-" + seq + ".raw");
      JobSummary job = ended(begin(new At.Seq(new WriteSeq(seq)), "raw", file));
      assertEquals(JobSummary.State.DONE, job.state(), () -> job + " seed " + seed);
      assertEquals(1.0, job.fraction());
      assertEquals(SIZE, job.bytesDone());
      assertEquals(file.toString(), job.result().get("path"));
      assertArrayEquals(points.content(seq), Files.readAllBytes(file), "seed " + seed);
      assertEquals(1, Files.getAttribute(file, "unix:nlink"));
      assertNothingLeft(file);
    }
    Path empty = scratch.resolve("disk-0.raw");
    Tools.requires("stat");
    long blocks = Long.parseLong(Tools.run(0, "stat", "-c", "%b", empty.toString()).trim());
    assertTrue(blocks <= 16, "an empty disk takes " + blocks + " blocks");
  }

  /** qemu-img finds no fault in a qcow2 export and the same content as in the raw one. */
  @Test
  void shouldWriteQcow2FilesThatQemuAccepts() throws IOException {
    Tools.requires("qemu-img");
    for (long seq : new long[] {0, 1, 20, 41}) {
      Path file = scratch.resolve("disk-" + seq + ".qcow2");
      Path raw = scratch.resolve("disk-" + seq + ".raw");
      Files.write(raw, points.content(seq));
      JobSummary job = ended(begin(new At.Seq(new WriteSeq(seq)), "qcow2", file));
      assertEquals(JobSummary.State.DONE, job.state(), () -> job + " seed " + seed);
      String check = Tools.run(0, "qemu-img", "check", "-f", "qcow2", file.toString());
      assertTrue(check.contains("No errors were found"), check);
      Tools.run(
          0, "qemu-img", "compare", "-f", "qcow2", "-F", "raw", file.toString(), raw.toString());
      String map = Tools.run(0, "qemu-img", "map", "--output=json", "-f", "qcow2", file.toString());
      boolean data = !java.util.Arrays.equals(points.content(seq), new byte[SIZE]);
      assertEquals(data, map.contains("\"data\": true"), map);
      assertNothingLeft(file);
    }
  }

  /** A file larger than one table of any kind can map is still right. */
  @Test
  void shouldWriteLargeQcow2Files() throws IOException {
    Tools.requires("qemu-img");
    long size = 5L << 40;
    Path file = scratch.resolve("large.qcow2");
    Files.createFile(file);
    byte[] cluster = filled(64 * 1024);
    long[] offsets = {0, 512L << 20, (512L << 20) - 65536, 3L << 40, size - 65536};
    java.util.Arrays.sort(offsets);
    try (Qcow2Writer writer =
        new Qcow2Writer(
            java.nio.channels.FileChannel.open(file, java.nio.file.StandardOpenOption.WRITE),
            size)) {
      for (long offset : offsets) {
        writer.put(offset, java.nio.ByteBuffer.wrap(cluster));
        writer.passed(offset + cluster.length);
      }
      writer.finish();
    }
    String check = Tools.run(0, "qemu-img", "check", "-f", "qcow2", file.toString());
    assertTrue(check.contains("No errors were found"), check);
    String map = Tools.run(0, "qemu-img", "map", "-f", "qcow2", file.toString());
    assertEquals(1 + offsets.length, map.lines().count(), map); // a headline first
  }

  /** More clusters than one refcount block counts. */
  @Test
  void shouldCountManyClusters() throws IOException {
    Tools.requires("qemu-img");
    int clusters = 33_000;
    Path file = Files.createFile(scratch.resolve("many.qcow2"));
    java.nio.ByteBuffer sparse = java.nio.ByteBuffer.allocate(64 * 1024);
    sparse.put(5, (byte) 1).limit(512);
    try (Qcow2Writer writer =
        new Qcow2Writer(
            java.nio.channels.FileChannel.open(file, java.nio.file.StandardOpenOption.WRITE),
            clusters * 65536L)) {
      for (long i = 0; i < clusters; i++) {
        writer.put(i * 65536, sparse.duplicate());
        writer.passed((i + 1) * 65536);
      }
      writer.finish();
    }
    String check = Tools.run(0, "qemu-img", "check", "-f", "qcow2", file.toString());
    assertTrue(check.contains("No errors were found"), check);
  }

  /** VMDK and VHDX exports are what qemu-img takes them for, and hold the point's content. */
  @Test
  void shouldWriteVmdkAndVhdxFilesThatQemuAccepts() throws IOException {
    Tools.requires("qemu-img", "qemu-io", "stat");
    for (long seq : new long[] {0, 1, 20, 41}) {
      Path raw = scratch.resolve("disk-" + seq + ".raw");
      Files.write(raw, points.content(seq));
      for (String format : List.of("vmdk", "vhdx")) {
        Path file = scratch.resolve("disk-" + seq + "." + format);
        JobSummary job = ended(begin(new At.Seq(new WriteSeq(seq)), format, file));
        assertEquals(JobSummary.State.DONE, job.state(), () -> job + " seed " + seed);
        assertAccepted(format, file, raw);
        assertNothingLeft(file);
        if (seq == 0) {
          long blocks = Long.parseLong(Tools.run(0, "stat", "-c", "%b", file.toString()).trim());
          assertTrue(blocks <= 1024, "an empty " + format + " takes " + blocks + " blocks");
        }
        Tools.run(0, "qemu-io", "-f", format, "-c", "write -P 7 0 64k", file.toString());
        Tools.run(0, "qemu-io", "-f", format, "-c", "read -P 7 0 64k", file.toString());
        Tools.run(0, "qemu-img", "check", "-f", format, file.toString());
      }
    }
  }

  private static void assertAccepted(String format, Path file, Path raw) throws IOException {
    String check = Tools.run(0, "qemu-img", "check", "-f", format, file.toString());
    assertTrue(check.contains("No errors were found"), check);
    String compared =
        Tools.run(
            0, "qemu-img", "compare", "-f", format, "-F", "raw", file.toString(), raw.toString());
    assertEquals("Images are identical.", compared.trim()); // else their sizes differ
  }

  /** Odd sizes, all zero and all random: whatever the last grain, table or block looks like. */
  @Test
  void shouldWriteVmdkAndVhdxFilesOfAnySize() throws IOException {
    Tools.requires("qemu-img");
    DiskLabel label = new DiskLabel("odd \" name", new java.util.UUID(3, 4));
    int[] sizes = {512, 65_536 + 512, (1 << 20) - 512, 33 << 20};
    for (int size : sizes) {
      for (int kind = 0; kind < 3; kind++) {
        byte[] content = new byte[size];
        if (kind == 1) {
          random.nextBytes(content);
        } else if (kind == 2) {
          content[size - 1] = 1;
        }
        Path raw = Files.write(scratch.resolve("any.raw"), content);
        for (String format : List.of("vmdk", "vhdx")) {
          Path file = Files.createFile(scratch.resolve("any-" + size + "-" + kind + "." + format));
          try (DiskFileWriter writer = writer(format, file, size, label)) {
            for (int at = 0; at < size; at += 1 << 20) {
              int length = Math.min(1 << 20, size - at);
              writer.put(at, java.nio.ByteBuffer.wrap(content, at, length));
              writer.passed((at + length) / (64L << 20) * (64L << 20));
            }
            writer.finish();
          }
          assertAccepted(format, file, raw);
          Files.delete(file);
        }
      }
    }
  }

  private static DiskFileWriter writer(String format, Path file, long size, DiskLabel label)
      throws IOException {
    java.nio.channels.FileChannel channel =
        java.nio.channels.FileChannel.open(file, java.nio.file.StandardOpenOption.WRITE);
    return format.equals("vmdk")
        ? new VmdkWriter(channel, size, label)
        : new VhdxWriter(channel, size, label);
  }

  /** Disks of many tables, up to the largest volume: what was put is where it belongs. */
  @Test
  void shouldWriteLargeVmdkAndVhdxFiles() throws IOException {
    Tools.requires("qemu-img", "qemu-io");
    DiskLabel label = new DiskLabel("large", new java.util.UUID(3, 4));
    byte[] grain = filled(64 * 1024);
    for (long size : new long[] {(5L << 30) + 512 * 3, 64L << 40}) {
      long[] offsets = {0, (32L << 20) - 65_536, 4L << 30, (size - 65_536) / 65_536 * 65_536};
      java.util.Arrays.sort(offsets);
      for (String format : List.of("vmdk", "vhdx")) {
        Path file = Files.createFile(scratch.resolve("large-" + size + "." + format));
        try (DiskFileWriter writer = writer(format, file, size, label)) {
          for (long offset : offsets) {
            writer.put(offset, java.nio.ByteBuffer.wrap(grain));
            writer.passed((offset + grain.length) / (64L << 20) * (64L << 20));
          }
          writer.finish();
        }
        // It looks at each grain of a VMDK alone, which takes minutes for the largest.
        if (format.equals("vhdx") || size < 1L << 40) {
          String check = Tools.run(0, "qemu-img", "check", "-f", format, file.toString());
          assertTrue(check.contains("No errors were found"), check);
        }
        String info = Tools.run(0, "qemu-img", "info", "-f", format, file.toString());
        assertTrue(info.contains("(" + size + " bytes)"), info);
        for (long offset : offsets) {
          Tools.run(
              0,
              "qemu-io",
              "-r",
              "-f",
              format,
              "-c",
              "read -P 7 " + offset + " 64k",
              file.toString());
          Tools.run(
              0,
              "qemu-io",
              "-r",
              "-f",
              format,
              "-c",
              "read -P 0 " + (offset + 65_536 < size - 512 ? offset + 65_536 : 65_536) + " 512",
              file.toString());
        }
        Files.delete(file);
      }
    }
  }

  /** Bad requests are refused before anything is written. */
  @Test
  void shouldRefuseBadRequests() throws IOException {
    At latest = new At.Latest();
    Path there = Files.writeString(scratch.resolve("there.raw"), "mine");
    assertEquals(ErrorCode.ALREADY_EXISTS, refused(latest, "raw", there).code());
    assertEquals("mine", Files.readString(there));
    for (String format : List.of("vdi", "RAW", "")) {
      Refusal refusal = refused(latest, format, scratch.resolve("x"));
      assertEquals(ErrorCode.INVALID, refusal.code());
      assertTrue(refusal.getMessage().contains("raw, qcow2, vmdk and vhdx"), refusal.getMessage());
    }
    assertEquals(ErrorCode.INVALID, refused(latest, "raw", Path.of("relative.raw")).code());
    assertEquals(ErrorCode.INVALID, refused(latest, "raw", scratch.resolve("no/x.raw")).code());
    assertEquals(ErrorCode.INVALID, refused(latest, "raw", Path.of("/")).code());
    assertEquals(
        ErrorCode.BEYOND_HEAD,
        refused(new At.Seq(new WriteSeq(9999)), "raw", scratch.resolve("x")).code());
    Path part = Files.writeString(scratch.resolve("y.raw.part"), "mine");
    JobSummary job = ended(begin(latest, "raw", scratch.resolve("y.raw")));
    assertEquals(ErrorCode.ALREADY_EXISTS, job.error().orElseThrow().code());
    assertEquals("mine", Files.readString(part));
  }

  /** Cancelling ends the job and leaves nothing. */
  @Test
  void shouldCancel() throws IOException {
    points.gate = new CompletableFuture<>();
    Path file = scratch.resolve("disk.qcow2");
    JobSummary job = begin(new At.Latest(), "qcow2", file);
    assertEquals(JobSummary.State.RUNNING, job.state());
    jobs.cancel(job.id());
    points.gate.complete(null);
    assertEquals(JobSummary.State.CANCELLED, ended(job).state());
    jobs.cancel(job.id());
    assertFalse(Files.exists(file));
    assertNothingLeft(file);
  }

  /** One more export than may run is refused, and fits once another has ended. */
  @Test
  void shouldBoundConcurrentExports() {
    points.gate = new CompletableFuture<>();
    JobSummary last = null;
    for (int i = 0; i < ExportJobs.EXPORTS_MAX; i++) {
      last = begin(new At.Latest(), "raw", scratch.resolve("disk" + i));
    }
    Path more = scratch.resolve("more");
    assertEquals(ErrorCode.BUSY, refused(new At.Latest(), "raw", more).code());
    points.gate.complete(null);
    assertEquals(JobSummary.State.DONE, ended(last).state());
    assertEquals(JobSummary.State.DONE, ended(begin(new At.Latest(), "raw", more)).state());
  }

  /** A chunk that fails its checksum fails the job with its code; no file appears. */
  @Test
  void shouldFailOnCorruptData() throws IOException {
    points.corrupt = List.of(new ByteRange(SIZE - 512, 512));
    Path file = scratch.resolve("disk.raw");
    JobSummary job = ended(begin(new At.Latest(), "raw", file));
    assertEquals(JobSummary.State.FAILED, job.state());
    assertEquals(ErrorCode.CORRUPT, job.error().orElseThrow().code());
    assertFalse(Files.exists(file));
    assertNothingLeft(file);
  }

  /** A full disk fails the job with a sentence that says so, and its space is given back. */
  @Test
  void shouldFailOnAFullDisk() throws IOException {
    Tools.requires("mount", "umount");
    Path small = Files.createDirectory(scratch.resolve("small"));
    boolean mounted =
        new ProcessBuilder("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small.toString())
                .start()
                .onExit()
                .orTimeout(20, TimeUnit.SECONDS)
                .join()
                .exitValue()
            == 0;
    assumeTrue(mounted, "needs the right to mount a tmpfs");
    try {
      for (String format : List.of("raw", "qcow2", "vmdk", "vhdx")) {
        JobSummary job = ended(begin(new At.Latest(), format, small.resolve("disk")));
        assertEquals(JobSummary.State.FAILED, job.state());
        assertEquals(ErrorCode.FAILED, job.error().orElseThrow().code());
        assertTrue(job.error().get().message().contains("is full"), job.toString());
        try (var left = Files.list(small)) {
          assertEquals(0, left.count());
        }
      }
    } finally {
      Tools.run(0, "umount", small.toString());
    }
    assertNothingLeft(scratch.resolve("disk"));
  }

  /** What a killed node has left is removed when the node starts again; nothing else is. */
  @Test
  void shouldRemoveLeftoversAtStart() throws IOException {
    Path part = Files.writeString(scratch.resolve("disk.raw.part"), "half");
    Path other = Files.writeString(scratch.resolve("other.part"), "mine");
    Path records = scratch.resolve("records");
    Files.writeString(records.resolve("export-1.export"), part.toString());
    Files.writeString(records.resolve("export-2.export"), scratch.resolve("gone.part").toString());
    new ExportJobs(records, jobs, points, new HeldPoints(points)).close();
    assertFalse(Files.exists(part));
    assertTrue(Files.exists(other));
    assertNothingLeft(scratch.resolve("disk.raw"));
  }
}
