package io.tidemark.files;

import akka.NotUsed;
import akka.stream.javadsl.Source;
import akka.util.ByteString;
import io.tidemark.filesystem.FileEntry;
import io.tidemark.point.RecoveryPoint;

/** A file whose content can be read once: call either of the methods, once. */
public interface FileContent {
  FileEntry entry();

  RecoveryPoint at();

  /**
   * Bytes of the file; running it ends the use of this content however the stream ends. It fails
   * rather than be shorter than asked for (V5).
   *
   * @param from first byte, at most the file's size
   * @param length bytes, not past the file's end
   */
  Source<ByteString, NotUsed> bytes(long from, long length);

  /** Ends the use of this content without reading it. */
  void release();
}
