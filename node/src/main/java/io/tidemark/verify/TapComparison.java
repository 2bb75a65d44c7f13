package io.tidemark.verify;

import io.tidemark.capture.ContentHashes;
import io.tidemark.image.VolumePoints;
import io.tidemark.image.VolumePoints.Located;
import io.tidemark.job.JobControl;
import io.tidemark.point.PointReader;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.Site;
import io.tidemark.site.VolumeSummary;
import io.tidemark.taplink.LiveLink;
import io.tidemark.taplink.LiveLinks;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

/**
 * Asks the tap, over its link to this node, for hashes of its backing store, and compares them with
 * the journal's content at the very seq at which they hold. A range that was being written is asked
 * for again; one that differs is asked for again in smaller blocks before it is told of.
 */
public final class TapComparison implements BackingStoreCheck {
  /** Bytes that are asked for at once. */
  static final int RANGE_BYTES = 4 << 20;

  static final int BLOCK_BYTES = 64 << 10;

  /** Blocks in which a difference is told. */
  static final int FINE_BLOCK_BYTES = LiveLink.CONTENT_BLOCK_BYTES_MIN;

  /** Differences that are told; a comparison that finds more ends there. */
  static final int DIFFERENCES_MAX = 100;

  /** How often a range that is being written is asked for, so far apart. */
  private static final int TRIES_MAX = 40;

  private static final Duration TRY_AGAIN_AFTER = Duration.ofMillis(50);

  private final Site site;
  private final VolumePoints points;
  private final LiveLinks links;

  public TapComparison(Site site, VolumePoints points, LiveLinks links) {
    this.site = site;
    this.points = points;
    this.links = links;
  }

  @Override
  public Outcome compare(Located head, JobControl control) {
    Optional<LiveLink> link =
        links.of(head.name()).filter(live -> live.volume().equals(head.volume()));
    if (link.isPresent()) {
      return new Run(head, link.get(), control).all();
    }
    return new Outcome(false, whyNoLink(join(site.volume(head.name()))), List.of());
  }

  private static String whyNoLink(VolumeSummary volume) {
    if (!volume.tapConnected()) {
      return "not compared: no tap is attached";
    }
    return volume
        .tapNode()
        .map(
            node ->
                "not compared here: the tap is connected to the node "
                    + node
                    + "; have that one verify the volume")
        .orElse("not compared: the tap is just connecting");
  }

  /** What ends a comparison early, in words. */
  private static final class NotCompared extends Exception {
    private static final long serialVersionUID = 1;

    NotCompared(String words) {
      super(words);
    }
  }

  private final class Run {
    private final Located head;
    private final LiveLink link;
    private final JobControl control;
    private final List<ByteRange> different = new ArrayList<>();
    private final MessageDigest sha256 = sha256();
    private PointReader journal;
    private long firstSeq = -1;
    private long compared;

    Run(Located head, LiveLink link, JobControl control) {
      this.head = head;
      this.link = link;
      this.control = control;
    }

    Outcome all() {
      try {
        while (compared < head.sizeBytes()) {
          ByteRange range =
              new ByteRange(compared, Math.min(RANGE_BYTES, head.sizeBytes() - compared));
          for (ByteRange block : differing(range, BLOCK_BYTES)) {
            differing(block, FINE_BLOCK_BYTES).forEach(this::tell);
          }
          if (different.size() >= DIFFERENCES_MAX) {
            return new Outcome(false, "compared until too much differed" + upTo(), different);
          }
          compared = range.end();
          control.advance(range.length());
        }
      } catch (NotCompared e) {
        return new Outcome(false, "not compared: " + e.getMessage() + upTo(), different);
      }
      String result = different.isEmpty() ? "compared, equal" : "compared, different";
      return new Outcome(true, result + seqs(), different);
    }

    private String upTo() {
      return compared == 0
          ? ""
          : "; the first %d of %d bytes were compared%s"
              .formatted(compared, head.sizeBytes(), seqs());
    }

    private String seqs() {
      long newest = journal.point().seq().value();
      return newest == firstSeq
          ? " at seq:" + newest
          : " at seq:%d to seq:%d, each part at a moment without writes"
              .formatted(firstSeq, newest);
    }

    /** Blocks next to each other are told as one. */
    private void tell(ByteRange block) {
      int last = different.size() - 1;
      if (last >= 0 && different.get(last).end() == block.offset()) {
        ByteRange before = different.get(last);
        different.set(last, new ByteRange(before.offset(), before.length() + block.length()));
      } else if (different.size() < DIFFERENCES_MAX) {
        different.add(block);
      }
    }

    /** The blocks of the range in which the tap and the journal differ. */
    private List<ByteRange> differing(ByteRange range, int blockBytes) throws NotCompared {
      ContentHashes there = ask(range, blockBytes);
      ByteBuffer here = read(there.seq(), range);
      byte[] expected = new byte[ContentHashes.HASH_BYTES];
      ByteBuffer hashes = there.hashes().duplicate();
      List<ByteRange> blocks = new ArrayList<>();
      for (long at = range.offset(); at < range.end(); at += blockBytes) {
        int length = (int) Math.min(blockBytes, range.end() - at);
        sha256.update(here.slice((int) (at - range.offset()), length));
        hashes.get(expected);
        if (!MessageDigest.isEqual(sha256.digest(), expected)) {
          blocks.add(new ByteRange(at, length));
        }
      }
      return blocks;
    }

    private ContentHashes ask(ByteRange range, int blockBytes) throws NotCompared {
      for (int attempt = 0; attempt < TRIES_MAX; attempt++) {
        if (control.cancelled()) {
          throw new CancellationException();
        }
        ContentHashes answer;
        try {
          answer = join(link.contentHashes(range, blockBytes));
        } catch (Refusal e) {
          throw new NotCompared(e.getMessage());
        }
        if (answer.state() == ContentHashes.State.IDLE) {
          return answer;
        }
        if (answer.state() == ContentHashes.State.UNREADABLE) {
          throw new NotCompared(
              "the tap cannot read its backing store in the %d bytes at offset %d, see its log"
                  .formatted(range.length(), range.offset()));
        }
        pause();
      }
      throw new NotCompared("the volume is being written");
    }

    private void pause() {
      CompletableFuture.runAsync(
              () -> {},
              CompletableFuture.delayedExecutor(TRY_AGAIN_AFTER.toMillis(), TimeUnit.MILLISECONDS))
          .join();
    }

    /** The journal's content just after the write of that seq, which is journaled. */
    private ByteBuffer read(WriteSeq seq, ByteRange range) throws NotCompared {
      if (journal == null || !journal.point().seq().equals(seq)) {
        journal = open(seq);
        if (firstSeq < 0) {
          firstSeq = seq.value();
        }
      }
      return join(journal.read(range.offset(), (int) range.length()));
    }

    private PointReader open(WriteSeq seq) throws NotCompared {
      try {
        Located located = join(points.locate(head.name(), new At.Seq(seq)));
        if (!located.volume().equals(head.volume())) {
          throw new NotCompared("the volume was deleted and created again");
        }
        return join(points.open(located));
      } catch (Refusal e) {
        if (e.code() == ErrorCode.CORRUPT) {
          throw e;
        }
        throw new NotCompared("seq:" + seq + " cannot be opened: " + e.getMessage());
      }
    }
  }

  private static <T> T join(CompletionStage<T> stage) {
    try {
      return stage.toCompletableFuture().join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof Refusal refusal ? refusal : e;
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
