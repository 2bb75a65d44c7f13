package io.tidemark.volume;

import io.tidemark.index.NodeHeader;
import io.tidemark.index.SegmentEntry;
import io.tidemark.point.DarkInterval;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.volume.Ledger.Mark;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * What a volume is to its counterparts at other sites.
 *
 * @param link of a replica: who alone may write it, in the place of a tap; the zero id otherwise
 * @param origin of a replica: where it is written from, in words; of a fenced volume: why
 * @param branch the line of history that the volume goes on with
 * @param branches lines that it left, oldest first, at most {@link #BRANCHES_MAX}
 * @param leased whether a tap may acknowledge writes only while it has a lease, because another
 *     site may take over without an order
 */
public record Standing(
    Role role, UUID link, String origin, String branch, List<Branch> branches, boolean leased) {
  /** Lines of history that a volume keeps beside its own; a further fork is refused. */
  public static final int BRANCHES_MAX = 32;

  /** An origin or a reason is cut to so many characters. */
  static final int TEXT_MAX = 200;

  private static final UUID NO_LINK = new UUID(0, 0);

  /** A volume that was never replicated. */
  static final Standing PRIMARY =
      new Standing(Role.PRIMARY, NO_LINK, "", RecoveryPoint.MAIN_BRANCH, List.of(), false);

  /** Who may write a volume. */
  public enum Role {
    /** A tap. */
    PRIMARY("Primary"),
    /** One link. */
    REPLICA("Replica"),
    /** Nobody. */
    FENCED("Fenced");

    private final String text;

    Role(String text) {
      this.text = text;
    }

    /** As administrators read it. */
    public String text() {
      return text;
    }
  }

  /**
   * A line of history that was left: it is the volume's own up to {@code forkSeq}, and its own from
   * there on.
   *
   * @param head its last write
   * @param toEventNr its last event; events up to it with writes after the fork are its alone
   * @param dark its dark intervals after the fork
   * @param frontier the index of it
   * @param tailFromEventNr first event that may hold a segment of it after the frontier
   */
  public record Branch(
      String name,
      long epoch,
      Mark fork,
      Mark head,
      long toEventNr,
      List<DarkInterval> dark,
      List<NodeHeader> frontier,
      long tailFromEventNr,
      String reason,
      long leftMicros) {

    /** Whether the segment belongs to this line alone. */
    boolean has(SegmentEntry entry) {
      return entry.eventNr() <= toEventNr && entry.meta().lastSeq().value() > fork.seq();
    }
  }

  Standing replicaOf(UUID newLink, String from) {
    return new Standing(Role.REPLICA, newLink, from, branch, branches, leased);
  }

  Standing fenced(String reason) {
    return new Standing(Role.FENCED, NO_LINK, reason, branch, branches, leased);
  }

  Standing primary(String newBranch) {
    return new Standing(Role.PRIMARY, NO_LINK, "", newBranch, branches, leased);
  }

  Standing on(String newBranch) {
    return new Standing(role, link, origin, newBranch, branches, leased);
  }

  Standing leased(boolean on) {
    return new Standing(role, link, origin, branch, branches, on);
  }

  Standing withBranch(Branch left) {
    List<Branch> more = new ArrayList<>(branches);
    more.add(left);
    return new Standing(role, link, origin, branch, List.copyOf(more), leased);
  }
}
