package io.tidemark.files;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.Behaviors;
import akka.stream.javadsl.Sink;
import akka.util.ByteString;
import com.typesafe.config.ConfigFactory;
import io.tidemark.filesystem.FileEntry;
import io.tidemark.filesystem.FilePath;
import io.tidemark.filesystem.FileType;
import io.tidemark.filesystem.JournalState;
import io.tidemark.filesystem.Partition;
import io.tidemark.image.HeldPoints;
import io.tidemark.image.VolumePoints;
import io.tidemark.imageserver.Tools;
import io.tidemark.point.PointReader;
import io.tidemark.position.At;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files of disks that the real mkfs tools made, through sandbox, tools and streams. */
class SiteFilesTest {
  private static final Instant HELLO_TIME = Instant.parse("2020-02-02T02:02:02.123456700Z");
  private static final long SPARSE_AT = 4_500_000_000L;

  @TempDir static Path directory;
  private static ActorSystem<Void> system;
  private static ImageFilePoints points;
  private static SiteFiles files;

  @BeforeAll
  static void start() throws Exception {
    Tools.requires("nbdfuse", "unshare", "nsenter", "setpriv", "blkid");
    assumeTrue(Files.isWritable(Path.of("/dev/fuse")), "needs /dev/fuse");
    system =
        ActorSystem.create(
            Behaviors.empty(),
            "files-test",
            ConfigFactory.parseString("akka.actor.provider = local, akka.loglevel = OFF")
                .withFallback(ConfigFactory.load()));
    points = new ImageFilePoints();
    files = open(directory.resolve("files"));
    try (InputStream script = SiteFilesTest.class.getResourceAsStream("make-image.sh")) {
      Files.write(directory.resolve("make-image.sh"), script.readAllBytes());
    }
  }

  private static SiteFiles open(Path place) throws IOException {
    return new SiteFiles(
        system,
        points,
        new HeldPoints(points),
        null,
        null,
        "here",
        place,
        MicroClock.system(),
        true);
  }

  @AfterAll
  static void stop() throws Exception {
    if (files != null) {
      files.close();
      assertFalse(Files.exists(directory.resolve("files")), "nothing is left (V1)");
      assertEquals("", Tools.run(0, "sh", "-c", "grep " + directory + " /proc/mounts || true"));
      assertEquals("", Tools.run(0, "sh", "-c", "losetup -a | grep " + directory + " || true"));
    }
    if (system != null) {
      system.terminate();
      system.getWhenTerminated().toCompletableFuture().get(20, TimeUnit.SECONDS);
    }
  }

  /** A volume of the kind's name whose newest point is a disk of that kind. */
  private static String volume(String kind) throws IOException {
    needs(kind);
    Path image = directory.resolve(kind + ".img");
    if (!Files.exists(image)) {
      Tools.run(0, "bash", directory.resolve("make-image.sh").toString(), kind, "" + directory);
      points.add(kind, image);
    }
    return kind;
  }

  private static void needs(String kind) {
    switch (kind) {
      case "ext4", "ext2", "damaged" -> Tools.requires("mkfs.ext4", "debugfs");
      case "dirty-ext4" -> Tools.requires("mkfs.ext4", "debugfs", "losetup");
      case "xfs", "dirty-xfs" -> Tools.requires("mkfs.xfs", "xfs_db", "losetup");
      case "ntfs", "ntfs-small" -> Tools.requires("mkfs.ntfs", "ntfs-3g", "setfattr", "fls");
      case "fat12", "fat16", "fat32" -> Tools.requires("mkfs.vfat", "mcopy", "fls");
      case "exfat" -> Tools.requires("mkfs.exfat", "mount.exfat-fuse", "losetup", "fls");
      case "mbr", "gpt" -> Tools.requires("sfdisk", "mkfs.vfat", "mcopy", "mkfs.ext4", "fls");
      case "btrfs" -> Tools.requires("mkfs.btrfs");
      default -> {}
    }
    boolean mounts =
        List.of("xfs", "dirty-ext4", "dirty-xfs", "ntfs", "ntfs-small", "exfat").contains(kind);
    assumeTrue(!mounts || "root".equals(System.getProperty("user.name")), "needs root to mount");
  }

  private static FileQuestion question(String volume, String path) {
    return question(volume, OptionalInt.empty(), path);
  }

  private static FileQuestion question(String volume, OptionalInt partition, String path) {
    return new FileQuestion(
        new FileSource.Point(new VolumeName(volume), new At.Latest()),
        partition,
        new FilePath(raw(path)));
  }

  /** Text as bytes of UTF-8, one character each. */
  private static String raw(String text) {
    return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
  }

  private static <T> T await(CompletionStage<T> stage) throws Exception {
    try {
      return stage.toCompletableFuture().get(60, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Exception cause) {
        throw cause;
      }
      throw e;
    }
  }

  private static FileListing list(String volume, String path) throws Exception {
    return await(files.list(question(volume, path), Optional.empty(), 1_000));
  }

  private static TreeMap<String, FileEntry> names(String volume, String path) throws Exception {
    TreeMap<String, FileEntry> names = new TreeMap<>();
    list(volume, path).found().orElseThrow().entries().forEach(e -> names.put(e.name(), e));
    return names;
  }

  private static byte[] read(FileQuestion question, long from, long length) throws Exception {
    FileContent content = await(files.content(question));
    ByteString bytes =
        await(
            content
                .bytes(from, length)
                .runWith(Sink.fold(ByteString.emptyByteString(), ByteString::concat), system));
    return bytes.toArray();
  }

  private static byte[] read(String volume, String path) throws Exception {
    FileContent content = await(files.content(question(volume, path)));
    content.release();
    return read(question(volume, path), 0, content.entry().size());
  }

  private static String text(String volume, String path) throws Exception {
    return new String(read(volume, path), StandardCharsets.UTF_8);
  }

  private static void assertRefused(ErrorCode code, String words, CompletionStage<?> stage) {
    Refusal refusal = assertThrows(Refusal.class, () -> await(stage));
    assertEquals(code, refusal.code(), refusal.getMessage());
    assertTrue(refusal.getMessage().contains(words), refusal.getMessage());
  }

  /** Content, ranges of it, holes and metadata of what every kind can hold. */
  @ParameterizedTest
  @ValueSource(strings = {"ext4", "xfs", "ntfs", "exfat", "fat12", "fat16", "fat32"})
  void shouldReadWhatWasStored(String kind) throws Exception {
    String volume = volume(kind);
    Path tree = directory.resolve("tree");
    byte[] big = Files.readAllBytes(tree.resolve("big.bin"));
    assertArrayEquals(big, read(volume, "/big.bin"));
    assertArrayEquals(
        Arrays.copyOfRange(big, 9_999_999, 12_345_678),
        read(question(volume, "/big.bin"), 9_999_999, 12_345_678 - 9_999_999));
    assertEquals("leaf\n", text(volume, "/deep/a/b/c/d/e/f/leaf"));
    assertEquals("space\n", text(volume, "/with space"));
    assertEquals("utf8\n", text(volume, "/ünïcødé näme"));
    assertEquals("", text(volume, "/nothing"));
    TreeMap<String, FileEntry> names = names(volume, "/");
    assertTrue(names.containsKey(raw("ünïcødé näme")), names.keySet().toString());
    assertEquals(FileType.DIRECTORY, names.get("deep").type());
    FileEntry hello = names.get("hello.txt");
    assertEquals(FileType.FILE, hello.type());
    assertEquals(6, hello.size());
    long error = Math.abs(hello.modified().toEpochMilli() - HELLO_TIME.toEpochMilli());
    assertTrue(error <= 2_000, hello.modified().toString());
    if (!kind.equals("ext4") && !kind.equals("xfs")) {
      assertTrue(hello.mode().isEmpty() && hello.uid().isEmpty(), hello.toString());
      assertEquals("space\n", text(volume, "/WITH Space"));
    }
    assertRefused(ErrorCode.NOT_FOUND, "no 'none'", files.content(question(volume, "/deep/none")));
  }

  /** Past 4 GiB, in a hole and out of it. */
  @ParameterizedTest
  @ValueSource(strings = {"ext4", "xfs", "ntfs"})
  void shouldReadFarIntoSparseFiles(String kind) throws Exception {
    String volume = volume(kind);
    FileEntry sparse = names(volume, "/").get("sparse.bin");
    assertEquals(5L << 30, sparse.size());
    byte[] around = read(question(volume, "/sparse.bin"), SPARSE_AT - 5, 30);
    assertEquals(
        "\0\0\0\0\0in the middle\0\0\0\0\0\0\0\0\0\0\0\0",
        new String(around, StandardCharsets.ISO_8859_1));
  }

  /** Names of any bytes, links of every kind, and metadata to the nanosecond (F1, F2). */
  @ParameterizedTest
  @ValueSource(strings = {"ext4", "xfs"})
  void shouldKnowUnixFiles(String kind) throws Exception {
    String volume = volume(kind);
    TreeMap<String, FileEntry> names = names(volume, "/");
    FileEntry hello = names.get("hello.txt");
    // mkfs.ext4 -d stores whole seconds.
    assertEquals(
        kind.equals("ext4") ? HELLO_TIME.truncatedTo(ChronoUnit.SECONDS) : HELLO_TIME,
        hello.modified());
    assertEquals(04750, hello.mode().orElseThrow());
    assertEquals(1234L, names.get("nothing").uid().orElseThrow());
    assertEquals(5678L, names.get("nothing").gid().orElseThrow());
    assertEquals(FileType.FIFO, names.get("fifo").type());
    assertEquals("hello.txt", names.get("link").target().orElseThrow());
    assertEquals("odd\n\"\\\u00fftarget", names.get("oddlink").target().orElseThrow());
    assertEquals(903, names.get("longlink").target().orElseThrow().length());
    assertEquals("hello\n", text(volume, "/link"));
    assertEquals(hello.inode(), names(volume, "/deep").get("hard").inode());
    assertEquals("leaf\n", text(volume, "/absolute/b/c/d/e/f/leaf"));
    assertEquals("line\n", text(volume, "/new\nline"));
    assertEquals("forged\n", text(volume, "/x\ndebugfs: stat <2>\nInode: 2"));
    assertEquals("quote\n", text(volume, "/quote\"back\\slash's"));
    assertEquals("option\n", text(volume, "/-rf"));
    FileQuestion odd =
        new FileQuestion(
            new FileSource.Point(new VolumeName(volume), new At.Latest()),
            OptionalInt.empty(),
            new FilePath("/odd\u00ffbyte"));
    assertEquals("byte\n", new String(read(odd, 0, 5), StandardCharsets.UTF_8));
    assertRefused(ErrorCode.NOT_FOUND, "no 'etc'", files.content(question(volume, "/outside")));
    assertRefused(
        ErrorCode.NOT_FOUND, "no 'etc'", files.content(question(volume, "/../../etc/passwd")));
    assertRefused(ErrorCode.INVALID, "symbolic links", files.content(question(volume, "/circle")));
    assertRefused(ErrorCode.INVALID, "directory", files.content(question(volume, "/deep")));
    assertRefused(ErrorCode.INVALID, "fifo", files.content(question(volume, "/fifo")));
    assertRefused(
        ErrorCode.NOT_FOUND, "no directory", files.content(question(volume, "/hello.txt/x")));
  }

  /** A file without extents and a block size other than a page. */
  @Test
  void shouldReadExt2() throws Exception {
    String volume = volume("ext2");
    byte[] big = Files.readAllBytes(directory.resolve("tree/big.bin"));
    assertArrayEquals(big, read(volume, "/big.bin"));
    assertArrayEquals(
        Arrays.copyOfRange(big, 777_777, 999_999),
        read(question(volume, "/big.bin"), 777_777, 222_222));
    assertEquals(JournalState.NONE, list(volume, "/").found().orElseThrow().journal());
    assertEquals("hello\n", text(volume, "/link"));
  }

  /** What NTFS compresses reads as what was written; streams and its own files are not listed. */
  @Test
  void shouldReadCompressedNtfs() throws Exception {
    String volume = volume("ntfs");
    byte[] wanted = "hello world\n".repeat(250_000).getBytes(StandardCharsets.UTF_8);
    assertArrayEquals(wanted, read(volume, "/empty/compressed"));
    TreeMap<String, FileEntry> names = names(volume, "/");
    assertEquals(9, names.size(), names.keySet().toString());
    assertEquals(JournalState.IGNORED, list(volume, "/").found().orElseThrow().journal());
  }

  /** What the tool cannot read is refused, never served empty (V5). */
  @Test
  void shouldRefuseWhatTheToolCannotRead() throws Exception {
    String volume = volume("ntfs-small");
    assertRefused(ErrorCode.UNREADABLE, "fls", files.content(question(volume, "/sparse.bin")));
  }

  /** A large directory page by page: every name once, in order. */
  @ParameterizedTest
  @ValueSource(strings = {"ext4", "xfs", "ntfs", "exfat"})
  void shouldPageThroughALargeDirectory(String kind) throws Exception {
    String volume = volume(kind);
    List<String> all = new ArrayList<>();
    Optional<String> after = Optional.empty();
    boolean more = true;
    while (more) {
      FileListing.Found page =
          await(files.list(question(volume, "/many"), after, 999)).found().orElseThrow();
      page.entries().forEach(entry -> all.add(entry.name()));
      after = Optional.of(all.get(all.size() - 1));
      more = page.more();
    }
    assertEquals(2_500, all.size());
    assertEquals(all.stream().sorted().distinct().toList(), all);
    assertEquals("file-00001", all.get(0));
    assertEquals("file-02500", all.get(2_499));
  }

  /** What a journal holds is there, and the disk of the point stays as it was (F3, V1). */
  @ParameterizedTest
  @ValueSource(strings = {"dirty-ext4", "dirty-xfs"})
  void shouldReplayTheJournal(String kind) throws Exception {
    String volume = volume(kind);
    Path image = directory.resolve(kind + ".img");
    byte[] before = sha256(image);
    FileListing.Found root = list(volume, "/").found().orElseThrow();
    assertEquals(JournalState.REPLAYED, root.journal());
    assertEquals("late\n", text(volume, "/late"));
    TreeMap<String, FileEntry> names = names(volume, "/d");
    assertEquals(199, names.size());
    assertFalse(names.containsKey("f7"));
    assertEquals("data 200\n", text(volume, "/d/f200"));
    assertArrayEquals(before, sha256(image));
  }

  private static byte[] sha256(Path file) throws IOException {
    return Tools.run(0, "sha256sum", file.toString()).getBytes(StandardCharsets.UTF_8);
  }

  /** Without the kernel's help a dirty xfs is told to be one. */
  @Test
  void shouldTellADirtyJournal() throws Exception {
    String volume = volume("dirty-xfs");
    try (SiteFiles without =
        new SiteFiles(
            system,
            points,
            new HeldPoints(points),
            null,
            null,
            "here",
            directory.resolve("without"),
            MicroClock.system(),
            false)) {
      FileListing listing = await(without.list(question(volume, "/"), Optional.empty(), 10));
      assertEquals(JournalState.DIRTY, listing.found().orElseThrow().journal());
    }
  }

  @ParameterizedTest
  @CsvSource({"mbr, 1, 5, 1 5 6", "gpt, 1, 2, 1 2 3"})
  void shouldFindPartitions(String kind, int first, int second, String all) throws Exception {
    String volume = volume(kind);
    FileListing listing = list(volume, "/");
    assertTrue(listing.found().isEmpty());
    assertEquals(
        all,
        listing.partitions().stream()
            .map(Partition::number)
            .map(String::valueOf)
            .collect(Collectors.joining(" ")));
    assertEquals("vfat", listing.partitions().get(0).type());
    assertEquals("ext4", listing.partitions().get(1).type());
    assertFalse(listing.partitions().get(2).readable());
    assertEquals(
        "hello\n",
        new String(
            read(question(volume, OptionalInt.of(first), "/first.txt"), 0, 6),
            StandardCharsets.UTF_8));
    assertEquals(
        "second\n",
        new String(
            read(question(volume, OptionalInt.of(second), "/second.txt"), 0, 7),
            StandardCharsets.UTF_8));
    assertRefused(
        ErrorCode.INVALID, "several partitions", files.content(question(volume, "/first.txt")));
    assertRefused(
        ErrorCode.NOT_FOUND,
        "no partition 9",
        files.content(question(volume, OptionalInt.of(9), "/first.txt")));
    assertRefused(
        ErrorCode.UNREADABLE,
        "no known file system",
        files.content(
            question(volume, OptionalInt.of(listing.partitions().get(2).number()), "/x")));
  }

  /** What nothing here reads is refused by its name, with the way out. */
  @ParameterizedTest
  @CsvSource({"btrfs, btrfs", "swap, swap space", "damaged, damaged"})
  void shouldRefuseWhatIsUnreadable(String kind, String words) throws Exception {
    String volume = volume(kind);
    assertRefused(
        ErrorCode.UNREADABLE, words, files.list(question(volume, "/"), Optional.empty(), 10));
  }

  /** Damage of any kind is refused or read around; nothing else ever comes of it (F4). */
  @ParameterizedTest
  @ValueSource(strings = {"ext4", "xfs", "ntfs", "fat16"})
  void shouldBearDamage(String kind) throws Exception {
    volume(kind);
    long seed = Long.getLong("tidemark.seed", System.nanoTime());
    System.out.println("seed " + seed + " (-Dtidemark.seed)");
    Random random = new Random(seed);
    // No kernel mounts here what was damaged at random.
    try (SiteFiles careful =
        new SiteFiles(
            system,
            points,
            new HeldPoints(points),
            null,
            null,
            "here",
            place("careful"),
            MicroClock.system(),
            false)) {
      for (int round = 0; round < 3; round++) {
        String name = kind + "-bad-" + round;
        Path image = directory.resolve(name + ".img");
        Tools.run(0, "cp", "--sparse=always", directory + "/" + kind + ".img", image.toString());
        damage(image, random);
        points.add(name, image);
        for (String path : List.of("/", "/many", "/deep/a/b", "/hello.txt", "/big.bin")) {
          bear(careful.list(question(name, path), Optional.empty(), 5_000));
          bear(careful.content(question(name, path)).thenCompose(SiteFilesTest::begin));
        }
      }
    }
  }

  private static Path place(String name) {
    return directory.resolve(name);
  }

  /**
   * Some bytes of the first megabytes, where the metadata is, the superblock among them at times.
   */
  private static void damage(Path image, Random random) throws IOException {
    try (FileChannel file = FileChannel.open(image, StandardOpenOption.WRITE)) {
      for (int i = 0; i < 300; i++) {
        byte[] bytes = new byte[1 + random.nextInt(16)];
        random.nextBytes(bytes);
        file.write(ByteBuffer.wrap(bytes), 4_096 + random.nextInt(i < 200 ? 256 << 10 : 8 << 20));
      }
    }
  }

  private static CompletionStage<Long> begin(FileContent content) {
    return content
        .bytes(0, Math.min(Math.max(0, content.entry().size()), 30 << 20))
        .runWith(Sink.fold(0L, (read, piece) -> read + piece.size()), system);
  }

  private static void bear(CompletionStage<?> stage) throws Exception {
    try {
      await(stage);
    } catch (Refusal e) {
      Set<ErrorCode> expected =
          Set.of(ErrorCode.UNREADABLE, ErrorCode.NOT_FOUND, ErrorCode.INVALID, ErrorCode.LIMIT);
      assertTrue(expected.contains(e.code()), e.toString());
    } catch (IOException e) {
      assertTrue(e.getMessage().contains("early"), e.toString());
    }
  }

  /** Versions in order, each once: nothing, no file system, one, the same, two, two again, gone. */
  @Test
  void shouldTellVersions() throws Exception {
    needs("ext4");
    List<Path> disks = new ArrayList<>();
    for (int i = 1; i <= 7; i++) {
      Path disk = directory.resolve("versions-" + i + ".img");
      if (i == 1) {
        Files.write(disk, new byte[32 << 20]);
      } else {
        Files.copy(disks.get(i - 2), disk);
      }
      switch (i) {
        case 2 -> Tools.run(0, "mkfs.ext4", "-q", disk.toString());
        case 3 -> change(disk, "one");
        case 5, 6 -> change(disk, "two");
        case 7 -> change(disk, "");
        default -> {}
      }
      disks.add(disk);
      assertEquals(i, points.add("versions", disk));
    }
    FileHistory exact = versions(true);
    assertEquals(
        List.of("2-2 absent", "3-4 3", "5-6 3", "7-7 absent"),
        exact.versions().stream()
            .map(
                v ->
                    v.first().seq()
                        + "-"
                        + v.last().seq()
                        + " "
                        + v.entry().map(e -> "" + e.size()).orElse("absent"))
            .toList());
    assertEquals(7, exact.points());
    assertEquals(
        List.of("seq:1", "seq:8"),
        exact.skipped().stream().map(FileHistory.Skipped::at).sorted().toList());
    FileHistory quick = versions(false);
    assertTrue(quick.versions().size() >= 4 && quick.versions().size() <= 5, quick.toString());
    assertEquals(2, quick.versions().get(1).points());
  }

  private static FileHistory versions(boolean hash) throws Exception {
    List<At> ats = new ArrayList<>();
    for (int seq : new int[] {8, 7, 1, 2, 3, 4, 5, 6, 7}) {
      ats.add(At.parse("seq:" + seq));
    }
    return await(
        files.history(
            new VolumeName("versions"), OptionalInt.empty(), new FilePath("/f"), ats, hash));
  }

  private static void change(Path disk, String content) throws IOException {
    Path file = Files.writeString(directory.resolve("content"), content);
    Path script = directory.resolve("script");
    Files.writeString(script, "rm f\n" + (content.isEmpty() ? "" : "write " + file + " f\n"));
    Tools.run(0, "debugfs", "-w", "-f", script.toString(), disk.toString());
  }

  /**
   * Past each limit the code is LIMIT; what is read, left or never begun gives its slot back (V4).
   */
  @Test
  void shouldGiveSlotsBack() throws Exception {
    volume("ext4");
    for (int i = 1; i <= DiskViews.VIEWS_MAX + 1; i++) {
      points.add("slot-" + i, directory.resolve("ext4.img"));
    }
    try (SiteFiles limited = open(place("slots"))) {
      List<FileContent> contents = new ArrayList<>();
      for (int i = 0; i < SiteFiles.CONTENTS_MAX; i++) {
        contents.add(await(limited.content(slot(1 + i % DiskViews.VIEWS_MAX, "/big.bin"))));
      }
      FileQuestion another = slot(4, "/hello.txt");
      assertRefused(ErrorCode.LIMIT, "32 files", limited.content(another));
      CompletionStage<FileListing> listing =
          limited.list(slot(DiskViews.VIEWS_MAX + 1, "/"), Optional.empty(), 1);
      assertRefused(ErrorCode.LIMIT, "16 points", listing);

      await(begin(contents.get(0)));
      long size = contents.get(1).entry().size();
      ByteString first = await(contents.get(1).bytes(0, size).runWith(Sink.head(), system));
      assertTrue(first.size() < size, "it left in the middle");
      contents.get(2).release();
      for (int i = 0; i < 3; i++) {
        admitted(() -> limited.content(another));
      }
      assertRefused(ErrorCode.LIMIT, "32 files", limited.content(another));

      contents.get(DiskViews.VIEWS_MAX).release();
      FileListing seen =
          admitted(() -> limited.list(slot(DiskViews.VIEWS_MAX + 1, "/"), Optional.empty(), 1));
      assertTrue(seen.found().isPresent(), "the first point's view made room");
    }
  }

  private static FileQuestion slot(int number, String path) {
    return question("slot-" + number, path);
  }

  /** A slot comes back soon after, not at once. */
  private static <T> T admitted(Supplier<CompletionStage<T>> request) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (true) {
      try {
        return await(request.get());
      } catch (Refusal e) {
        if (e.code() != ErrorCode.LIMIT || System.nanoTime() > deadline) {
          throw e;
        }
        CompletableFuture.runAsync(
                () -> {}, CompletableFuture.delayedExecutor(20, TimeUnit.MILLISECONDS))
            .join();
      }
    }
  }

  /** A tool whose reader leaves in the middle ends, and its slot comes back, time and again. */
  @Test
  void shouldGiveSlotsOfToolsBack() throws Exception {
    FileQuestion compressed = question(volume("ntfs"), "/empty/compressed");
    for (int i = 0; i <= SiteFiles.CONTENTS_MAX; i++) {
      FileContent content = admitted(() -> files.content(compressed));
      long size = content.entry().size();
      assertTrue(await(content.bytes(0, size).runWith(Sink.head(), system)).size() < size);
    }
  }

  /** Two histories are under way, a third is refused; ended or failed, they make room. */
  @Test
  void shouldLimitHistories() throws Exception {
    volume("ext4");
    CompletableFuture<Void> gate = new CompletableFuture<>();
    VolumePoints late =
        new VolumePoints() {
          @Override
          public CompletionStage<Located> locate(VolumeName volume, At at) {
            return gate.thenCompose(open -> points.locate(volume, at));
          }

          @Override
          public CompletionStage<PointReader> open(Located located) {
            return points.open(located);
          }
        };
    try (SiteFiles waiting =
        new SiteFiles(
            system,
            late,
            new HeldPoints(late),
            null,
            null,
            "here",
            place("waiting"),
            MicroClock.system(),
            true)) {
      List<CompletionStage<FileHistory>> under = new ArrayList<>();
      for (int i = 0; i < SiteFiles.HISTORIES_MAX; i++) {
        under.add(history(waiting, i == 0 ? "ext4" : "none"));
      }
      assertRefused(ErrorCode.LIMIT, "2 histories", history(waiting, "ext4"));
      gate.complete(null);
      assertEquals(1, await(under.get(0)).versions().size());
      await(under.get(1).handle((done, failure) -> true));
      for (int i = 0; i <= SiteFiles.HISTORIES_MAX; i++) {
        assertEquals(1, admitted(() -> history(waiting, "ext4")).versions().size());
      }
      List<At> many = Collections.nCopies(VolumeFiles.HISTORY_POINTS_MAX + 1, new At.Latest());
      assertRefused(
          ErrorCode.LIMIT,
          "points, not",
          waiting.history(
              new VolumeName("ext4"), OptionalInt.empty(), new FilePath("/f"), many, false));
    }
  }

  private static CompletionStage<FileHistory> history(SiteFiles of, String volume) {
    return of.history(
        new VolumeName(volume),
        OptionalInt.empty(),
        new FilePath("/hello.txt"),
        List.of(new At.Latest()),
        false);
  }

  /** Nobody outside sees a mount; what an earlier process left is deleted (B1, V1). */
  @Test
  void shouldLeaveNothing() throws Exception {
    String volume = volume("ext4");
    Path place = directory.resolve("left");
    Files.createDirectories(place.resolve("overlays/view-1"));
    Files.writeString(place.resolve("overlays/view-1/overlay.data"), "left");
    SiteFiles other = open(place);
    FileContent unread;
    List<ProcessHandle> inside;
    try {
      assertFalse(Files.exists(place.resolve("overlays/view-1")));
      await(other.list(question(volume, "/"), Optional.empty(), 1));
      assertEquals("", Tools.run(0, "sh", "-c", "grep " + place + " /proc/mounts || true"));
      inside =
          ProcessHandle.current()
              .descendants()
              .filter(p -> p.info().commandLine().orElse("").contains(place.toString()))
              .toList();
      assertFalse(inside.isEmpty());
      unread = await(other.content(question(volume, "/big.bin")));
    } finally {
      other.close();
    }
    for (ProcessHandle process : inside) {
      process.onExit().get(10, TimeUnit.SECONDS);
    }
    unread.release();
    assertFalse(Files.exists(place));
  }
}
