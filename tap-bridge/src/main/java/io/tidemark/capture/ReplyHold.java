package io.tidemark.capture;

import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One hold of a volume: withholds the replies to all writes that got a seq after its mark (H1).
 * Thread-safe; once ended it lets everything pass.
 */
public final class ReplyHold {
  private static final Logger log = LoggerFactory.getLogger(ReplyHold.class);

  /**
   * How a hold ended.
   *
   * @param heldNanos how long it lasted
   * @param replies that it withheld
   */
  public record Ended(long heldNanos, List<Runnable> replies) {
    /** Gives the replies; once. */
    public void giveReplies() {
      for (Runnable reply : replies) {
        try {
          reply.run();
        } catch (RuntimeException e) {
          log.error("a reply after a hold failed", e); // the others' clients wait, too
        }
      }
    }
  }

  private final WriteSeq mark;
  private final MicroTime time;
  private final long beganNanos;
  private final long limitNanos;
  private List<Runnable> withheld = new ArrayList<>();

  ReplyHold(WriteSeq mark, MicroTime time, long limitNanos) {
    this.mark = mark;
    this.time = time;
    this.beganNanos = System.nanoTime();
    this.limitNanos = limitNanos;
  }

  /** Newest seq given when it began. */
  public WriteSeq mark() {
    return mark;
  }

  /** When it began, by the clock of the writes' timestamps. */
  public MicroTime time() {
    return time;
  }

  /** Runs the reply when the hold is over, or now when it is. */
  void pass(Runnable reply) {
    synchronized (this) {
      if (withheld != null) {
        withheld.add(reply);
        return;
      }
    }
    reply.run();
  }

  /** Whether it has lasted as long as it may. */
  boolean overdue() {
    return System.nanoTime() - beganNanos >= limitNanos;
  }

  synchronized boolean active() {
    return withheld != null;
  }

  /** Ends it; the caller gives the replies. Empty when it was over. */
  public synchronized Optional<Ended> end() {
    if (withheld == null) {
      return Optional.empty();
    }
    List<Runnable> replies = withheld;
    withheld = null;
    return Optional.of(new Ended(System.nanoTime() - beganNanos, replies));
  }
}
