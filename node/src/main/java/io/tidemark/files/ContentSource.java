package io.tidemark.files;

import akka.NotUsed;
import akka.stream.javadsl.Source;
import akka.stream.javadsl.StreamConverters;
import akka.util.ByteString;
import io.tidemark.filesystem.FileEntry;
import io.tidemark.filesystem.FileExtent;
import io.tidemark.filesystem.FileSystem;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.sandbox.Tools;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A file's content as a stream: by extents from the image, or from a tool. */
final class ContentSource implements FileContent {
  /** How long a reader may take nothing, before its first byte too (V3). */
  static final Duration STALL_LIMIT = Duration.ofSeconds(60);

  static final int PIECE_BYTES = 512 * 1024;
  private static final int PIECES_AHEAD = 4;
  private static final ByteString ZEROES = ByteString.fromArrayUnsafe(new byte[PIECE_BYTES]);
  private static final Logger LOG = LoggerFactory.getLogger(ContentSource.class);

  private final DiskView view;
  private final FileSystem fileSystem;
  private final FileEntry entry;
  private final Optional<List<FileExtent>> extents;
  private final Runnable whenDone;
  private final AtomicBoolean begun = new AtomicBoolean();

  /**
   * @param extents empty when only the file system's tool can tell the content
   * @param whenDone gives back the view
   */
  ContentSource(
      DiskView view,
      FileSystem fileSystem,
      FileEntry entry,
      Optional<List<FileExtent>> extents,
      Runnable whenDone) {
    this.view = view;
    this.fileSystem = fileSystem;
    this.entry = entry;
    this.extents =
        extents.map(
            all -> all.stream().sorted(Comparator.comparingLong(FileExtent::fileOffset)).toList());
    this.whenDone = whenDone;
    // A connection may end before its answer is ever read.
    CompletableFuture.delayedExecutor(STALL_LIMIT.toMillis(), TimeUnit.MILLISECONDS)
        .execute(
            () -> {
              if (begun.compareAndSet(false, true)) {
                whenDone.run();
              }
            });
  }

  @Override
  public FileEntry entry() {
    return entry;
  }

  @Override
  public RecoveryPoint at() {
    return view.point();
  }

  /** Where the content is, when that is known. */
  Optional<List<FileExtent>> extents() {
    return extents;
  }

  @Override
  public void release() {
    whenDone.run();
  }

  @Override
  public Source<ByteString, NotUsed> bytes(long from, long length) {
    Source<ByteString, NotUsed> bytes =
        extents.isPresent()
            ? Source.fromIterator(() -> new Pieces(extents.get(), from, from + length))
                .mapAsync(PIECES_AHEAD, this::read)
            : StreamConverters.fromInputStream(() -> new ToolStream(from, length), PIECE_BYTES)
                .mapMaterializedValue(read -> NotUsed.getInstance());
    return Source.lazySource(() -> begun.compareAndSet(false, true) ? bytes : tooLate())
        .mapMaterializedValue(source -> NotUsed.getInstance())
        .backpressureTimeout(STALL_LIMIT)
        .watchTermination(
            (nothing, done) -> {
              done.whenComplete(
                  (end, failure) -> {
                    if (failure != null) {
                      LOG.info("a content was not read to its end: {}", failure.toString());
                    }
                    whenDone.run();
                  });
              return nothing;
            });
  }

  private static Source<ByteString, NotUsed> tooLate() {
    return Source.failed(
        new IOException("nothing was read of it for " + STALL_LIMIT.toSeconds() + " s"));
  }

  private CompletionStage<ByteString> read(Piece piece) {
    if (piece.diskOffset() < 0) {
      return CompletableFuture.completedStage(ZEROES.take(piece.length()));
    }
    return view.read(fileSystem.partition(), piece.diskOffset(), piece.length())
        .thenApply(ByteString::fromByteBuffer);
  }

  /**
   * Bytes to be read at once.
   *
   * @param diskOffset in the partition; negative for zeroes
   */
  private record Piece(long diskOffset, int length) {}

  /** Cuts a range of the file into pieces. */
  private static final class Pieces implements Iterator<Piece> {
    private final List<FileExtent> extents;
    private final long end;
    private long at;
    private int next;

    Pieces(List<FileExtent> extents, long from, long end) {
      this.extents = extents;
      this.at = from;
      this.end = end;
    }

    @Override
    public boolean hasNext() {
      return at < end;
    }

    @Override
    public Piece next() {
      while (next < extents.size() && extents.get(next).fileEnd() <= at) {
        next++;
      }
      FileExtent extent = next < extents.size() ? extents.get(next) : null;
      boolean inside = extent != null && extent.fileOffset() <= at;
      long until = extent == null ? end : inside ? extent.fileEnd() : extent.fileOffset();
      int length = (int) Math.min(Math.min(until, end) - at, PIECE_BYTES);
      Piece piece =
          new Piece(inside ? extent.diskOffset() + (at - extent.fileOffset()) : -1, length);
      at += length;
      return piece;
    }
  }

  /** A range of a tool's output; what comes before it is read and dropped. */
  private final class ToolStream extends InputStream {
    private final Tools.Output output;
    private final InputStream stream;
    private long left;

    ToolStream(long from, long length) throws IOException {
      output = fileSystem.content(entry);
      stream = output.stream();
      left = length;
      try {
        drop(from);
      } catch (IOException | RuntimeException e) {
        output.close();
        throw e;
      }
    }

    /** As long as the reader waits for, which hears nothing meanwhile. */
    private void drop(long bytes) throws IOException {
      byte[] dropped = new byte[PIECE_BYTES];
      long began = System.nanoTime();
      for (long at = 0; at < bytes; ) {
        int read = stream.read(dropped, 0, (int) Math.min(dropped.length, bytes - at));
        if (read < 0) {
          throw new IOException(
              "the file system's tool ended before byte " + bytes + ": " + output.end().errors());
        }
        at += read;
        if (System.nanoTime() - began > STALL_LIMIT.toNanos()) {
          throw new IOException(
              "it takes longer than " + STALL_LIMIT.toSeconds() + " s to get to byte " + bytes);
        }
      }
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      int read = stream.read(into, offset, (int) Math.min(length, left));
      if (read < 0) {
        throw new IOException(
            "the file system's tool ended " + left + " bytes early: " + output.end().errors());
      }
      left -= read;
      return read;
    }

    @Override
    public void close() {
      output.close();
    }
  }
}
