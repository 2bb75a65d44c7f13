package io.tidemark.filesystem;

import io.tidemark.sandbox.Tools;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** ext2, ext3 and ext4 through debugfs. */
final class ExtReader implements FileSystemReader {
  private static final String TOOL = "debugfs";
  private static final String PROMPT = "debugfs: ";
  private static final String ROOT_INODE = "2";
  private static final int LINE_MAX = 4_096;
  private static final int TARGET_MAX = 4_096;
  private static final long FLAG_EXTENTS = 0x80000;
  private static final long FLAG_ENCRYPTED = 0x800;
  private static final Pattern HEAD =
      Pattern.compile(
          "Inode: (\\d+) +Type: (.{1,20}?) +Mode: +0?([0-7]{1,5}) +Flags: 0x([0-9a-f]+)");
  private static final Pattern OWNER =
      Pattern.compile("User: +(\\d+) +Group: +(\\d+)(?: +Project: +\\d+)? +Size: (\\d+)");
  private static final Pattern MTIME =
      Pattern.compile(" mtime: 0x([0-9a-f]{1,8})(?::([0-9a-f]{1,8}))? -- .*");
  private static final Pattern EXTENT =
      Pattern.compile(
          " *(\\d+)/ *(\\d+) +\\d+/ *\\d+ +(\\d+) - +(\\d+) +(\\d+) - +(\\d+) +(\\d+)(?: +(\\w+))? *");

  private final Tools tools;
  private final long blockBytes;

  ExtReader(Tools tools, long blockBytes) {
    this.tools = tools;
    this.blockBytes = blockBytes;
  }

  @Override
  public DirectoryChild root() {
    return new DirectoryChild("", ROOT_INODE, Optional.empty());
  }

  @Override
  public boolean ignoresCase() {
    return false;
  }

  @Override
  public List<DirectoryChild> children(FileEntry directory, int answerBytesMax) throws IOException {
    Tools.Answer answer = ask("ls -p <" + directory.inode() + ">", answerBytesMax);
    Cursor cursor = new Cursor(answer.output(), TOOL);
    List<DirectoryChild> children = new ArrayList<>();
    while (cursor.skip("/")) {
      String inode = cursor.until('/');
      cursor.until('/'); // mode
      cursor.until('/'); // user
      cursor.until('/'); // group
      String name = cursor.until('/');
      cursor.until('/'); // size
      cursor.require("\n");
      if (cursor.number(inode) != 0 && !name.equals(".") && !name.equals("..")) {
        children.add(new DirectoryChild(name, inode, Optional.empty()));
      }
      if (children.size() > CHILDREN_MAX) {
        throw Unreadable.tooLarge("the directory's number of entries", CHILDREN_MAX);
      }
    }
    return children;
  }

  private Tools.Answer ask(String request, int answerBytesMax) throws IOException {
    Tools.Answer answer =
        tools.run(List.of(TOOL, "-c", "-R", request, Tools.DISK), "", answerBytesMax);
    if (answer.exitCode() < 0) {
      throw new AnswerTooLong();
    }
    if (answer.exitCode() != 0 || answer.errors().contains("while trying to open")) {
      throw Unreadable.said(TOOL, answer);
    }
    return answer;
  }

  @Override
  public List<FileEntry> describe(List<DirectoryChild> children) throws IOException {
    StringBuilder requests = new StringBuilder();
    for (DirectoryChild child : children) {
      requests.append("stat <").append(Long.parseLong(child.id())).append(">\n");
    }
    List<FileEntry> entries = new ArrayList<>();
    try (Tools.Output output =
        tools.answer(List.of(TOOL, "-c", "-f", "-", Tools.DISK), requests.toString())) {
      Lines lines = new Lines(output.stream());
      for (DirectoryChild child : children) {
        entries.add(describe(child, lines));
      }
    }
    return withLongTargets(entries);
  }

  /** Reads one answer; lines of its list of blocks, however long, are passed over. */
  private static FileEntry describe(DirectoryChild child, Lines lines) throws IOException {
    String request = PROMPT + "stat <" + child.id() + ">";
    String line = lines.next();
    while (!line.equals(request)) {
      line = lines.next();
    }
    Matcher head = match(HEAD, lines.next());
    lines.next(); // generation
    Matcher owner = match(OWNER, lines.next());
    int mode = Integer.parseInt(head.group(3), 8);
    FileType type = type(head.group(2));
    long size = Long.parseLong(owner.group(3));
    Instant modified = Instant.EPOCH;
    for (line = lines.next(); !line.startsWith("Size of extra") && lines.more(); ) {
      Matcher time = MTIME.matcher(line);
      if (time.matches()) {
        modified = time(time);
        break;
      }
      line = lines.next();
    }
    return new FileEntry(
        child.name(),
        child.id(),
        Long.parseLong(child.id()),
        type,
        size,
        modified,
        OptionalInt.of(mode & 07777),
        Optional.of(Long.parseLong(owner.group(1))),
        Optional.of(Long.parseLong(owner.group(2))),
        type == FileType.SYMLINK ? lines.fastTarget(size, PROMPT) : Optional.empty());
  }

  private static Matcher match(Pattern pattern, String line) {
    Matcher matcher = pattern.matcher(line.stripTrailing());
    if (!matcher.matches()) {
      throw Unreadable.garbled(TOOL);
    }
    return matcher;
  }

  private static FileType type(String word) {
    return switch (word) {
      case "regular" -> FileType.FILE;
      case "directory" -> FileType.DIRECTORY;
      case "symlink" -> FileType.SYMLINK;
      case "FIFO" -> FileType.FIFO;
      case "socket" -> FileType.SOCKET;
      case "character special" -> FileType.CHARACTER_DEVICE;
      case "block special" -> FileType.BLOCK_DEVICE;
      default -> FileType.OTHER;
    };
  }

  /** The seconds are 32 bits with a sign; the other word has two more bits and nanoseconds. */
  private static Instant time(Matcher time) {
    long seconds = (int) Long.parseLong(time.group(1), 16);
    if (time.group(2) == null) {
      return Instant.ofEpochSecond(seconds);
    }
    long extra = Long.parseLong(time.group(2), 16);
    return Instant.ofEpochSecond(seconds + ((extra & 3) << 32), extra >>> 2);
  }

  private List<FileEntry> withLongTargets(List<FileEntry> entries) throws IOException {
    List<FileEntry> whole = new ArrayList<>();
    for (FileEntry entry : entries) {
      whole.add(
          entry.type() == FileType.SYMLINK && entry.target().isEmpty() ? withTarget(entry) : entry);
    }
    return whole;
  }

  private FileEntry withTarget(FileEntry link) throws IOException {
    List<String> command = List.of(TOOL, "-c", "-R", "cat <" + link.inode() + ">", Tools.DISK);
    try (Tools.Output output = tools.answer(command, "")) {
      String target =
          new String(output.stream().readNBytes(TARGET_MAX), StandardCharsets.ISO_8859_1);
      return new FileEntry(
          link.name(),
          link.id(),
          link.inode(),
          link.type(),
          link.size(),
          link.modified(),
          link.mode(),
          link.uid(),
          link.gid(),
          Optional.of(target));
    }
  }

  @Override
  public Optional<List<FileExtent>> extents(FileEntry file, int answerBytesMax) throws IOException {
    long flags = flags(file);
    if ((flags & FLAG_ENCRYPTED) != 0) {
      throw Unreadable.because("the file is encrypted by its file system");
    }
    if ((flags & FLAG_EXTENTS) == 0) {
      return Optional.empty();
    }
    List<FileExtent> extents = new ArrayList<>();
    for (String line : ask("ex <" + file.inode() + ">", answerBytesMax).output().split("\n")) {
      Matcher row = EXTENT.matcher(line);
      if (!row.matches() || !row.group(1).equals(row.group(2)) || row.group(8) != null) {
        continue; // a heading, an inner node of the tree, or allocated and never written
      }
      long first = Long.parseLong(row.group(3));
      extents.add(
          new FileExtent(
              Math.multiplyExact(first, blockBytes),
              Math.multiplyExact(Long.parseLong(row.group(5)), blockBytes),
              Math.multiplyExact(Long.parseLong(row.group(4)) - first + 1, blockBytes)));
      if (extents.size() > EXTENTS_MAX) {
        return Optional.empty();
      }
    }
    return Optional.of(extents);
  }

  private long flags(FileEntry file) throws IOException {
    try (Tools.Output output =
        tools.answer(List.of(TOOL, "-c", "-R", "stat <" + file.inode() + ">", Tools.DISK), "")) {
      return Long.parseLong(match(HEAD, new Lines(output.stream()).next()).group(4), 16);
    }
  }

  @Override
  public Tools.Output content(FileEntry file) throws IOException {
    return tools.start(List.of(TOOL, "-c", "-R", "cat <" + file.inode() + ">", Tools.DISK), "");
  }

  /** Lines of bounded length; what is longer is cut. */
  private static final class Lines {
    private static final String TARGET = "Fast link dest: \"";
    private final InputStream stream;
    private boolean ended;

    Lines(InputStream stream) {
      this.stream = new BufferedInputStream(stream, 1 << 16);
    }

    boolean more() {
      return !ended;
    }

    String next() throws IOException {
      if (ended) {
        throw Unreadable.because("debugfs could not read the file system");
      }
      StringBuilder line = new StringBuilder();
      int c = stream.read();
      while (c >= 0 && c != '\n') {
        if (line.length() < LINE_MAX) {
          line.append((char) c);
        }
        c = stream.read();
      }
      ended = c < 0;
      return line.toString();
    }

    /** The target kept in the inode itself, by its length (F2); empty when it is in a block. */
    Optional<String> fastTarget(long size, String nextPrompt) throws IOException {
      while (!ended) {
        stream.mark(TARGET.length());
        String begin = new String(stream.readNBytes(TARGET.length()), StandardCharsets.ISO_8859_1);
        if (begin.equals(TARGET) && size <= TARGET_MAX) {
          String target = new String(stream.readNBytes((int) size), StandardCharsets.ISO_8859_1);
          return Optional.of(target);
        }
        stream.reset();
        if (begin.startsWith(nextPrompt)) {
          return Optional.empty();
        }
        next();
      }
      return Optional.empty();
    }
  }
}
