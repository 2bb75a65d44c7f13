package io.tidemark.filesystem;

import io.tidemark.sandbox.Tools;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** One file system through its tool. All calls block; they fail with {@code UNREADABLE}. */
interface FileSystemReader {
  /** The most names that are read of one directory. */
  int CHILDREN_MAX = 500_000;

  /** The most extents of one file; of a file with more the content is read through its tool. */
  int EXTENTS_MAX = 200_000;

  DirectoryChild root();

  /** Whether names that differ in case only are the same. */
  boolean ignoresCase();

  /**
   * All names but {@code .} and {@code ..}, in no order.
   *
   * @throws AnswerTooLong when telling them takes the tool more bytes than that
   */
  List<DirectoryChild> children(FileEntry directory, int answerBytesMax) throws IOException;

  /** What each stands for, in the same order. */
  List<FileEntry> describe(List<DirectoryChild> children) throws IOException;

  /**
   * Where a file's content is; empty when only the tool can tell its bytes.
   *
   * @throws AnswerTooLong as {@link #children}
   */
  Optional<List<FileExtent>> extents(FileEntry file, int answerBytesMax) throws IOException;

  /** A file's content from its first byte on. */
  Tools.Output content(FileEntry file) throws IOException;
}
