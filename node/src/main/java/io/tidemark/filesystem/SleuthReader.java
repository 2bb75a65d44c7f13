package io.tidemark.filesystem;

import io.tidemark.sandbox.Tools;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * NTFS, FAT and exFAT through the Sleuth Kit. Their permissions and owners are not those of Unix
 * and are left out; alternate data streams and the file system's own files are not listed.
 */
final class SleuthReader implements FileSystemReader {
  private static final String TOOL = "fls";

  /** NTFS keeps its own files in the first records of its table. */
  private static final long NTFS_OWN_INODES = 24;

  /** An NTFS attribute of names, which fls lists beside the file. */
  private static final String NAME_ATTRIBUTE = "-48-";

  /**
   * {@code hash|name|inode|mode|uid|gid|size|atime|mtime|ctime|crtime}: a name may hold the
   * separator, the fields after it may not.
   */
  private static final Pattern LINE =
      Pattern.compile(
          "0\\|(.*)\\|(\\d+(?:-\\d+-\\d+)?)\\|(.)/(.)[^|]*\\|\\d+\\|\\d+\\|(\\d+)"
              + "\\|-?\\d+\\|(-?\\d+)\\|-?\\d+\\|-?\\d+",
          Pattern.DOTALL);

  private final Tools tools;
  private final String type;

  /**
   * @param type as the Sleuth Kit names it: ntfs, fat or exfat
   */
  SleuthReader(Tools tools, String type) {
    this.tools = tools;
    this.type = type;
  }

  @Override
  public DirectoryChild root() {
    return new DirectoryChild(
        "",
        "",
        Optional.of(
            new FileEntry(
                "",
                "",
                0,
                FileType.DIRECTORY,
                0,
                Instant.EPOCH,
                OptionalInt.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty())));
  }

  @Override
  public boolean ignoresCase() {
    return true;
  }

  @Override
  public List<DirectoryChild> children(FileEntry directory, int answerBytesMax) throws IOException {
    List<String> command = new ArrayList<>(List.of(TOOL, "-f", type, "-u", "-m", "", Tools.DISK));
    boolean root = directory.id().isEmpty();
    if (!root) {
      command.add(directory.id());
    }
    Tools.Answer answer = tools.run(command, "", answerBytesMax);
    if (answer.exitCode() < 0) {
      throw new AnswerTooLong();
    }
    if (answer.exitCode() != 0) {
      throw Unreadable.said(TOOL, answer);
    }
    List<FileEntry> all = new ArrayList<>();
    for (String line : answer.output().split("\n")) {
      Matcher row = LINE.matcher(line);
      if (row.matches()) {
        entry(row, root).ifPresent(all::add);
      } else if (!line.isEmpty()) {
        throw Unreadable.garbled(TOOL);
      }
      if (all.size() > CHILDREN_MAX) {
        throw Unreadable.tooLarge("the directory's number of entries", CHILDREN_MAX);
      }
    }
    return withoutStreams(all).stream()
        .map(entry -> new DirectoryChild(entry.name(), entry.id(), Optional.of(entry)))
        .toList();
  }

  private Optional<FileEntry> entry(Matcher row, boolean root) {
    String name = row.group(1).startsWith("/") ? row.group(1).substring(1) : row.group(1);
    String id = row.group(2);
    char kind = row.group(4).charAt(0);
    long inode = Long.parseLong(id.split("-")[0]);
    boolean own =
        id.contains(NAME_ATTRIBUTE)
            || (type.equals("ntfs") && root && inode < NTFS_OWN_INODES)
            || "vV".indexOf(row.group(3)) >= 0
            || name.equals(".")
            || name.equals("..");
    if (own) {
      return Optional.empty();
    }
    return Optional.of(
        new FileEntry(
            name,
            id,
            inode,
            switch (kind) {
              case 'r' -> FileType.FILE;
              case 'd' -> FileType.DIRECTORY;
              case 'l' -> FileType.SYMLINK;
              default -> FileType.OTHER;
            },
            Long.parseLong(row.group(5)),
            Instant.ofEpochSecond(Long.parseLong(row.group(6))),
            OptionalInt.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty()));
  }

  /** A stream is listed as FILE:STREAM with the inode of FILE. */
  private List<FileEntry> withoutStreams(List<FileEntry> all) {
    if (!type.equals("ntfs")) {
      return all;
    }
    Set<String> files = new HashSet<>();
    all.forEach(entry -> files.add(entry.inode() + "/" + entry.name()));
    return all.stream()
        .filter(
            entry -> {
              int colon = entry.name().indexOf(':');
              return colon < 0
                  || !files.contains(entry.inode() + "/" + entry.name().substring(0, colon));
            })
        .toList();
  }

  @Override
  public List<FileEntry> describe(List<DirectoryChild> children) {
    return children.stream().map(child -> child.described().orElseThrow()).toList();
  }

  @Override
  public Optional<List<FileExtent>> extents(FileEntry file, int answerBytesMax) {
    requireContent(file);
    return Optional.empty();
  }

  /** A file of NTFS without an attribute of data is one that the tool gave up on. */
  private void requireContent(FileEntry file) {
    if (type.equals("ntfs") && !file.id().contains("-")) {
      throw Unreadable.because(
          "fls found no content of the file: it may be damaged, or a sparse file larger than its"
              + " file system");
    }
  }

  @Override
  public Tools.Output content(FileEntry file) throws IOException {
    return tools.start(List.of("icat", "-f", type, Tools.DISK, file.id()), "");
  }
}
