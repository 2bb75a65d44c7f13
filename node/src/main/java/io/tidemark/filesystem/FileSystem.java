package io.tidemark.filesystem;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.sandbox.Tools;
import java.io.IOException;
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

/** One file system: finds paths, lists directories, tells where content is. All calls block. */
public final class FileSystem {
  /** As many links as Linux follows. */
  public static final int LINKS_MAX = 40;

  /** Names of directories that are kept, so that the next page need not read them again. */
  static final int CACHED_CHILDREN_MAX = 100_000;

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
    String type = partition.type();
    if (EXT.contains(type)) {
      Journals.Ext ext = Journals.ext(tools);
      return new FileSystem(partition, new ExtReader(tools, ext.blockBytes()), ext.state());
    }
    if (type.equals("xfs")) {
      JournalState state = Journals.xfs(tools, replayXfs);
      return new FileSystem(partition, new XfsReader(tools, disk), state);
    }
    if (SLEUTH.containsKey(type)) {
      return new FileSystem(
          partition,
          new SleuthReader(tools, SLEUTH.get(type)),
          type.equals("ntfs") ? JournalState.IGNORED : JournalState.NONE);
    }
    throw Unreadable.because(
        (partition.number() == 0 ? "the disk" : "partition " + partition.number())
            + (type.isEmpty()
                ? " holds no known file system"
                : " holds " + OTHERS.getOrDefault(type, "the file system " + type))
            + ": files are read of ext2, ext3, ext4, xfs, ntfs, fat and exfat");
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
   * @throws Refusal {@code NOT_FOUND}; {@code INVALID} for links in a circle
   */
  public FileEntry find(FilePath path) throws IOException {
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
    NavigableMap<String, DirectoryChild> children = children(directory);
    DirectoryChild child = children.get(name);
    if (child == null && reader.ignoresCase()) {
      child = sameButForCase(children, name);
    }
    if (child == null) {
      throw notThere(path, "there is no '" + printable(name) + "'");
    }
    return reader.describe(List.of(child)).get(0);
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

  private NavigableMap<String, DirectoryChild> children(FileEntry directory) throws IOException {
    synchronized (directories) {
      NavigableMap<String, DirectoryChild> known = directories.get(directory.id());
      if (known != null) {
        return known;
      }
    }
    NavigableMap<String, DirectoryChild> children = new TreeMap<>();
    for (DirectoryChild child : reader.children(directory)) {
      children.put(child.name(), child);
    }
    if (children.size() <= CACHED_CHILDREN_MAX) {
      keep(directory.id(), children);
    }
    return children;
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
   * @param limit the most names
   */
  public Page list(FileEntry directory, Optional<String> after, int limit) throws IOException {
    NavigableMap<String, DirectoryChild> children = children(directory);
    NavigableMap<String, DirectoryChild> rest =
        after.isPresent() ? children.tailMap(after.get(), false) : children;
    List<DirectoryChild> page = rest.values().stream().limit(limit).toList();
    return new Page(reader.describe(page), rest.size() > page.size());
  }

  /** As {@link FileSystemReader#extents}. */
  public Optional<List<FileExtent>> extents(FileEntry file) throws IOException {
    return reader.extents(file);
  }

  /** The content from the first byte on, through the file system's tool. */
  public Tools.Output content(FileEntry file) throws IOException {
    return reader.content(file);
  }
}
