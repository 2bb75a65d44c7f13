package io.tidemark.filesystem;

import io.tidemark.sandbox.Tools;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** xfs through xfs_db. */
final class XfsReader implements FileSystemReader {
  private static final String TOOL = "xfs_db";
  private static final String FIELDS =
      "print core.mode core.uid core.gid core.size core.mtime.sec core.mtime.nsec core.realtime\n";
  private static final String MARK = "current inode number is ";
  private static final String TARGET = "u3.symlink";
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("EEE MMM d HH:mm:ss yyyy", Locale.ENGLISH);
  private static final Pattern EXTENT =
      Pattern.compile(
          "data offset (\\d+) startblock \\d+ \\((\\d+)/(\\d+)\\) count (\\d+) flag (\\d)");

  /** Control characters are shown as a letter: the letter's place from {@code a} on, from 7 on. */
  private static final String LETTERS = "abcdefg";

  private static final int LETTERS_FROM = 7;
  private static final Map<Character, Integer> C_ESCAPES =
      Map.of('n', 10, 't', 9, 'v', 11, 'r', 13);
  private static final String LINK_BLOCK_MAGIC = "XSLM";
  private static final int LINK_BLOCK_HEADER_BYTES = 56;
  private static final int TARGET_MAX = 1_024;
  private static final int BLOCK_BYTES_MIN = 512;
  private static final int BLOCK_BYTES_MAX = 65_536;

  /** Of as many files as are described at once, the longest targets of links included. */
  private static final int DESCRIPTION_BYTES_MAX = 8 << 20;

  private final Tools tools;
  private final Disk disk;
  private final long rootInode;
  private final long blockBytes;
  private final long groupBlocks;

  /** Reads the superblock. */
  XfsReader(Tools tools, Disk disk) throws IOException {
    this.tools = tools;
    this.disk = disk;
    Map<String, String> superblock =
        fields(ask("sb 0\nprint rootino blocksize agblocks\n", DESCRIPTION_BYTES_MAX).split("\n"));
    this.rootInode = number(superblock, "rootino");
    this.blockBytes = number(superblock, "blocksize");
    this.groupBlocks = number(superblock, "agblocks");
    if (blockBytes < BLOCK_BYTES_MIN || blockBytes > BLOCK_BYTES_MAX || groupBlocks <= 0) {
      throw Unreadable.garbled(TOOL);
    }
  }

  private String ask(String requests, int answerBytesMax) throws IOException {
    Tools.Answer answer = tools.run(List.of(TOOL, "-r", Tools.DISK), requests, answerBytesMax);
    if (answer.exitCode() < 0) {
      throw new AnswerTooLong();
    }
    if (answer.errors().contains("is not a valid XFS") || answer.output().isEmpty()) {
      throw Unreadable.said(TOOL, answer);
    }
    return answer.output();
  }

  private static Map<String, String> fields(String[] lines) {
    Map<String, String> fields = new HashMap<>();
    for (String line : lines) {
      int equals = line.indexOf(" = ");
      if (equals > 0) {
        fields.putIfAbsent(line.substring(0, equals), line.substring(equals + 3));
      }
    }
    return fields;
  }

  private static long number(Map<String, String> fields, String name) {
    try {
      return Long.parseLong(text(fields, name));
    } catch (NumberFormatException e) {
      throw Unreadable.garbled(TOOL);
    }
  }

  private static String text(Map<String, String> fields, String name) {
    String value = fields.get(name);
    if (value == null) {
      throw Unreadable.garbled(TOOL);
    }
    return value;
  }

  @Override
  public DirectoryChild root() {
    return new DirectoryChild("", Long.toString(rootInode), Optional.empty());
  }

  @Override
  public boolean ignoresCase() {
    return false;
  }

  @Override
  public List<DirectoryChild> children(FileEntry directory, int answerBytesMax) throws IOException {
    String answer = ask("inode " + directory.inode() + "\nls\ninode\n", answerBytesMax);
    Cursor cursor = new Cursor(answer, TOOL);
    List<DirectoryChild> children = new ArrayList<>();
    while (!cursor.skip(MARK)) {
      cursor.word(); // cookie
      long inode = cursor.number();
      cursor.word(); // type
      cursor.word(); // hash
      long length = cursor.number();
      cursor.require(" ");
      String name = cursor.take((int) Math.min(length, Integer.MAX_VALUE));
      cursor.until('\n');
      if (!name.equals(".") && !name.equals("..")) {
        children.add(new DirectoryChild(name, Long.toString(inode), Optional.empty()));
      }
      if (children.size() > CHILDREN_MAX) {
        throw Unreadable.tooLarge("the directory's number of entries", CHILDREN_MAX);
      }
    }
    return children;
  }

  @Override
  public List<FileEntry> describe(List<DirectoryChild> children) throws IOException {
    if (children.isEmpty()) {
      return List.of();
    }
    StringBuilder requests = new StringBuilder();
    for (DirectoryChild child : children) {
      requests.append("inode ").append(Long.parseLong(child.id())).append('\n');
      requests.append(FIELDS).append("print " + TARGET + "\ninode\n");
    }
    // A link's target is shown escaped, so that each answer ends at its line with the mark (F2).
    String[] answers = ask(requests.toString(), DESCRIPTION_BYTES_MAX).split("(?m)^" + MARK);
    if (answers.length < children.size()) {
      throw Unreadable.because("xfs_db could not read an inode");
    }
    List<FileEntry> entries = new ArrayList<>();
    for (int i = 0; i < children.size(); i++) {
      entries.add(describe(children.get(i), fields(answers[i].split("\n"))));
    }
    return entries;
  }

  private FileEntry describe(DirectoryChild child, Map<String, String> fields) throws IOException {
    int mode;
    try {
      mode = Integer.parseInt(text(fields, "core.mode"), 8);
    } catch (NumberFormatException e) {
      throw Unreadable.garbled(TOOL);
    }
    FileType type = FileType.ofMode(mode);
    long size = number(fields, "core.size");
    long inode = Long.parseLong(child.id());
    Optional<String> target = Optional.empty();
    if (type == FileType.SYMLINK) {
      String local = fields.get(TARGET);
      target = Optional.of(local == null ? remoteTarget(inode, size) : unescaped(local));
    }
    return new FileEntry(
        child.name(),
        child.id(),
        inode,
        type,
        size,
        time(fields),
        OptionalInt.of(mode & 07777),
        Optional.of(number(fields, "core.uid")),
        Optional.of(number(fields, "core.gid")),
        target);
  }

  private static Instant time(Map<String, String> fields) {
    String words = text(fields, "core.mtime.sec").replaceAll(" +", " ");
    try {
      return LocalDateTime.parse(words, TIME)
          .toInstant(ZoneOffset.UTC)
          .plusNanos(number(fields, "core.mtime.nsec"));
    } catch (DateTimeException e) {
      throw Unreadable.garbled(TOOL);
    }
  }

  /** The text between the quotes as xfs_db escapes it. */
  static String unescaped(String quoted) {
    String text = quoted.substring(1, Math.max(1, quoted.lastIndexOf('"')));
    StringBuilder plain = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c != '\\' || i + 1 == text.length()) {
        plain.append(c);
        continue;
      }
      char next = text.charAt(++i);
      if (next >= '0' && next <= '3' && i + 2 < text.length()) {
        plain.append((char) Integer.parseInt(text.substring(i, i + 3), 8));
        i += 2;
      } else if (LETTERS.indexOf(next) >= 0) {
        plain.append((char) (LETTERS.indexOf(next) + LETTERS_FROM));
      } else if (C_ESCAPES.containsKey(next)) {
        plain.append((char) C_ESCAPES.get(next).intValue());
      } else {
        plain.append(next);
      }
    }
    return plain.toString();
  }

  /** A long target lies in blocks of its own; those of version 5 begin with a header. */
  private String remoteTarget(long inode, long size) throws IOException {
    if (size > TARGET_MAX) {
      throw Unreadable.garbled(TOOL);
    }
    ByteArrayOutputStream target = new ByteArrayOutputStream();
    for (FileExtent extent : map(inode, DESCRIPTION_BYTES_MAX).orElse(List.of())) {
      for (long at = 0; at < extent.length() && target.size() < size; at += blockBytes) {
        byte[] block = disk.read(extent.diskOffset() + at, (int) blockBytes);
        boolean headed =
            new String(block, 0, 4, StandardCharsets.ISO_8859_1).equals(LINK_BLOCK_MAGIC);
        int from = headed ? LINK_BLOCK_HEADER_BYTES : 0;
        target.write(block, from, (int) Math.min(block.length - from, size - target.size()));
      }
    }
    return target.toString(StandardCharsets.ISO_8859_1);
  }

  @Override
  public Optional<List<FileExtent>> extents(FileEntry file, int answerBytesMax) throws IOException {
    Optional<List<FileExtent>> extents = map(file.inode(), answerBytesMax);
    if (extents.isEmpty()) {
      throw Unreadable.tooLarge("the file's number of extents", EXTENTS_MAX);
    }
    return extents;
  }

  private Optional<List<FileExtent>> map(long inode, int answerBytesMax) throws IOException {
    String answer = ask("inode " + inode + "\nprint core.realtime\nbmap\ninode\n", answerBytesMax);
    List<FileExtent> extents = new ArrayList<>();
    for (String line : answer.split("\n")) {
      if (line.equals("core.realtime = 1")) {
        throw Unreadable.because("the file lies on the file system's realtime device");
      }
      Matcher row = EXTENT.matcher(line);
      if (!row.matches() || !row.group(5).equals("0")) {
        continue; // no extent, or allocated and never written
      }
      long block =
          Math.addExact(
              Math.multiplyExact(Long.parseLong(row.group(2)), groupBlocks),
              Long.parseLong(row.group(3)));
      extents.add(
          new FileExtent(
              Math.multiplyExact(Long.parseLong(row.group(1)), blockBytes),
              Math.multiplyExact(block, blockBytes),
              Math.multiplyExact(Long.parseLong(row.group(4)), blockBytes)));
      if (extents.size() > EXTENTS_MAX) {
        return Optional.empty();
      }
    }
    return Optional.of(extents);
  }

  @Override
  public Tools.Output content(FileEntry file) {
    throw new IllegalStateException("an xfs file is read by its extents");
  }
}
