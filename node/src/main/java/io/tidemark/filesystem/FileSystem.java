package io.tidemark.filesystem;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.sandbox.Tools;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** One file system: finds paths, lists directories, tells where content is. All calls block. */
public final class FileSystem {
  /** As many links as Linux follows. */
  public static final int LINKS_MAX = 40;

  /** Names of directories that are kept, so that the next page need not read them again. */
  static final int CACHED_CHILDREN_MAX = 20_000;

  /**
   * Answers of tools up to the first length are read by anyone at any time, longer ones by one
   * request at a time: their sum must fit into the node's memory, whatever disks claim to hold
   * (F4).
   */
  private static final int ANSWER_BYTES_MAX = 4 << 20;

  private static final int LARGE_ANSWER_BYTES_MAX = 32 << 20;
  private static final Semaphore LARGE_ANSWERS = new Semaphore(1, true);

  /** How long a request waits for its turn, walks along one path, fills one page. */
  private static final Duration TURN_LIMIT = Duration.ofSeconds(60);

  private static final Duration WALK_LIMIT = Duration.ofSeconds(60);
  private static final Duration PAGE_LIMIT = Duration.ofSeconds(15);

  /** How many names are described at once, and what all of a page's names and targets may take. */
  private static final int DESCRIBED_AT_ONCE = 1_000;

  private static final long PAGE_BYTES_MAX = 4 << 20;

  private static final int WAITING_NAMES_MAX = 4_096;
  private static final Set<String> EXT = Set.of("ext2", "ext3", "ext4", "ext4dev");
  private static final Map<String, String> SLEUTH =
      Map.of("ntfs", "ntfs", "vfat", "fat", "exfat", "exfat");
  private static final Map<String, String> OTHERS =
      Map.of(
          "LVM2_member", "a physical volume of LVM",
          "crypto_LUKS", "encrypted by LUKS",
          "BitLocker", "encrypted by BitLocker",
          "linux_raid_member", "a part of a Linux RAID",
          "zfs_member", "a part of a ZFS pool",
          "swap", "swap space");

  /**
   * Some names of a directory, in the order of their bytes.
   *
   * @param more whether there are names after the last
   */
  public record Page(List<FileEntry> entries, boolean more) {}

  private final Partition partition;
  private final FileSystemReader reader;
  private final JournalState journal;
  private final FileEntry root;
  private final LinkedHashMap<String, NavigableMap<String, DirectoryChild>> directories =
      new LinkedHashMap<>(16, 0.75f, true);

  @FunctionalInterface
  private interface Reading<T> {
    T read() throws IOException;
  }

  /** What reads an answer of at most that many bytes. */
  @FunctionalInterface
  private interface Sized<T> {
    T read(int answerBytesMax) throws IOException;
  }

  private FileSystem(Partition partition, FileSystemReader reader, JournalState journal)
      throws IOException {
    this.partition = partition;
    this.reader = reader;
    this.journal = journal;
    this.root = reader.describe(List.of(reader.root())).get(0);
  }

  static boolean reads(String type) {
    return EXT.contains(type) || type.equals("xfs") || SLEUTH.containsKey(type);
  }

  /**
   * Opens the file system; first its journal is replayed, where that can be done.
   *
   * @param disk what the tools see, of the partition alone
   * @param replayXfs whether the kernel may mount an xfs, unseen, to replay its log
   * @throws Refusal {@code UNREADABLE} when nothing here reads it
   */
  public static FileSystem open(Tools tools, Partition partition, Disk disk, boolean replayXfs)
      throws IOException {
    requireReadable(partition);
    return understood(() -> opened(tools, partition, disk, replayXfs));
  }

  private static FileSystem opened(Tools tools, Partition partition, Disk disk, boolean replayXfs)
      throws IOException {
    String type = partition.type();
    if (EXT.contains(type)) {
      Journals.Ext ext = Journals.ext(tools);
      return new FileSystem(partition, new ExtReader(tools, ext.blockBytes()), ext.state());
    }
    if (type.equals("xfs")) {
      JournalState state = Journals.xfs(tools, replayXfs);
      return new FileSystem(partition, new XfsReader(tools, disk), state);
    }
    return new FileSystem(
        partition,
        new SleuthReader(tools, SLEUTH.get(type)),
        type.equals("ntfs") ? JournalState.IGNORED : JournalState.NONE);
  }

  /**
   * @throws Refusal {@code UNREADABLE} when nothing here reads what the partition holds
   */
  public static void requireReadable(Partition partition) {
    String type = partition.type();
    if (partition.readable()) {
      return;
    }
    throw Unreadable.because(
        (partition.number() == 0 ? "the disk" : "partition " + partition.number())
            + (type.isEmpty()
                ? " holds no known file system"
                : " holds " + OTHERS.getOrDefault(type, "the file system " + type))
            + ": files are read of ext2, ext3, ext4, xfs, ntfs, fat and exfat");
  }

  /** A number that no number is, a time past all times: the disk is damaged or hostile. */
  private static <T> T understood(Reading<T> reading) throws IOException {
    try {
      return reading.read();
    } catch (NumberFormatException | ArithmeticException | DateTimeException e) {
      throw new Refusal(
          ErrorCode.UNREADABLE,
          "the file system is damaged: it holds a number or time that cannot be; the whole disk can"
              + " be read as an image over NBD",
          e);
    }
  }

  private static <T> T sized(Sized<T> reading) throws IOException {
    try {
      return understood(() -> reading.read(ANSWER_BYTES_MAX));
    } catch (AnswerTooLong e) {
      return large(reading);
    }
  }

  private static <T> T large(Sized<T> reading) throws IOException {
    try {
      if (!LARGE_ANSWERS.tryAcquire(TURN_LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new Refusal(
            ErrorCode.LIMIT,
            "other large directories or scattered files are being read; try again later");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while waiting for a turn", e);
    }
    try {
      return understood(() -> reading.read(LARGE_ANSWER_BYTES_MAX));
    } catch (AnswerTooLong e) {
      throw Unreadable.tooLarge(
          "what there is to be told of this file or directory, in bytes,", LARGE_ANSWER_BYTES_MAX);
    } finally {
      LARGE_ANSWERS.release();
    }
  }

  public Partition partition() {
    return partition;
  }

  public JournalState journal() {
    return journal;
  }

  /**
   * Finds what a path leads to; symbolic links are followed inside the file system, so that no path
   * leads out of it.
   *
   * @throws Refusal {@code NOT_FOUND}; {@code INVALID} for links in a circle; {@code LIMIT} for a
   *     way that takes too long
   */
  public FileEntry find(FilePath path) throws IOException {
    return understood(() -> walk(path));
  }

  private FileEntry walk(FilePath path) throws IOException {
    long began = System.nanoTime();
    Deque<String> names = new ArrayDeque<>(path.components());
    Deque<FileEntry> way = new ArrayDeque<>(List.of(root));
    int links = 0;
    while (!names.isEmpty()) {
      String name = names.pop();
      if (name.equals("..") && way.size() > 1) {
        way.pop();
      }
      if (name.equals("..") || name.equals(".")) {
        continue;
      }
      if (System.nanoTime() - began > WALK_LIMIT.toNanos()) {
        throw new Refusal(
            ErrorCode.LIMIT,
            "following '"
                + printable(path)
                + "' takes longer than "
                + WALK_LIMIT.toSeconds()
                + " s");
      }
      FileEntry entry = child(way.peek(), name, path);
      if (entry.type() != FileType.SYMLINK) {
        way.push(entry);
        continue;
      }
      links++;
      String target = entry.target().orElse("");
      List<String> further = new ArrayList<>(FilePath.components(target));
      if (links > LINKS_MAX || names.size() + further.size() > WAITING_NAMES_MAX) {
        throw new Refusal(
            ErrorCode.INVALID,
            "'" + printable(path) + "' leads through more than " + LINKS_MAX + " symbolic links");
      }
      if (target.startsWith("/")) {
        way.clear();
        way.push(root);
      }
      for (int i = further.size() - 1; i >= 0; i--) {
        names.push(further.get(i));
      }
    }
    return way.peek();
  }

  private FileEntry child(FileEntry directory, String name, FilePath path) throws IOException {
    if (directory.type() != FileType.DIRECTORY) {
      throw notThere(path, "'" + printable(directory.name()) + "' is no directory");
    }
    Optional<DirectoryChild> child = fromChildren(directory, children -> among(children, name));
    if (child.isEmpty()) {
      throw notThere(path, "there is no '" + printable(name) + "'");
    }
    return reader.describe(List.of(child.get())).get(0);
  }

  private Optional<DirectoryChild> among(
      NavigableMap<String, DirectoryChild> children, String name) {
    DirectoryChild child = children.get(name);
    return Optional.ofNullable(
        child == null && reader.ignoresCase() ? sameButForCase(children, name) : child);
  }

  private static DirectoryChild sameButForCase(
      NavigableMap<String, DirectoryChild> children, String name) {
    String wanted = FilePath.shown(name);
    for (Map.Entry<String, DirectoryChild> child : children.entrySet()) {
      if (FilePath.shown(child.getKey()).equalsIgnoreCase(wanted)) {
        return child.getValue();
      }
    }
    return null;
  }

  private static Refusal notThere(FilePath path, String why) {
    return new Refusal(
        ErrorCode.NOT_FOUND, "there is no '" + printable(path) + "' at that point: " + why);
  }

  private static String printable(FilePath path) {
    return printable(path.raw());
  }

  private static String printable(String raw) {
    return Refusal.printable(FilePath.shown(raw));
  }

  /** What is used of a directory's names; the names of a large one are not kept beyond that. */
  private <T> T fromChildren(
      FileEntry directory, Function<NavigableMap<String, DirectoryChild>, T> use)
      throws IOException {
    NavigableMap<String, DirectoryChild> known;
    synchronized (directories) {
      known = directories.get(directory.id());
    }
    if (known != null) {
      return use.apply(known);
    }
    return sized(
        answerBytesMax -> {
          NavigableMap<String, DirectoryChild> children = new TreeMap<>();
          for (DirectoryChild child : reader.children(directory, answerBytesMax)) {
            put(children, child);
          }
          if (children.size() <= CACHED_CHILDREN_MAX) {
            keep(directory.id(), children);
          }
          return use.apply(children);
        });
  }

  /** Where two names look the same, or a disk has one twice, the second is told apart by its id. */
  private static void put(NavigableMap<String, DirectoryChild> children, DirectoryChild child) {
    if (children.putIfAbsent(child.name(), child) == null) {
      return;
    }
    String name = child.name() + "~" + child.id();
    children.put(
        name,
        new DirectoryChild(name, child.id(), child.described().map(entry -> entry.named(name))));
  }

  private void keep(String id, NavigableMap<String, DirectoryChild> children) {
    synchronized (directories) {
      directories.put(id, children);
      long kept = directories.values().stream().mapToLong(c -> c.size() + 1L).sum();
      var oldest = directories.entrySet().iterator();
      while (kept > CACHED_CHILDREN_MAX && directories.size() > 1) {
        kept -= oldest.next().getValue().size() + 1L;
        oldest.remove();
      }
    }
  }

  /**
   * Lists a directory.
   *
   * @param after the last name of the page before, raw
   * @param limit the most names; there are fewer on a page that takes too long or too much memory
   */
  public Page list(FileEntry directory, Optional<String> after, int limit) throws IOException {
    long began = System.nanoTime();
    List<DirectoryChild> wanted =
        fromChildren(
            directory,
            children ->
                (after.isPresent() ? children.tailMap(after.get(), false) : children)
                    .values().stream().limit(limit + 1L).toList());
    List<FileEntry> entries = new ArrayList<>();
    int most = Math.min(limit, wanted.size());
    long bytes = 0;
    while (entries.size() < most
        && bytes < PAGE_BYTES_MAX
        && System.nanoTime() - began < PAGE_LIMIT.toNanos()) {
      int from = entries.size();
      List<DirectoryChild> some = wanted.subList(from, Math.min(from + DESCRIBED_AT_ONCE, most));
      entries.addAll(understood(() -> reader.describe(some)));
      for (FileEntry entry : entries.subList(from, entries.size())) {
        bytes += entry.name().length() + entry.target().map(String::length).orElse(0);
      }
    }
    return new Page(entries, entries.size() < wanted.size());
  }

  /** As {@link FileSystemReader#extents}. */
  public Optional<List<FileExtent>> extents(FileEntry file) throws IOException {
    return sized(answerBytesMax -> reader.extents(file, answerBytesMax));
  }

  /** The content from the first byte on, through the file system's tool. */
  public Tools.Output content(FileEntry file) throws IOException {
    return reader.content(file);
  }
}
