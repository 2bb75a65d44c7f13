package io.tidemark.replication;

import akka.actor.typed.ActorSystem;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import io.tidemark.index.MappedExtent;
import io.tidemark.journal.BlockHashes;
import io.tidemark.point.PointReader;
import io.tidemark.position.ByteRange;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;

/**
 * Finds where source and target hold different content: hashes of large blocks first, of smaller
 * ones inside those that differ, down to the smallest. What was never written equals zeroes.
 */
final class Comparison {
  /** The tree's levels. */
  private static final int[] BLOCK_BYTES = {64 << 20, 4 << 20, 256 << 10, 16 << 10, 4 << 10};

  /** Questions open at once. */
  private static final int AT_ONCE = 8;

  /** Blocks in one question. */
  private static final int BLOCKS_MAX = 1_024;

  /**
   * What is known to be equal between two ranges is asked for again where that is less than another
   * question: so many blocks, and so many bytes to hash.
   */
  private static final int GAP_BLOCKS_MAX = 16;

  private static final int GAP_BYTES_MAX = 256 << 10;

  /** Larger blocks of zeroes that were written are told apart further down. */
  private static final int ZEROES_MAX = 256 << 10;

  /** Asks the target for its hashes. */
  @FunctionalInterface
  interface Target {
    CompletionStage<ByteBuffer> hashes(ByteRange range, int blockBytes);
  }

  private final ActorSystem<?> system;
  private final PointReader source;
  private final Target target;
  private final Executor workers;

  Comparison(ActorSystem<?> system, PointReader source, Target target, Executor workers) {
    this.system = system;
    this.source = source;
    this.target = target;
    this.workers = workers;
  }

  /** What differs, in offset order, neighbours joined. */
  CompletionStage<List<ByteRange>> run() {
    return differing(List.of(new ByteRange(0, source.sizeBytes())), 0);
  }

  /** What the source holds, for a target that holds nothing. */
  CompletionStage<List<ByteRange>> written() {
    return Source.from(regions())
        .mapAsync(1, source::extents)
        .map(extents -> extents.stream().map(Comparison::range).toList())
        .runWith(Sink.seq(), system)
        .thenApply(Comparison::joined);
  }

  private static ByteRange range(MappedExtent extent) {
    return new ByteRange(extent.offset(), extent.end() - extent.offset());
  }

  private List<ByteRange> regions() {
    List<ByteRange> regions = new ArrayList<>();
    for (long offset = 0; offset < source.sizeBytes(); offset += BLOCK_BYTES[0]) {
      regions.add(new ByteRange(offset, Math.min(BLOCK_BYTES[0], source.sizeBytes() - offset)));
    }
    return regions;
  }

  /** A level as a whole before the next, so that as many questions as may be are open. */
  private CompletionStage<List<ByteRange>> differing(List<ByteRange> within, int level) {
    int block = BLOCK_BYTES[level];
    return Source.from(questions(within, block))
        .mapAsync(AT_ONCE, range -> differing(range, block))
        .runWith(Sink.seq(), system)
        .thenApply(Comparison::joined)
        .thenCompose(
            found ->
                found.isEmpty() || level == BLOCK_BYTES.length - 1
                    ? CompletableFuture.completedStage(found)
                    : differing(found, level + 1));
  }

  private CompletionStage<List<ByteRange>> differing(ByteRange range, int block) {
    return BlockHashes.of(source, range, block, workers)
        .thenCombine(
            target.hashes(range, block), (here, there) -> differing(range, block, here, there));
  }

  /** Scattered ranges in few questions, each of a bounded number of blocks and bytes. */
  private static List<ByteRange> questions(List<ByteRange> within, int block) {
    long gapMax = Math.min((long) GAP_BLOCKS_MAX * block, GAP_BYTES_MAX);
    long most = Math.min((long) BLOCKS_MAX * block, BLOCK_BYTES[0]);
    List<ByteRange> questions = new ArrayList<>();
    for (int i = 0; i < within.size(); ) {
      long begin = within.get(i).offset();
      long end = within.get(i).end();
      for (i++; i < within.size() && within.get(i).offset() - end <= gapMax; i++) {
        end = within.get(i).end();
      }
      for (long offset = begin; offset < end; offset += most) {
        questions.add(new ByteRange(offset, Math.min(most, end - offset)));
      }
    }
    return questions;
  }

  private static List<ByteRange> differing(
      ByteRange range, int block, ByteBuffer here, ByteBuffer there) {
    List<ByteRange> found = new ArrayList<>();
    byte[] one = new byte[BlockHashes.HASH_BYTES];
    byte[] other = new byte[BlockHashes.HASH_BYTES];
    ByteBuffer ours = here.duplicate();
    ByteBuffer theirs = there.duplicate();
    for (long offset = range.offset(); offset < range.end(); offset += block) {
      int length = (int) Math.min(block, range.end() - offset);
      ours.get(one);
      theirs.get(other);
      if (!Arrays.equals(one, other) && !(empty(one, length) && empty(other, length))) {
        found.add(new ByteRange(offset, length));
      }
    }
    return joined(List.of(found));
  }

  /** Never written, or written with zeroes. */
  private static boolean empty(byte[] hash, int length) {
    return Arrays.equals(hash, new byte[BlockHashes.HASH_BYTES])
        || length <= ZEROES_MAX && Arrays.equals(hash, zeroes(length));
  }

  private static byte[] zeroes(int length) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(new byte[length]);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  static List<ByteRange> joined(List<List<ByteRange>> parts) {
    List<ByteRange> all = new ArrayList<>();
    for (List<ByteRange> part : parts) {
      for (ByteRange range : part) {
        ByteRange last = all.isEmpty() ? null : all.get(all.size() - 1);
        if (last != null && last.end() == range.offset()) {
          all.set(all.size() - 1, new ByteRange(last.offset(), last.length() + range.length()));
        } else {
          all.add(range);
        }
      }
    }
    return all;
  }
}
