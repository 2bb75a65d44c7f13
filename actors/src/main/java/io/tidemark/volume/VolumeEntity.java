package io.tidemark.volume;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.PostStop;
import akka.actor.typed.SupervisorStrategy;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Adapter;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.StashBuffer;
import akka.actor.typed.javadsl.TimerScheduler;
import akka.cluster.sharding.typed.javadsl.EntityTypeKey;
import akka.persistence.DeleteMessagesSuccess;
import akka.persistence.JournalProtocol;
import akka.persistence.Persistence;
import akka.persistence.typed.PersistenceId;
import akka.persistence.typed.RecoveryCompleted;
import akka.persistence.typed.SnapshotCompleted;
import akka.persistence.typed.SnapshotFailed;
import akka.persistence.typed.javadsl.CommandHandlerWithReply;
import akka.persistence.typed.javadsl.EventHandler;
import akka.persistence.typed.javadsl.EventSourcedBehaviorWithEnforcedReplies;
import akka.persistence.typed.javadsl.ReplyEffect;
import akka.persistence.typed.javadsl.RetentionCriteria;
import akka.persistence.typed.javadsl.SignalHandler;
import com.fasterxml.jackson.annotation.JsonTypeName;
import com.typesafe.config.ConfigFactory;
import io.tidemark.index.NodeHeader;
import io.tidemark.journal.SessionGrant;
import io.tidemark.journal.TapStatus;
import io.tidemark.order.TapOrder;
import io.tidemark.point.HistoryView;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.Epoch;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.Compaction;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.site.RetentionSummary;
import io.tidemark.site.SiteEvent;
import io.tidemark.site.VolumeSummary;
import io.tidemark.volume.Ledger.Doomed;
import io.tidemark.volume.Ledger.Mark;
import io.tidemark.volume.Ledger.Orphans;
import io.tidemark.volume.Ledger.Tap;
import io.tidemark.volume.VolumeEvent.BranchFollowed;
import io.tidemark.volume.VolumeEvent.CompactionBegan;
import io.tidemark.volume.VolumeEvent.EpochRaised;
import io.tidemark.volume.VolumeEvent.GapRecorded;
import io.tidemark.volume.VolumeEvent.HistoryCompacted;
import io.tidemark.volume.VolumeEvent.HistoryForked;
import io.tidemark.volume.VolumeEvent.HistoryFreed;
import io.tidemark.volume.VolumeEvent.HorizonMoved;
import io.tidemark.volume.VolumeEvent.IndexAdvanced;
import io.tidemark.volume.VolumeEvent.OrphansCollected;
import io.tidemark.volume.VolumeEvent.PinsEnded;
import io.tidemark.volume.VolumeEvent.PointPinned;
import io.tidemark.volume.VolumeEvent.ReplicaMade;
import io.tidemark.volume.VolumeEvent.RetentionSet;
import io.tidemark.volume.VolumeEvent.SegmentJournaled;
import io.tidemark.volume.VolumeEvent.StorageFreed;
import io.tidemark.volume.VolumeEvent.SyncCompleted;
import io.tidemark.volume.VolumeEvent.TagsKept;
import io.tidemark.volume.VolumeEvent.TapAttached;
import io.tidemark.volume.VolumeEvent.TapDetached;
import io.tidemark.volume.VolumeEvent.VolumeCreated;
import io.tidemark.volume.VolumeEvent.VolumeDeleted;
import io.tidemark.volume.VolumeEvent.VolumeFenced;
import io.tidemark.volume.VolumeEvent.VolumePromoted;
import io.tidemark.volume.VolumeEvent.WriteLeased;
import io.tidemark.volume.VolumeState.Gone;
import io.tidemark.volume.VolumeState.Live;
import io.tidemark.volume.VolumeState.Resyncing;
import io.tidemark.volume.VolumeState.Synchronizing;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiFunction;

/**
 * One protected volume: the sole writer of its journal. It lets one tap session in at a time,
 * journals the metadata of stored segments in order, has them indexed in the background, and
 * answers what readers of its past need. Diagram and invariants: {@link io.tidemark.volume}.
 */
public final class VolumeEntity
    extends EventSourcedBehaviorWithEnforcedReplies<
        VolumeEntity.Command, VolumeEvent, VolumeState> {

  public static final EntityTypeKey<Command> TYPE_KEY =
      EntityTypeKey.create(Command.class, "volume");

  /** Largest volume: 1 PiB. */
  public static final long SIZE_BYTES_MAX = 1L << 50;

  public static final int SECTOR_BYTES = 512;

  /** Ended sessions whose leftovers are not collected yet; more make a new attach wait. */
  public static final int ORPHANS_MAX = 1_024;

  /** A volume is back soon after Cassandra is, however long that was gone. */
  private static final Duration RESTART_BACKOFF_MAX = Duration.ofSeconds(3);

  /** Requests that wait while the journal is claimed; what is above is sent again by its sender. */
  private static final int CLAIM_STASH_MAX = 10_000;

  /** An answer that the claim holds is not believed for longer. */
  private static final long CLAIM_TRUSTED_NANOS = Duration.ofSeconds(1).toNanos();

  private static final int SNAPSHOTS_KEPT = 2;
  private static final String SILENCE = "silence";
  private static final String INDEX_RETRY = "index-retry";
  private static final String CHORES = "chores";
  private static final String RETENTION = "retention";

  // ---- protocol -------------------------------------------------------------------------------

  /** What a volume is asked. */
  public sealed interface Command {}

  /**
   * Replies {@link Summary}; {@code ALREADY_EXISTS} when the volume exists with other settings,
   * {@code INVALID} for a size that is not a positive multiple of 512 or above the limit. Safe to
   * repeat.
   */
  @JsonTypeName("create-volume")
  public record CreateVolume(long sizeBytes, boolean synchronous, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Summary}; {@code NOT_FOUND} when there is no such volume. */
  @JsonTypeName("get-summary")
  public record GetSummary(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /** Replies {@link History}; {@code NOT_FOUND} when there is no such volume. */
  @JsonTypeName("get-history")
  public record GetHistory(long call, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Replies {@link Attached}; {@code NOT_FOUND}, {@code BUSY} while another tap's session lives,
   * {@code INVALID} when the backing store is smaller than the volume. Repeating it from the same
   * session actor is safe; from another actor of the same tap it replaces the session.
   *
   * @param untilMicros when the tap will have given up, by the session's node's clock: handled
   *     later, or after a later attempt, the request is refused with {@code NOT_ACKNOWLEDGED}, lest
   *     it replace the session of the tap's next attempt; 0 for never
   * @param trusting whether the tap takes its backing store for the truth: refused with {@code
   *     FENCED} where that may be older than the journal (V11)
   * @param session is watched and heard of, and told {@link SessionEnded}
   */
  @JsonTypeName("attach-tap")
  public record AttachTap(
      UUID tapId,
      String address,
      long sizeBytes,
      long untilMicros,
      boolean trusting,
      ActorRef<Reply> session)
      implements Command, TidemarkMessage {
    public AttachTap(
        UUID tapId, String address, long sizeBytes, long untilMicros, ActorRef<Reply> session) {
      this(tapId, address, sizeBytes, untilMicros, false, session);
    }
  }

  /**
   * Journals stored segments that follow the head, all or none. Replies {@link Journaled}; {@code
   * FENCED} for an ended session or epoch, {@code INVALID} when they do not follow. Segments that
   * are journaled already are acknowledged again: safe to repeat. Waits while the index is far
   * behind.
   */
  @JsonTypeName("append-segments")
  public record AppendSegments(
      long call, SessionKey key, List<SegmentJournaled> segments, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Journals that writes were not captured. Replies {@link Journaled}; refuses like {@link
   * AppendSegments}. Safe to repeat.
   */
  @JsonTypeName("record-gap")
  public record RecordGap(
      long call,
      SessionKey key,
      long firstSeq,
      long lastSeq,
      long timeMicros,
      String reason,
      ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Ends the running synchronisation at the head. Replies {@link Journaled}; {@code FENCED} for an
   * ended session or epoch. Without a running one nothing happens: safe to repeat.
   */
  @JsonTypeName("complete-sync")
  public record CompleteSync(
      long call, SessionKey key, long differentBytes, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * A session lives. No reply, but {@link SessionEnded} when it is not the volume's session. After
   * a restart of the entity this is how the session it remembers makes itself known.
   */
  @JsonTypeName("heartbeat")
  public record Heartbeat(SessionKey key, Optional<TapStatus> status, ActorRef<Reply> session)
      implements Command, TidemarkMessage {}

  /** Ends a session. Replies {@link Done}, also when it was over: safe to repeat. */
  @JsonTypeName("detach-tap")
  public record DetachTap(long call, SessionKey key, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Begins the epoch after {@code epoch} and ends the session. Replies {@link Done}, also when that
   * epoch has begun; {@code FENCED} when the volume is elsewhere. Safe to repeat.
   */
  @JsonTypeName("raise-epoch")
  public record RaiseEpoch(long epoch, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Makes the volume the replica of a link, creating it if need be, and has it follow the source's
   * epoch and branch. Replies {@link Summary}; {@code ALREADY_EXISTS} when it is anything else than
   * the replica of that link and size, {@code FENCED} when it has seen a later epoch than the
   * source's, {@code INVALID} for a size that cannot be. Safe to repeat.
   *
   * @param baseMicros the time of the source's empty base: no write is earlier
   * @param link the link's id: who alone is let in
   * @param origin where the link comes from, in words
   */
  @JsonTypeName("create-replica")
  public record CreateReplica(
      long sizeBytes,
      long baseMicros,
      long epoch,
      String branch,
      UUID link,
      String origin,
      ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Makes a replica or a fenced volume a primary in the epoch after {@code epoch}; its link is
   * fenced. Replies {@link Summary}, also when it was done before: safe to repeat. Refuses with
   * {@code FENCED} when the volume is in another epoch or a primary, and unless forced with {@code
   * NOT_SYNCHRONIZED} when it never held all of the source's content, {@code DARK_INTERVAL} when
   * its head is inside one, {@code NOT_ACKNOWLEDGED} when its head is before {@code drainedSeq}.
   *
   * @param drainedSeq the source's last write, known when nobody writes there any more; with
   *     exactly that head the volume goes on with the branch, else it begins another one; -1 when
   *     it is not known
   */
  @JsonTypeName("promote-volume")
  public record PromoteVolume(long epoch, long drainedSeq, boolean forced, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Ends a volume's tap or link for good: it is fenced, or the replica of another link from now on.
   * Replies {@link Summary}, also when it was done before: safe to repeat. Refuses with {@code
   * FENCED} when the volume is in another epoch, {@code BEYOND_HEAD} or {@code BEYOND_HORIZON} when
   * it cannot go back to {@code keepSeq}, {@code LIMIT} when it has too many branches.
   *
   * @param epoch the volume's own, as it was seen
   * @param link whose replica it becomes; empty to fence it only
   * @param origin where that link comes from, or why it is fenced, in words
   * @param keepSeq what was written after it becomes a branch of its own; -1 to keep all
   * @param keepMicros the time of {@code keepSeq}
   */
  @JsonTypeName("demote-volume")
  public record DemoteVolume(
      long epoch,
      Optional<UUID> link,
      String origin,
      long keepSeq,
      long keepMicros,
      ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Has the volume's taps acknowledge writes only while they have a lease, or not any more; a tap
   * that is attached has to be told by itself. Replies {@link Summary}; {@code NOT_FOUND}. Safe to
   * repeat.
   */
  @JsonTypeName("lease-writes")
  public record LeaseWrites(boolean on, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link BranchesShown}; {@code NOT_FOUND} when there is no such volume. */
  @JsonTypeName("get-branches")
  public record GetBranches(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /**
   * Replies {@link History} of a line of history that the volume left; {@code NOT_FOUND} when there
   * is none of that name.
   */
  @JsonTypeName("get-branch-history")
  public record GetBranchHistory(long call, String branch, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Asks how far the volume is, for a link. Replies {@link Progress}; {@code NOT_FOUND} when there
   * is no such volume. Safe to repeat.
   *
   * @param afterSeq where the link's target is
   */
  @JsonTypeName("get-progress")
  public record GetProgress(long call, long afterSeq, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Passes an order on to the attached tap. Replies {@link OrderDone}, or {@link Refused} with the
   * order's id: the tap's own refusal, {@code NOT_ACKNOWLEDGED} when no tap is attached, its link
   * ends or it does not answer in time, {@code INVALID} when the tap is too old, {@code LIMIT} when
   * too many are open. Safe to repeat (O2). Without any answer when the node of the tap's link is
   * lost: wait no longer than the deadline (O1).
   */
  @JsonTypeName("order-tap")
  public record OrderTap(TapOrder order, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Asks for the attached tap's session, which takes {@link PassOrder} without the volume. Replies
   * {@link TapFound}; {@code NOT_ACKNOWLEDGED} when no tap is attached. Safe to repeat.
   */
  @JsonTypeName("find-tap")
  public record FindTap(long call, ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /**
   * Asks whether a tag's mark is a recovery point that lasts. Replies {@link MarkJournaled}, {@link
   * MarkPending} while the head is below it; {@code NOT_FOUND} when the incarnation is gone, {@code
   * FENCED} when another tap was let in since, {@code DARK_INTERVAL} when writes up to the mark
   * were lost to capture, {@code NOT_ACKNOWLEDGED} when another entity may have taken over. Safe to
   * repeat.
   *
   * @param session in which the tap attested the mark
   * @param gaps gaps recorded when that session was found
   */
  @JsonTypeName("confirm-mark")
  public record ConfirmMark(
      long call, VolumeId volume, int session, long gaps, long seq, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Done}; {@code NOT_FOUND} when there is no such volume. */
  @JsonTypeName("delete-volume")
  public record DeleteVolume(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /**
   * Sets how much history is kept. Replies {@link Summary}; {@code INVALID} for a policy that
   * cannot be. Safe to repeat.
   */
  @JsonTypeName("set-retention")
  public record SetRetention(RetentionPolicy policy, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link RetentionShown}; {@code NOT_FOUND} when there is no such volume. */
  @JsonTypeName("get-retention")
  public record GetRetention(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /**
   * Holds a point for a while, whatever the horizon does (J8); renews the holder's pin when there
   * is one. Replies {@link Done}; {@code BEYOND_HORIZON}, {@code BEYOND_HEAD}, {@code LIMIT};
   * {@code NOT_FOUND} when the volume is another incarnation. Safe to repeat.
   *
   * @param holder who, for instance {@code image:NAME}, at most 200 characters
   * @param onward whether all points from {@code seq} on are held
   * @param leaseMillis the pin lapses after so long unless it is renewed
   */
  @JsonTypeName("pin-point")
  public record PinPoint(
      VolumeId volume,
      String holder,
      long seq,
      boolean onward,
      long leaseMillis,
      ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Ends a holder's pin. Replies {@link Done}, also when there is none: safe to repeat. */
  @JsonTypeName("unpin-point")
  public record UnpinPoint(String holder, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /**
   * Tells the volume that a tag was locked or unlocked. A locked tag's point is kept from the reply
   * {@link Done} on (J8); of one that is unlocked the policy decides. {@code BEYOND_HORIZON} when
   * the point is gone, {@code LIMIT} for more than {@link Retained#TAGS_MAX} kept tags, {@code
   * NOT_FOUND} when the volume is another incarnation. Safe to repeat.
   */
  @JsonTypeName("keep-tag")
  public record KeepTag(VolumeId volume, KeptTag tag, ActorRef<Reply> replyTo)
      implements Command, TidemarkMessage {}

  /** Replies {@link Leftovers}, whether there is a volume or not. */
  @JsonTypeName("get-leftovers")
  public record GetLeftovers(ActorRef<Reply> replyTo) implements Command, TidemarkMessage {}

  /** From the shard: leave memory. It is needed elsewhere, or nobody has asked for long. */
  private record Sleep() implements Command {}

  private record Claimed(long term) implements Command {}

  private record ClaimFailed(Throwable failure) implements Command {}

  private record StillWriter(Command request, long askedNanos) implements Command {}

  private record NotAsked(Command request, Throwable failure) implements Command {}

  private record Deposed() implements Command {}

  private record Confirmed(Reply answer, ActorRef<Reply> replyTo, long askedNanos)
      implements Command {}

  private record NotConfirmed(long call, ActorRef<Reply> replyTo, Throwable failure)
      implements Command {}

  private record SessionStopped(int session) implements Command {}

  private record SessionSilent(int session) implements Command {}

  private record IndexBuilt(long job, VolumeId volume, IndexAdvanced result) implements Command {}

  private record IndexFailed(long job, Throwable failure) implements Command {}

  private record RetryIndex() implements Command {}

  private record DoChores() implements Command {}

  private record OrphansGone(int session) implements Command {}

  private record TailCounted(DemoteVolume demotion, long eventNr, VolumeHistories.Count tail)
      implements Command {}

  private record TailNotCounted(DemoteVolume demotion, Throwable failure) implements Command {}

  private record LookAfterHorizon() implements Command {}

  private record HorizonFound(long job, Optional<Mark> to) implements Command {}

  private record TagsFound(long job, Mark to, List<KeptTag> tags) implements Command {}

  private record Compacted(long job, Compaction task, Optional<Compaction.Outcome> outcome)
      implements Command {}

  private record HistoryGone(long job) implements Command {}

  private record RetentionFailed(long job, String what, Throwable failure) implements Command {}

  private record EventsTrimmed(long toEventNr) implements Command {}

  private record StorageGone(VolumeId volume) implements Command {}

  private record ChoreFailed(String what, Throwable failure) implements Command {}

  /** What a volume answers. */
  public sealed interface Reply extends SessionMessage, TidemarkMessage {}

  @JsonTypeName("summary")
  public record Summary(VolumeSummary summary) implements Reply {}

  @JsonTypeName("retention-shown")
  public record RetentionShown(RetentionSummary summary) implements Reply {}

  @JsonTypeName("history")
  public record History(long call, HistoryView view) implements Reply {}

  /** Lines of history that the volume left, oldest first. */
  @JsonTypeName("branches-shown")
  public record BranchesShown(List<Standing.Branch> branches) implements Reply {}

  /**
   * How far a volume is.
   *
   * @param dark whether the head is inside a dark interval
   * @param fromEventNr an event at or before the first that tells of a write after {@code afterSeq}
   * @param eventNr the newest event
   * @param rawBytes data of all journaled writes
   * @param left events up to the key with writes after the value belong to lines that were left
   */
  @JsonTypeName("progress")
  public record Progress(
      long call,
      VolumeId volume,
      long sizeBytes,
      String role,
      long epoch,
      String branch,
      long headSeq,
      long headMicros,
      long horizonSeq,
      long horizonMicros,
      long baseMicros,
      boolean dark,
      long fromEventNr,
      long eventNr,
      long rawBytes,
      Map<Long, Long> left)
      implements Reply {}

  /** Deleted incarnations of the name whose storage remains to be freed. */
  @JsonTypeName("leftovers")
  public record Leftovers(VolumeName name, int incarnations) implements Reply {}

  @JsonTypeName("attached")
  public record Attached(SessionGrant grant) implements Reply {}

  /** The newest journaled seq, durable (J4). */
  @JsonTypeName("journaled")
  public record Journaled(long call, long headSeq) implements Reply {}

  @JsonTypeName("done")
  public record Done(long call) implements Reply {}

  /** An expected refusal. */
  @JsonTypeName("refused")
  public record Refused(long call, ErrorCode code, String message) implements Reply {
    public Refusal refusal() {
      return new Refusal(code, message);
    }
  }

  /** For the tap's session: to be passed on, and answered as {@link OrderTap} says. */
  @JsonTypeName("pass-order")
  public record PassOrder(TapOrder order, ActorRef<Reply> replyTo) implements Reply {}

  /** The tap carried the order of that id out; its answer is as the order's kind says. */
  @JsonTypeName("order-done")
  public record OrderDone(long call, byte[] body) implements Reply {
    @Override
    public boolean equals(Object other) {
      return other instanceof OrderDone that && call == that.call && Arrays.equals(body, that.body);
    }

    @Override
    public int hashCode() {
      return Long.hashCode(call);
    }
  }

  /**
   * The attached tap.
   *
   * @param tap takes {@link PassOrder} until the session ends
   * @param session its number
   * @param gaps gaps recorded so far; one more later tells that writes were lost in between
   * @param address of the tap: one for all volumes of its process
   * @param dark whether the volume is being synchronised: its newest writes are no points
   */
  @JsonTypeName("tap-found")
  public record TapFound(
      long call,
      VolumeId volume,
      int session,
      String address,
      long gaps,
      boolean dark,
      ActorRef<Reply> tap)
      implements Reply {}

  /** Every write up to the mark is journaled, durable (J4), by the tap that attested it. */
  @JsonTypeName("mark-journaled")
  public record MarkJournaled(long call) implements Reply {}

  @JsonTypeName("mark-pending")
  public record MarkPending(long call, long headSeq) implements Reply {}

  /** The session is over. */
  @JsonTypeName("session-ended")
  public record SessionEnded(ErrorCode code, String message) implements Reply {}

  // ---- construction ---------------------------------------------------------------------------

  private final ActorContext<Command> context;
  private final TimerScheduler<Command> timers;
  private final VolumeName name;
  private final VolumeParts parts;
  private final VolumeJobs jobs;
  private final long term;

  // What follows lasts as long as the actor, not the volume.
  private final Set<Command> questioned = Collections.newSetFromMap(new IdentityHashMap<>());

  /** When a question was asked that was answered with this being the only writer. */
  private long claimSeenNanos = System.nanoTime() - CLAIM_TRUSTED_NANOS;

  private ActorRef<Reply> connection;

  /** That the connected session began with; null without one. */
  private AttachAttempt connected;

  private TapStatus status;
  private long statusMicros;
  private long job;
  private boolean jobRuns;
  private boolean choreRuns;
  private int failures;

  /** Deletes what the index job that runs will have stored; for an actor that ends before it. */
  private Runnable sweep = () -> {};

  /** Where the merge that runs begins; the greatest seq when none runs. */
  private long mergeFromSeq = Long.MAX_VALUE;

  private final RetentionWork retention = new RetentionWork();

  /** What runs for retention; it lasts as long as the actor. */
  private static final class RetentionWork {
    private long job;
    private boolean runs;
    private boolean compacts;
    private long fruitlessSeq = -1;
    private long snapshotEventNr;
    private long trimmedEventNr;
    private boolean trims;
    private boolean alerted;

    /** Whether a tag was locked or unlocked since the site's groups were asked. */
    private boolean tagsChanged;

    /** Set when nobody waits for the running compaction any more. */
    private AtomicBoolean abandoned = new AtomicBoolean();
  }

  /** The entity of the volume {@code name}: claims the journal, then reads it (F1). */
  public static Behavior<Command> create(VolumeName name, VolumeParts parts) {
    return Behaviors.setup(
        context -> {
          parts.resting().woke(name);
          return Behaviors.withStash(
              CLAIM_STASH_MAX, waiting -> claim(context, waiting, name, parts));
        });
  }

  /** Makes a volume leave memory once what it is at is done (V9). */
  public static Command sleep() {
    return new Sleep();
  }

  private static Behavior<Command> claim(
      ActorContext<Command> context,
      StashBuffer<Command> waiting,
      VolumeName name,
      VolumeParts parts) {
    context.pipeToSelf(
        parts.fence().claim(persistenceIdOf(name)),
        (term, failure) -> failure == null ? new Claimed(term) : new ClaimFailed(failure));
    return Behaviors.receive(Command.class)
        .onMessage(
            Claimed.class,
            claimed ->
                waiting.unstashAll(
                    Behaviors.withTimers(
                        timers -> new VolumeEntity(context, timers, name, parts, claimed.term()))))
        .onMessage(Sleep.class, none -> Behaviors.stopped())
        .onMessage(
            ClaimFailed.class,
            failed -> {
              context.getLog().warn("volume {}: not claimed", name, failed.failure());
              return Behaviors.stopped();
            })
        .onAnyMessage(
            request -> {
              if (!waiting.isFull()) {
                waiting.stash(request);
              }
              return Behaviors.same();
            })
        .build();
  }

  /** Where the events of the volume {@code name} are. */
  public static String persistenceIdOf(VolumeName name) {
    return TYPE_KEY.name() + "|" + name;
  }

  private VolumeEntity(
      ActorContext<Command> context,
      TimerScheduler<Command> timers,
      VolumeName name,
      VolumeParts parts,
      long term) {
    super(
        PersistenceId.ofUniqueId(persistenceIdOf(name)),
        SupervisorStrategy.restartWithBackoff(
            parts.settings().retryMin(), RESTART_BACKOFF_MAX, 0.2));
    this.context = context;
    this.timers = timers;
    this.name = name;
    this.parts = parts;
    this.term = term;
    this.jobs = new VolumeJobs(parts, persistenceIdOf(name));
  }

  @Override
  public VolumeState emptyState() {
    return VolumeState.EMPTY;
  }

  // ---- commands -------------------------------------------------------------------------------

  @Override
  public CommandHandlerWithReply<Command, VolumeEvent, VolumeState> commandHandler() {
    var handlers = newCommandHandlerWithReplyBuilder();
    handlers
        .forStateType(Gone.class)
        .onCommand(CreateVolume.class, this::onCreate)
        .onCommand(GetSummary.class, c -> notFound(0, c.replyTo()))
        .onCommand(GetHistory.class, c -> notFound(c.call(), c.replyTo()))
        .onCommand(AttachTap.class, c -> notFound(0, c.session()))
        .onCommand(AppendSegments.class, c -> notFound(c.call(), c.replyTo()))
        .onCommand(RecordGap.class, c -> notFound(c.call(), c.replyTo()))
        .onCommand(CompleteSync.class, c -> notFound(c.call(), c.replyTo()))
        .onCommand(Heartbeat.class, this::onHeartbeatOfNone)
        .onCommand(DetachTap.class, c -> Effect().reply(c.replyTo(), new Done(c.call())))
        .onCommand(RaiseEpoch.class, c -> notFound(0, c.replyTo()))
        .onCommand(CreateReplica.class, this::onCreateReplica)
        .onCommand(PromoteVolume.class, c -> notFound(0, c.replyTo()))
        .onCommand(DemoteVolume.class, c -> notFound(0, c.replyTo()))
        .onCommand(LeaseWrites.class, c -> notFound(0, c.replyTo()))
        .onCommand(GetBranches.class, c -> notFound(0, c.replyTo()))
        .onCommand(GetBranchHistory.class, c -> notFound(c.call(), c.replyTo()))
        .onCommand(GetProgress.class, c -> notFound(c.call(), c.replyTo()))
        .onCommand(TailCounted.class, c -> notFound(0, c.demotion().replyTo()))
        .onCommand(OrderTap.class, c -> notFound(c.order().id(), c.replyTo()))
        .onCommand(FindTap.class, c -> notFound(c.call(), c.replyTo()))
        .onCommand(ConfirmMark.class, c -> notFound(c.call(), c.replyTo()))
        .onCommand(DeleteVolume.class, c -> notFound(0, c.replyTo()))
        .onCommand(SetRetention.class, c -> notFound(0, c.replyTo()))
        .onCommand(GetRetention.class, c -> notFound(0, c.replyTo()))
        .onCommand(PinPoint.class, c -> notFound(0, c.replyTo()))
        .onCommand(UnpinPoint.class, c -> Effect().reply(c.replyTo(), new Done(0)))
        .onCommand(KeepTag.class, c -> notFound(0, c.replyTo()))
        .onCommand(Compacted.class, this::onLateCompaction)
        .onCommand(IndexBuilt.class, this::onLateIndex);
    handlers
        .forStateType(Live.class)
        .onCommand(CreateVolume.class, this::onCreateAgain)
        .onCommand(GetSummary.class, this::onGetSummary)
        .onCommand(GetHistory.class, this::onGetHistory)
        .onCommand(AttachTap.class, this::onAttach)
        .onCommand(AppendSegments.class, this::onAppend)
        .onCommand(RecordGap.class, this::onGap)
        .onCommand(CompleteSync.class, this::onCompleteSync)
        .onCommand(Heartbeat.class, this::onHeartbeat)
        .onCommand(DetachTap.class, this::onDetach)
        .onCommand(RaiseEpoch.class, this::onRaiseEpoch)
        .onCommand(CreateReplica.class, this::onFollow)
        .onCommand(PromoteVolume.class, this::onPromote)
        .onCommand(DemoteVolume.class, this::onDemote)
        .onCommand(TailCounted.class, this::onTailCounted)
        .onCommand(LeaseWrites.class, this::onLeaseWrites)
        .onCommand(GetBranches.class, this::onGetBranches)
        .onCommand(GetBranchHistory.class, this::onGetBranchHistory)
        .onCommand(GetProgress.class, this::onGetProgress)
        .onCommand(OrderTap.class, this::onOrderTap)
        .onCommand(FindTap.class, this::onFindTap)
        .onCommand(ConfirmMark.class, this::onConfirmMark)
        .onCommand(DeleteVolume.class, this::onDelete)
        .onCommand(SessionStopped.class, this::onSessionStopped)
        .onCommand(SessionSilent.class, this::onSessionSilent)
        .onCommand(IndexBuilt.class, this::onIndexBuilt)
        .onCommand(IndexFailed.class, this::onIndexFailed)
        .onCommand(RetryIndex.class, this::onRetryIndex)
        .onCommand(SetRetention.class, this::onSetRetention)
        .onCommand(GetRetention.class, this::onGetRetention)
        .onCommand(PinPoint.class, this::onPin)
        .onCommand(UnpinPoint.class, this::onUnpin)
        .onCommand(KeepTag.class, this::onKeepTag)
        .onCommand(LookAfterHorizon.class, this::onLookAfterHorizon)
        .onCommand(HorizonFound.class, this::onHorizonFound)
        .onCommand(TagsFound.class, this::onTagsFound)
        .onCommand(Compacted.class, this::onCompacted)
        .onCommand(HistoryGone.class, this::onHistoryGone)
        .onCommand(RetentionFailed.class, this::onRetentionFailed)
        .onCommand(OrphansGone.class, this::onOrphansGone);
    handlers
        .forAnyState()
        .onCommand(Sleep.class, this::onSleep)
        .onCommand(NotAsked.class, this::onNotAsked)
        .onCommand(Deposed.class, c -> deposed())
        .onCommand(Confirmed.class, this::onConfirmed)
        .onCommand(NotConfirmed.class, this::onNotConfirmed)
        .onCommand(Claimed.class, c -> Effect().noReply())
        .onCommand(ClaimFailed.class, c -> Effect().noReply())
        .onCommand(GetLeftovers.class, this::onGetLeftovers)
        .onCommand(DoChores.class, this::onDoChores)
        .onCommand(StorageGone.class, this::onStorageGone)
        .onCommand(ChoreFailed.class, this::onChoreFailed)
        .onCommand(TailNotCounted.class, this::onTailNotCounted)
        // Only outcomes of what was begun for a volume that has been deleted since.
        .onCommand(SessionStopped.class, c -> Effect().noReply())
        .onCommand(SessionSilent.class, c -> Effect().noReply())
        .onCommand(IndexFailed.class, c -> Effect().noReply())
        .onCommand(RetryIndex.class, c -> Effect().noReply())
        .onCommand(LookAfterHorizon.class, c -> Effect().noReply())
        .onCommand(HorizonFound.class, c -> Effect().noReply())
        .onCommand(TagsFound.class, c -> Effect().noReply())
        .onCommand(HistoryGone.class, c -> Effect().noReply())
        .onCommand(RetentionFailed.class, c -> Effect().noReply())
        .onCommand(EventsTrimmed.class, this::onEventsTrimmed)
        .onCommand(OrphansGone.class, this::onLateOrphansGone);
    return alone(handlers.build());
  }

  /** Whatever may persist is preceded by the question whether this is still the writer (F3). */
  private CommandHandlerWithReply<Command, VolumeEvent, VolumeState> alone(
      CommandHandlerWithReply<Command, VolumeEvent, VolumeState> handlers) {
    return (state, command) -> {
      if (command instanceof StillWriter answered) {
        questioned.remove(answered.request()); // again when it was stashed meanwhile
        return lately(answered.askedNanos())
            ? handlers.apply(state, answered.request())
            : askFirst(answered.request());
      }
      // What asked earlier goes first.
      return persistsNothing(command) || questioned.isEmpty() && lately(claimSeenNanos)
          ? handlers.apply(state, command)
          : askFirst(command);
    };
  }

  private static boolean lately(long nanos) {
    return System.nanoTime() - nanos < CLAIM_TRUSTED_NANOS;
  }

  private static boolean persistsNothing(Command command) {
    return command instanceof GetSummary
        || command instanceof GetHistory
        || command instanceof GetRetention
        || command instanceof GetLeftovers
        || command instanceof OrderTap
        || command instanceof FindTap
        || command instanceof GetBranches
        || command instanceof GetBranchHistory
        || command instanceof GetProgress
        || command instanceof TailNotCounted
        || command instanceof ConfirmMark
        || command instanceof Heartbeat
        || command instanceof Sleep
        || command instanceof Confirmed
        || command instanceof NotConfirmed
        || command instanceof NotAsked
        || command instanceof Deposed
        || command instanceof IndexFailed
        || command instanceof RetryIndex
        || command instanceof RetentionFailed
        || command instanceof EventsTrimmed
        || command instanceof DoChores
        || command instanceof ChoreFailed;
  }

  private ReplyEffect<VolumeEvent, VolumeState> notFound(long call, ActorRef<Reply> replyTo) {
    return Effect().reply(replyTo, new Refused(call, ErrorCode.NOT_FOUND, noSuchVolume()));
  }

  private String noSuchVolume() {
    return "there is no volume '" + name + "'; 'tidemark volume list' names those there are";
  }

  private ReplyEffect<VolumeEvent, VolumeState> refused(
      long call, ActorRef<Reply> replyTo, Refusal refusal) {
    return Effect().reply(replyTo, new Refused(call, refusal.code(), refusal.getMessage()));
  }

  private static Optional<Refusal> refuseSize(long sizeBytes) {
    return sizeBytes > 0 && sizeBytes % SECTOR_BYTES == 0 && sizeBytes <= SIZE_BYTES_MAX
        ? Optional.empty()
        : Optional.of(
            new Refusal(
                ErrorCode.INVALID,
                "a volume has a multiple of %d bytes, at most %d; %d is not"
                    .formatted(SECTOR_BYTES, SIZE_BYTES_MAX, sizeBytes)));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onCreate(Gone state, CreateVolume c) {
    Optional<Refusal> invalid = refuseSize(c.sizeBytes());
    if (invalid.isPresent()) {
      return refused(0, c.replyTo(), invalid.get());
    }
    VolumeEvent created =
        new VolumeCreated(VolumeId.random(), c.sizeBytes(), c.synchronous(), now());
    return Effect()
        .persist(created)
        .thenRun(() -> tell("volume-created", "volume of " + c.sizeBytes() + " bytes created"))
        .thenReply(c.replyTo(), created1 -> new Summary(summary((Live) created1)));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onCreateAgain(Live state, CreateVolume c) {
    return VolumeState.refuseCreateAgain(state, c.sizeBytes(), c.synchronous())
        .map(refusal -> refused(0, c.replyTo(), refusal))
        .orElseGet(() -> Effect().reply(c.replyTo(), new Summary(summary(state))));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onGetSummary(Live state, GetSummary c) {
    return Effect().reply(c.replyTo(), new Summary(summary(state)));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onGetHistory(Live state, GetHistory c) {
    return Effect()
        .reply(c.replyTo(), new History(c.call(), VolumeState.view(state, persistenceIdOf(name))));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onAttach(Live state, AttachTap c) {
    Ledger ledger = state.ledger();
    Tap last = ledger.tap();
    if (c.sizeBytes() < ledger.settings().sizeBytes()) {
      return refused(
          0,
          c.session(),
          new Refusal(
              ErrorCode.INVALID,
              "the backing store has %d bytes, volume '%s' has %d: grow the backing store"
                  .formatted(c.sizeBytes(), name, ledger.settings().sizeBytes())));
    }
    Optional<Refusal> stranger =
        VolumeRoles.refuseAttach(state, name, c.tapId())
            .or(
                () ->
                    c.trusting()
                        ? VolumeRoles.refuseTrusting(state, name, c.tapId())
                        : Optional.empty());
    if (stranger.isPresent()) {
      return refused(0, c.session(), stranger.get());
    }
    if (last.attached() && c.session().equals(connection)) {
      return Effect().reply(c.session(), new Attached(grant(state)));
    }
    AttachAttempt attempt = AttachAttempt.of(c.session(), c.untilMicros());
    boolean overtaken =
        connected != null && last.tapId().equals(c.tapId()) && attempt.isBefore(connected);
    if (attempt.isLate(now()) || overtaken) {
      return refused(
          0,
          c.session(),
          new Refusal(
              ErrorCode.NOT_ACKNOWLEDGED,
              "volume '%s' came to this attempt too late".formatted(name)));
    }
    if (last.attached() && !last.tapId().equals(c.tapId())) {
      return refused(
          0,
          c.session(),
          new Refusal(
              ErrorCode.BUSY,
              "the tap at %s holds volume '%s'; stop it, or wait until its session is over"
                  .formatted(last.address(), name)));
    }
    if (ledger.chores().orphans().size() >= ORPHANS_MAX) {
      return refused(
          0,
          c.session(),
          new Refusal(
              ErrorCode.BUSY,
              "the leftovers of %d sessions wait for the segment store; try again later"
                  .formatted(ORPHANS_MAX)));
    }
    int session = last.session() + 1;
    return Effect()
        .persist((VolumeEvent) new TapAttached(session, c.tapId(), c.address(), now()))
        .thenRun(() -> welcome(session, c))
        .thenReply(c.session(), attached -> new Attached(grant((Live) attached)));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onAppend(Live state, AppendSegments c) {
    Optional<Refusal> fenced = VolumeState.refuseKey(state, c.key());
    if (fenced.isPresent()) {
      return refused(c.call(), c.replyTo(), fenced.get());
    }
    awaitWord(c.key().session());
    long head = state.ledger().head().seq();
    List<VolumeEvent> fresh =
        c.segments().stream().filter(s -> s.lastSeq() > head).map(VolumeEvent.class::cast).toList();
    if (fresh.isEmpty()) {
      return confirm(new Journaled(c.call(), head), c.replyTo());
    }
    Optional<Refusal> invalid =
        VolumeState.refuseSegments(
            state, fresh.stream().map(SegmentJournaled.class::cast).toList());
    if (invalid.isPresent()) {
      return refused(c.call(), c.replyTo(), invalid.get());
    }
    if (tailIsFull(state)) {
      return Effect().stash();
    }
    return Effect()
        .persist(fresh)
        .thenRun((VolumeState next) -> index(next))
        .thenRun(
            (VolumeState next) ->
                confirm(new Journaled(c.call(), head((Live) next).seq()), c.replyTo()))
        .thenNoReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onSleep(VolumeState state, Sleep c) {
    if (state instanceof Live live && !live.ledger().tap().attached()) {
      parts.resting().slept(summary(live), term);
    }
    return Effect().stop().thenNoReply();
  }

  // ---- the only writer ------------------------------------------------------------------------

  private ReplyEffect<VolumeEvent, VolumeState> askFirst(Command request) {
    long now = System.nanoTime();
    questioned.add(request);
    context.pipeToSelf(
        parts.fence().holds(persistenceIdOf(name), term),
        (holds, failure) ->
            failure != null
                ? new NotAsked(request, failure)
                : holds ? new StillWriter(request, now) : new Deposed());
    return Effect().noReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onNotAsked(VolumeState state, NotAsked c) {
    questioned.remove(c.request());
    context.getLog().warn("volume {}: its claim cannot be checked", name, c.failure());
    context.scheduleOnce(parts.settings().retryMin(), context.getSelf(), c.request());
    return Effect().noReply();
  }

  /** Its successor answers what is asked from now on, once it is asked again. */
  private ReplyEffect<VolumeEvent, VolumeState> deposed() {
    context.getLog().warn("volume {}: another node has taken over, term {} ends", name, term);
    return Effect().stop().thenNoReply();
  }

  /** Answers what is persisted once no other entity has claimed the journal since (F2). */
  private ReplyEffect<VolumeEvent, VolumeState> confirm(Journaled answer, ActorRef<Reply> replyTo) {
    return confirm(answer.call(), answer, replyTo);
  }

  private ReplyEffect<VolumeEvent, VolumeState> confirm(
      long call, Reply answer, ActorRef<Reply> replyTo) {
    long now = System.nanoTime();
    context.pipeToSelf(
        parts.fence().holds(persistenceIdOf(name), term),
        (holds, failure) ->
            failure == null && holds
                ? new Confirmed(answer, replyTo, now)
                : new NotConfirmed(call, replyTo, failure));
    return Effect().noReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onConfirmed(VolumeState state, Confirmed c) {
    claimSeenNanos = Math.max(claimSeenNanos, c.askedNanos());
    return Effect().reply(c.replyTo(), c.answer());
  }

  /** What was persisted in vain is passed over at the next recovery; the tap sends it again. */
  private ReplyEffect<VolumeEvent, VolumeState> onNotConfirmed(VolumeState state, NotConfirmed c) {
    c.replyTo()
        .tell(
            new Refused(
                c.call(),
                ErrorCode.NOT_ACKNOWLEDGED,
                "volume '%s' was taken over by another node, or Cassandra did not tell"
                    .formatted(name)));
    if (c.failure() != null) {
      context.getLog().warn("volume {}: its claim cannot be checked", name, c.failure());
      return Effect().noReply();
    }
    return deposed();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onGap(Live state, RecordGap c) {
    Optional<Refusal> fenced = VolumeState.refuseKey(state, c.key());
    if (fenced.isPresent()) {
      return refused(c.call(), c.replyTo(), fenced.get());
    }
    awaitWord(c.key().session());
    if (c.lastSeq() <= head(state).seq()) {
      return confirm(new Journaled(c.call(), head(state).seq()), c.replyTo());
    }
    Optional<Refusal> invalid =
        VolumeState.refuseGap(state, c.firstSeq(), c.lastSeq(), c.timeMicros());
    if (invalid.isPresent()) {
      return refused(c.call(), c.replyTo(), invalid.get());
    }
    return Effect()
        .persist(
            (VolumeEvent) new GapRecorded(c.firstSeq(), c.lastSeq(), c.timeMicros(), c.reason()))
        .thenRun(() -> tell("gap-recorded", "capture was lost: " + c.reason()))
        .thenRun(
            (VolumeState next) ->
                confirm(new Journaled(c.call(), head((Live) next).seq()), c.replyTo()))
        .thenNoReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onCompleteSync(Live state, CompleteSync c) {
    Optional<Refusal> fenced = VolumeState.refuseKey(state, c.key());
    if (fenced.isPresent()) {
      return refused(c.call(), c.replyTo(), fenced.get());
    }
    awaitWord(c.key().session());
    long head = head(state).seq();
    if (state.openSync().isEmpty()) {
      return confirm(new Journaled(c.call(), head), c.replyTo());
    }
    return Effect()
        .persist((VolumeEvent) new SyncCompleted(head, c.differentBytes(), now()))
        .thenRun(
            () ->
                tell(
                    "sync-completed",
                    c.differentBytes() + " bytes differed; every write is a point from " + head))
        .thenRun(() -> confirm(new Journaled(c.call(), head), c.replyTo()))
        .thenNoReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onHeartbeat(Live state, Heartbeat c) {
    Optional<Refusal> fenced = VolumeState.refuseKey(state, c.key());
    if (fenced.isPresent()) {
      c.session().tell(new SessionEnded(fenced.get().code(), fenced.get().getMessage()));
      return Effect().noReply();
    }
    connect(c.key().session(), c.session());
    c.status().ifPresent(this::remember);
    return Effect().noReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onHeartbeatOfNone(Gone state, Heartbeat c) {
    c.session().tell(new SessionEnded(ErrorCode.NOT_FOUND, noSuchVolume()));
    return Effect().noReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onDetach(Live state, DetachTap c) {
    if (VolumeState.refuseKey(state, c.key()).isPresent()) {
      return Effect().reply(c.replyTo(), new Done(c.call()));
    }
    String reason = "the tap detached";
    return Effect()
        .persist((VolumeEvent) new TapDetached(c.key().session(), reason, now()))
        .thenRun(() -> farewell(reason))
        .thenReply(c.replyTo(), next -> new Done(c.call()));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onRaiseEpoch(Live state, RaiseEpoch c) {
    long epoch = state.ledger().epoch();
    if (epoch == c.epoch() + 1) {
      return Effect().reply(c.replyTo(), new Done(0));
    }
    if (epoch != c.epoch()) {
      return refused(
          0,
          c.replyTo(),
          new Refusal(
              ErrorCode.FENCED,
              "the volume is in epoch %d, not in %d".formatted(epoch, c.epoch())));
    }
    return Effect()
        .persist((VolumeEvent) new EpochRaised(epoch + 1, now()))
        .thenRun(() -> dismiss(ErrorCode.FENCED, "epoch " + epoch + " is over"))
        .thenReply(c.replyTo(), next -> new Done(0));
  }

  // ---- roles ----------------------------------------------------------------------------------

  private ReplyEffect<VolumeEvent, VolumeState> onCreateReplica(Gone state, CreateReplica c) {
    Optional<Refusal> invalid = refuseSize(c.sizeBytes());
    if (invalid.isPresent()) {
      return refused(0, c.replyTo(), invalid.get());
    }
    String origin = Refusal.printable(c.origin());
    List<VolumeEvent> events = new ArrayList<>();
    events.add(new VolumeCreated(VolumeId.random(), c.sizeBytes(), false, c.baseMicros()));
    events.add(new ReplicaMade(c.link(), origin, now()));
    events.add(new EpochRaised(c.epoch(), now()));
    events.add(new BranchFollowed(c.branch()));
    return Effect()
        .persist(events)
        .thenRun(() -> tell("replica-created", "replica of " + origin + " created"))
        .thenReply(c.replyTo(), next -> new Summary(summary((Live) next)));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onFollow(Live state, CreateReplica c) {
    Ledger ledger = state.ledger();
    Optional<Refusal> refusal =
        VolumeRoles.refuseReplica(state, name, c.sizeBytes(), c.link(), c.epoch());
    if (refusal.isPresent()) {
      return refused(0, c.replyTo(), refusal.get());
    }
    List<VolumeEvent> events = new ArrayList<>();
    if (c.epoch() > ledger.epoch()) {
      events.add(new EpochRaised(c.epoch(), now()));
    }
    if (!c.branch().equals(ledger.standing().branch())) {
      events.add(new BranchFollowed(c.branch()));
    }
    if (events.isEmpty()) {
      return Effect().reply(c.replyTo(), new Summary(summary(state)));
    }
    return Effect()
        .persist(events)
        .thenRun(() -> dismiss(ErrorCode.FENCED, "the source is in epoch " + c.epoch()))
        .thenReply(c.replyTo(), next -> new Summary(summary((Live) next)));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onPromote(Live state, PromoteVolume c) {
    Ledger ledger = state.ledger();
    boolean primary = ledger.standing().role() == Standing.Role.PRIMARY;
    if (primary && ledger.epoch() == c.epoch() + 1) {
      return Effect().reply(c.replyTo(), new Summary(summary(state)));
    }
    Optional<Refusal> refusal =
        VolumeRoles.refusePromotion(state, name, c.epoch(), c.drainedSeq(), c.forced());
    if (refusal.isPresent()) {
      return refused(0, c.replyTo(), refusal.get());
    }
    long epoch = c.epoch() + 1;
    boolean drained = c.drainedSeq() == ledger.head().seq();
    String branch = drained ? ledger.standing().branch() : "epoch-" + epoch;
    List<VolumeEvent> events =
        List.of(new EpochRaised(epoch, now()), new VolumePromoted(branch, c.forced(), now()));
    return Effect()
        .persist(events)
        .thenRun(() -> dismiss(ErrorCode.FENCED, "the volume was promoted: epoch " + epoch))
        .thenRun(() -> tell("volume-promoted", "promoted to epoch " + epoch + " on " + branch))
        .thenReply(c.replyTo(), next -> new Summary(summary((Live) next)));
  }

  /** Fences first, so that the history stands still; goes back, if it is to, in a second step. */
  private ReplyEffect<VolumeEvent, VolumeState> onDemote(Live state, DemoteVolume c) {
    Optional<Refusal> refusal = VolumeRoles.refuseDemotion(state, name, c.epoch(), c.keepSeq());
    if (refusal.isPresent()) {
      return refused(0, c.replyTo(), refusal.get());
    }
    boolean forks = c.keepSeq() >= 0 && c.keepSeq() < head(state).seq();
    Optional<VolumeEvent> change = roleChange(state, c, forks);
    if (change.isEmpty() && !forks) {
      return Effect().reply(c.replyTo(), new Summary(summary(state)));
    }
    if (change.isEmpty()) {
      countTail(state, c);
      return Effect().noReply();
    }
    var fenced =
        Effect()
            .persist(change.get())
            .thenRun(() -> dismiss(ErrorCode.FENCED, "the volume was demoted: " + c.origin()))
            .thenRun(() -> tell("volume-demoted", "demoted: " + Refusal.printable(c.origin())));
    return forks
        ? fenced.thenRun((VolumeState next) -> countTail((Live) next, c)).thenNoReply()
        : fenced.thenReply(c.replyTo(), next -> new Summary(summary((Live) next)));
  }

  /** Empty when the volume is what it is to become; a fork is made on a fenced volume. */
  private Optional<VolumeEvent> roleChange(Live state, DemoteVolume c, boolean forks) {
    Standing standing = state.ledger().standing();
    String origin = Refusal.printable(c.origin());
    if (forks || c.link().isEmpty()) {
      return standing.role() == Standing.Role.FENCED
          ? Optional.empty()
          : Optional.of(new VolumeFenced(origin, now()));
    }
    boolean done =
        standing.role() == Standing.Role.REPLICA && standing.link().equals(c.link().get());
    return done ? Optional.empty() : Optional.of(new ReplicaMade(c.link().get(), origin, now()));
  }

  private void countTail(Live state, DemoteVolume c) {
    abandonJob();
    long eventNr = state.eventNr();
    context.pipeToSelf(
        jobs.tailAfterFork(state.ledger(), c.keepSeq()),
        (tail, failure) ->
            failure == null ? new TailCounted(c, eventNr, tail) : new TailNotCounted(c, failure));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onTailCounted(Live state, TailCounted c) {
    DemoteVolume demotion = c.demotion();
    if (state.eventNr() != c.eventNr()) {
      return onDemote(state, demotion);
    }
    abandonJob(); // One that was begun meanwhile knows nothing of the fork.
    String branch = "%s-after-%d".formatted(state.ledger().standing().branch(), demotion.keepSeq());
    List<VolumeEvent> events = new ArrayList<>();
    events.add(
        new HistoryForked(
            branch,
            demotion.keepSeq(),
            demotion.keepMicros(),
            c.tail().segments(),
            c.tail().writes(),
            Refusal.printable(demotion.origin()),
            now()));
    demotion
        .link()
        .ifPresent(
            link -> events.add(new ReplicaMade(link, Refusal.printable(demotion.origin()), now())));
    return Effect()
        .persist(events)
        .thenRun(() -> tell("history-forked", "what was written after is kept as branch " + branch))
        .thenRun((VolumeState next) -> index(next))
        .thenReply(demotion.replyTo(), next -> new Summary(summary((Live) next)));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onTailNotCounted(
      VolumeState state, TailNotCounted c) {
    context.getLog().warn("volume {}: its tail cannot be counted", name, c.failure());
    return refused(
        0,
        c.demotion().replyTo(),
        new Refusal(
            ErrorCode.NOT_ACKNOWLEDGED,
            "volume '%s' is fenced, but its history could not be read; try again".formatted(name)));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onLeaseWrites(Live state, LeaseWrites c) {
    return state.ledger().standing().leased() == c.on()
        ? Effect().reply(c.replyTo(), new Summary(summary(state)))
        : Effect()
            .persist((VolumeEvent) new WriteLeased(c.on(), now()))
            .thenReply(c.replyTo(), next -> new Summary(summary((Live) next)));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onGetBranches(Live state, GetBranches c) {
    return Effect().reply(c.replyTo(), new BranchesShown(state.ledger().standing().branches()));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onGetBranchHistory(Live state, GetBranchHistory c) {
    return VolumeRoles.branchView(state, persistenceIdOf(name), c.branch())
        .map(view -> Effect().reply(c.replyTo(), (Reply) new History(c.call(), view)))
        .orElseGet(
            () ->
                refused(
                    c.call(),
                    c.replyTo(),
                    new Refusal(
                        ErrorCode.NOT_FOUND,
                        "volume '%s' has no branch '%s'"
                            .formatted(name, Refusal.printable(c.branch())))));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onGetProgress(Live state, GetProgress c) {
    Ledger ledger = state.ledger();
    Map<Long, Long> left = new LinkedHashMap<>();
    ledger.standing().branches().forEach(b -> left.put(b.toEventNr(), b.fork().seq()));
    Progress progress =
        new Progress(
            c.call(),
            ledger.settings().volume(),
            ledger.settings().sizeBytes(),
            ledger.standing().role().text(),
            ledger.epoch(),
            ledger.standing().branch(),
            ledger.head().seq(),
            ledger.head().timeMicros(),
            ledger.horizon().seq(),
            ledger.horizon().timeMicros(),
            ledger.settings().createdMicros(),
            state.openSync().isPresent(),
            VolumeRoles.eventAfter(ledger, c.afterSeq()),
            ledger.eventNr(),
            ledger.counts().rawBytes(),
            left);
    // What an entity wrote in vain must not be shipped (F2).
    return lately(claimSeenNanos)
        ? Effect().reply(c.replyTo(), progress)
        : confirm(c.call(), progress, c.replyTo());
  }

  private ReplyEffect<VolumeEvent, VolumeState> onOrderTap(Live state, OrderTap c) {
    if (!tapAnswers(state)) {
      return refused(c.order().id(), c.replyTo(), noTap(state));
    }
    connection.tell(new PassOrder(c.order(), c.replyTo()));
    return Effect().noReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onFindTap(Live state, FindTap c) {
    if (!tapAnswers(state)) {
      return refused(c.call(), c.replyTo(), noTap(state));
    }
    Ledger ledger = state.ledger();
    return Effect()
        .reply(
            c.replyTo(),
            new TapFound(
                c.call(),
                ledger.settings().volume(),
                ledger.tap().session(),
                ledger.tap().address(),
                ledger.continuity().gaps(),
                state.openSync().isPresent(),
                connection));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onConfirmMark(Live state, ConfirmMark c) {
    Optional<Refusal> lost =
        VolumeState.refuseMark(state, c.volume(), c.session(), c.gaps(), c.seq());
    if (lost.isPresent()) {
      return refused(c.call(), c.replyTo(), lost.get());
    }
    long head = head(state).seq();
    return head < c.seq()
        ? Effect().reply(c.replyTo(), new MarkPending(c.call(), head))
        : confirm(c.call(), new MarkJournaled(c.call()), c.replyTo());
  }

  private boolean tapAnswers(Live state) {
    return state.ledger().tap().attached() && connection != null;
  }

  private Refusal noTap(Live state) {
    return new Refusal(
        ErrorCode.NOT_ACKNOWLEDGED,
        state.ledger().tap().attached()
            ? "the tap of volume '%s' has not made itself known yet; try again".formatted(name)
            : "no tap is attached to volume '%s'; start it".formatted(name));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onDelete(Live state, DeleteVolume c) {
    return Effect()
        .persist((VolumeEvent) new VolumeDeleted(state.ledger().settings().volume(), now()))
        .thenRun(() -> forget())
        .thenRun((VolumeState next) -> scheduleChores(next))
        .thenReply(c.replyTo(), next -> (Reply) new Done(0))
        .thenUnstashAll();
  }

  // ---- sessions -------------------------------------------------------------------------------

  private void welcome(int session, AttachTap c) {
    dismiss(ErrorCode.FENCED, "the tap attached again: session " + session + " replaced this one");
    connect(session, c.session());
    connected = AttachAttempt.of(c.session(), c.untilMicros());
    tell("tap-attached", "tap " + Refusal.printable(c.address()) + " attached");
    timers.startSingleTimer(CHORES, new DoChores(), parts.settings().orphanDelay());
  }

  /** From now on the session is watched, and over when it is not heard of in time. */
  private void connect(int session, ActorRef<Reply> ref) {
    if (!ref.equals(connection)) {
      disconnect();
      connection = ref;
      context.watchWith(ref, new SessionStopped(session));
    }
    awaitWord(session);
  }

  /** Every request of the session is a word from it. */
  private void awaitWord(int session) {
    timers.startSingleTimer(SILENCE, new SessionSilent(session), parts.settings().sessionSilence());
  }

  private void disconnect() {
    timers.cancel(SILENCE);
    status = null;
    if (connection != null) {
      context.unwatch(connection);
      connection = null;
      connected = null;
    }
  }

  private void dismiss(ErrorCode code, String message) {
    if (connection != null) {
      connection.tell(new SessionEnded(code, message));
    }
    disconnect();
  }

  private void farewell(String reason) {
    dismiss(ErrorCode.FENCED, reason);
    tell("tap-detached", reason);
  }

  private void forget() {
    dismiss(ErrorCode.NOT_FOUND, "volume '" + name + "' was deleted");
    abandonJob();
    abandonRetention();
    timers.cancel(INDEX_RETRY);
    tell("volume-deleted", "volume deleted");
  }

  private void remember(TapStatus newest) {
    status = newest;
    statusMicros = now();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onSessionStopped(Live state, SessionStopped c) {
    return lost(state, c.session(), "the tap's connection was lost");
  }

  private ReplyEffect<VolumeEvent, VolumeState> onSessionSilent(Live state, SessionSilent c) {
    Duration silence = parts.settings().sessionSilence();
    return lost(state, c.session(), "no word from the tap for " + silence.toMillis() + " ms");
  }

  private ReplyEffect<VolumeEvent, VolumeState> lost(Live state, int session, String reason) {
    Tap tap = state.ledger().tap();
    if (!tap.attached() || tap.session() != session) {
      return Effect().noReply();
    }
    return Effect()
        .persist((VolumeEvent) new TapDetached(session, reason, now()))
        .thenRun(() -> farewell(reason))
        .thenNoReply();
  }

  private SessionGrant grant(Live state) {
    Ledger ledger = state.ledger();
    return new SessionGrant(
        ledger.settings().volume(),
        ledger.settings().sizeBytes(),
        new Epoch(ledger.epoch()),
        ledger.tap().session(),
        new WriteSeq(ledger.head().seq()),
        new MicroTime(ledger.head().timeMicros()),
        state.openSync().isPresent(),
        ledger.settings().synchronous(),
        ledger.continuity().sinceSession(),
        ledger.continuity().ownSession(),
        ledger.standing().leased() && ledger.standing().role() == Standing.Role.PRIMARY);
  }

  // ---- index ----------------------------------------------------------------------------------

  private boolean tailIsFull(Live state) {
    Ledger.Indexed index = state.ledger().index();
    return index.tailSegments() >= parts.settings().tailSegmentsMax()
        || index.tailWrites() >= parts.settings().tailWritesMax();
  }

  private boolean leafIsDue(Live state) {
    Ledger.Indexed index = state.ledger().index();
    return index.tailSegments() >= parts.settings().leafSegments()
        || index.tailSegments() > 0 && index.tailWrites() >= parts.settings().leafWrites();
  }

  /** Begins the next index job if one is due and none runs or waits to be retried. */
  private void index(VolumeState state) {
    if (jobRuns || timers.isTimerActive(INDEX_RETRY) || !(state instanceof Live live)) {
      return;
    }
    long cut = retention.compacts ? live.ledger().horizon().seq() : 0;
    Optional<List<NodeHeader>> children = VolumeState.mergeDue(live, cut);
    mergeFromSeq = children.map(nodes -> nodes.get(0).firstSeq()).orElse(Long.MAX_VALUE);
    if (children.isPresent()) {
      begin(live, jobs.merge(live.ledger(), children.get()));
    } else if (leafIsDue(live)) {
      begin(live, jobs.leaf(live.ledger()));
    }
  }

  private void begin(Live live, CompletionStage<IndexAdvanced> result) {
    long number = ++job;
    VolumeId volume = live.ledger().settings().volume();
    jobRuns = true;
    sweep = () -> result.thenCompose(built -> jobs.discard(volume, built.node()));
    context.pipeToSelf(
        result,
        (done, failure) ->
            failure == null
                ? new IndexBuilt(number, volume, done)
                : new IndexFailed(number, failure));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onIndexBuilt(Live state, IndexBuilt c) {
    if (c.job() != job || !c.volume().equals(state.ledger().settings().volume())) {
      return discard(c);
    }
    jobRuns = false;
    sweep = () -> {};
    mergeFromSeq = Long.MAX_VALUE;
    failures = 0;
    return Effect()
        .persist((VolumeEvent) c.result())
        .thenRun((VolumeState next) -> index(next))
        .thenNoReply()
        .thenUnstashAll();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onLateIndex(Gone state, IndexBuilt c) {
    return discard(c);
  }

  /** The result of a job that was begun before a restart or for another incarnation. */
  private ReplyEffect<VolumeEvent, VolumeState> discard(IndexBuilt c) {
    if (!jobRuns) {
      sweep = () -> {};
    }
    context.pipeToSelf(
        jobs.discard(c.volume(), c.result().node()),
        (done, failure) -> failure == null ? new DoChores() : new ChoreFailed("discard", failure));
    return Effect().noReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onIndexFailed(Live state, IndexFailed c) {
    if (c.job() != job) {
      return Effect().noReply();
    }
    jobRuns = false;
    mergeFromSeq = Long.MAX_VALUE;
    Duration wait = backoff();
    context
        .getLog()
        .warn("volume {}: indexing failed, next try in {} ms", name, wait.toMillis(), c.failure());
    timers.startSingleTimer(INDEX_RETRY, new RetryIndex(), wait);
    return Effect().noReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onRetryIndex(Live state, RetryIndex c) {
    index(state);
    return Effect().noReply();
  }

  /** Whatever a running job brings is not for this state. */
  private void abandonJob() {
    job++;
    jobRuns = false;
    mergeFromSeq = Long.MAX_VALUE;
  }

  private Duration backoff() {
    Duration wait = parts.settings().retryMin().multipliedBy(1L << Math.min(failures++, 20));
    return wait.compareTo(parts.settings().retryMax()) < 0 ? wait : parts.settings().retryMax();
  }

  // ---- chores: storage to be freed ------------------------------------------------------------

  private void scheduleChores(VolumeState state) {
    boolean orphans = state instanceof Live live && !live.ledger().chores().orphans().isEmpty();
    if (orphans || !state.doomed().isEmpty()) {
      timers.startSingleTimer(CHORES, new DoChores(), parts.settings().orphanDelay());
    }
  }

  private ReplyEffect<VolumeEvent, VolumeState> onDoChores(VolumeState state, DoChores c) {
    if (choreRuns) {
      return Effect().noReply();
    }
    if (!state.doomed().isEmpty()) {
      Doomed doomed = state.doomed().get(0);
      choreRuns = true;
      context.pipeToSelf(
          jobs.free(doomed),
          (done, failure) ->
              failure == null
                  ? new StorageGone(doomed.volume())
                  : new ChoreFailed("freeing " + doomed.volume(), failure));
    } else if (state instanceof Live live && !live.ledger().chores().orphans().isEmpty()) {
      Orphans orphans = live.ledger().chores().orphans().get(0);
      choreRuns = true;
      context.pipeToSelf(
          jobs.collect(live.ledger().settings().volume(), orphans),
          (done, failure) ->
              failure == null
                  ? new OrphansGone(orphans.session())
                  : new ChoreFailed("orphans of session " + orphans.session(), failure));
    }
    return Effect().noReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onGetLeftovers(VolumeState state, GetLeftovers c) {
    return Effect().reply(c.replyTo(), new Leftovers(name, state.doomed().size()));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onOrphansGone(Live state, OrphansGone c) {
    choreRuns = false;
    boolean known =
        state.ledger().chores().orphans().stream().anyMatch(o -> o.session() == c.session());
    if (!known) {
      return Effect().noReply();
    }
    return Effect()
        .persist((VolumeEvent) new OrphansCollected(c.session()))
        .thenRun(() -> context.getSelf().tell(new DoChores()))
        .thenNoReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onLateOrphansGone(OrphansGone c) {
    choreRuns = false;
    context.getSelf().tell(new DoChores());
    return Effect().noReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onStorageGone(VolumeState state, StorageGone c) {
    choreRuns = false;
    if (state.doomed().stream().noneMatch(d -> d.volume().equals(c.volume()))) {
      return Effect().noReply();
    }
    return Effect()
        .persist((VolumeEvent) new StorageFreed(c.volume()))
        .thenRun(() -> context.getSelf().tell(new DoChores()))
        .thenNoReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onChoreFailed(VolumeState state, ChoreFailed c) {
    choreRuns = false;
    context
        .getLog()
        .warn("volume {}: {} failed and will be tried again", name, c.what(), c.failure());
    timers.startSingleTimer(CHORES, new DoChores(), parts.settings().retryMax());
    return Effect().noReply();
  }

  // ---- retention ------------------------------------------------------------------------------

  private ReplyEffect<VolumeEvent, VolumeState> onSetRetention(Live state, SetRetention c) {
    Optional<Refusal> invalid = c.policy().refuse();
    if (invalid.isPresent()) {
      return refused(0, c.replyTo(), invalid.get());
    }
    if (c.policy().equals(state.ledger().retained().policy())) {
      return Effect().reply(c.replyTo(), new Summary(summary(state)));
    }
    return Effect()
        .persist((VolumeEvent) new RetentionSet(c.policy(), now()))
        .thenRun(() -> tell("retention-set", "retention changed"))
        .thenRun(this::scheduleRetention)
        .thenReply(c.replyTo(), next -> new Summary(summary((Live) next)));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onGetRetention(Live state, GetRetention c) {
    Ledger ledger = state.ledger();
    return Effect()
        .reply(
            c.replyTo(),
            new RetentionShown(
                ledger
                    .retained()
                    .summary(
                        name,
                        point(ledger.head()),
                        point(ledger.horizon()),
                        ledger.rawBytes(),
                        ledger.storedBytes())));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onPin(Live state, PinPoint c) {
    Ledger ledger = state.ledger();
    if (!c.volume().equals(ledger.settings().volume())) {
      return notFound(0, c.replyTo());
    }
    Optional<Refusal> refusal = RetentionRules.refusePin(ledger, c.holder(), c.seq(), c.onward());
    if (refusal.isPresent()) {
      return refused(0, c.replyTo(), refusal.get());
    }
    long until = now() + c.leaseMillis() * 1_000;
    return Effect()
        .persist((VolumeEvent) new PointPinned(c.holder(), c.seq(), c.onward(), until))
        .thenRun(this::scheduleRetention)
        .thenReply(c.replyTo(), next -> new Done(0));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onUnpin(Live state, UnpinPoint c) {
    if (state.ledger().retained().pinOf(c.holder()).isEmpty()) {
      return Effect().reply(c.replyTo(), new Done(0));
    }
    return Effect()
        .persist((VolumeEvent) new PinsEnded(List.of(c.holder()), List.of(), false, "closed"))
        .thenReply(c.replyTo(), next -> new Done(0));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onKeepTag(Live state, KeepTag c) {
    Ledger ledger = state.ledger();
    if (!c.volume().equals(ledger.settings().volume())) {
      return notFound(0, c.replyTo());
    }
    Optional<Refusal> refusal =
        c.tag().locked() ? RetentionRules.refuseTag(ledger, c.tag()) : Optional.empty();
    if (refusal.isPresent()) {
      return refused(0, c.replyTo(), refusal.get());
    }
    retention.tagsChanged = true;
    List<KeptTag> tags = RetentionRules.with(ledger, c.tag());
    if (tags.equals(ledger.retained().tags())) {
      return Effect().reply(c.replyTo(), new Done(0));
    }
    return Effect()
        .persist((VolumeEvent) new TagsKept(tags))
        .thenRun(this::scheduleRetention)
        .thenReply(c.replyTo(), next -> new Done(0));
  }

  private void scheduleRetention(VolumeState state) {
    if (state instanceof Live live
        && RetentionRules.active(live.ledger())
        && !timers.isTimerActive(RETENTION)) {
      timers.startTimerWithFixedDelay(
          RETENTION, new LookAfterHorizon(), parts.settings().retentionEvery());
    }
  }

  private void abandonRetention() {
    retention.job++;
    retention.runs = false;
    retention.compacts = false;
    retention.fruitlessSeq = -1;
    retention.abandoned.set(true);
    timers.cancel(RETENTION);
  }

  /** One step at a time: each is persisted before the next begins (R1). */
  private ReplyEffect<VolumeEvent, VolumeState> onLookAfterHorizon(Live state, LookAfterHorizon c) {
    Ledger ledger = state.ledger();
    if (retention.runs) {
      return Effect().noReply();
    }
    if (!RetentionRules.active(ledger)) {
      timers.cancel(RETENTION);
      return Effect().noReply();
    }
    trimEvents(ledger);
    Optional<PinsEnded> lapsed = RetentionRules.lapsed(ledger, now());
    if (lapsed.isPresent()) {
      return Effect().persist((VolumeEvent) lapsed.get()).thenNoReply();
    }
    List<Retained.Freed> freed = ledger.retained().freed();
    long patience = parts.settings().freeDelay().toNanos() / 1_000;
    if (!freed.isEmpty() && freed.get(0).timeMicros() + patience <= now()) {
      run(
          "deleting what is older than the horizon",
          jobs.free(ledger.settings().volume(), freed.get(0)),
          (number, done) -> new HistoryGone(number));
    } else if (ledger.retained().policy().limited()) {
      run(
          "finding the horizon",
          jobs.horizon(ledger, VolumeState.dark(state), RetentionRules.passable(ledger, now())),
          HorizonFound::new);
    }
    return Effect().noReply();
  }

  private <T> void run(String what, CompletionStage<T> work, BiFunction<Long, T, Command> outcome) {
    long number = ++retention.job;
    retention.runs = true;
    context.pipeToSelf(
        work,
        (done, failure) ->
            failure == null
                ? outcome.apply(number, done)
                : new RetentionFailed(number, what, failure));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onHorizonFound(Live state, HorizonFound c) {
    if (c.job() != retention.job) {
      return Effect().noReply();
    }
    retention.runs = false;
    Ledger ledger = state.ledger();
    Optional<Mark> to =
        c.to()
            .filter(mark -> mark.seq() > ledger.horizon().seq())
            .filter(mark -> mark.seq() <= ledger.retained().limitSeq());
    if (to.isPresent()) {
      Mark mark = to.get();
      retention.tagsChanged = false;
      run(
          "asking which tags are to be kept",
          parts
              .keptTags()
              .of(
                  name,
                  ledger.settings().volume(),
                  ledger.retained().tags(),
                  ledger.horizon().timeMicros(),
                  mark.timeMicros()),
          (number, tags) -> new TagsFound(number, mark, tags));
      return Effect().noReply();
    }
    boolean waits =
        ledger.horizon().seq() == retention.fruitlessSeq
            && !ledger.retained().hasIdleLayers(ledger.horizon().seq());
    if (!waits && RetentionRules.compactionDue(ledger)) {
      return beginCompaction(ledger);
    }
    Optional<PinsEnded> loser = RetentionRules.loser(ledger);
    if (loser.isPresent() && ledger.retained().freed().isEmpty()) {
      PinsEnded lost = loser.get();
      return Effect()
          .persist((VolumeEvent) lost)
          .thenRun(
              () ->
                  tell(
                      "pins-lost",
                      lost.reason() + ": given up " + lost.holders() + " " + lost.tags()))
          .thenNoReply();
    }
    if (RetentionRules.overCap(ledger) && !retention.alerted) {
      retention.alerted = true;
      tell(
          "cap-exceeded",
          "the journal stores %d bytes, more than its cap: nothing more can be given up"
              .formatted(ledger.storedBytes()));
    }
    return Effect().noReply();
  }

  /** What is to be kept is known before the rest is given up (R1, J8). */
  private ReplyEffect<VolumeEvent, VolumeState> onTagsFound(Live state, TagsFound c) {
    if (c.job() != retention.job) {
      return Effect().noReply();
    }
    retention.runs = false;
    Ledger ledger = state.ledger();
    if (c.to().seq() > ledger.retained().limitSeq() || retention.tagsChanged) {
      return Effect().noReply();
    }
    retention.alerted = false;
    List<VolumeEvent> events = new ArrayList<>();
    List<KeptTag> tags = RetentionRules.kept(ledger, c.tags(), now());
    if (!tags.equals(ledger.retained().tags())) {
      events.add(new TagsKept(tags));
    }
    events.add(new HorizonMoved(c.to().seq(), c.to().timeMicros()));
    int tooMany = RetentionRules.tooMany(ledger, c.tags(), now());
    return Effect()
        .persist(events)
        .thenRun(() -> tellTooMany(tooMany))
        .thenRun((VolumeState next) -> context.getSelf().tell(new LookAfterHorizon()))
        .thenNoReply();
  }

  private void tellTooMany(int tags) {
    if (tags > 0) {
      tell(
          "tags-given-up",
          "a volume keeps at most %d tags beyond its window: %d older ones were given up; thin them by a ladder"
              .formatted(Retained.TAGS_MAX, tags));
    }
  }

  /** A merge of nodes that are to be cut is awaited first. */
  private ReplyEffect<VolumeEvent, VolumeState> beginCompaction(Ledger ledger) {
    if (jobRuns && mergeFromSeq <= ledger.horizon().seq()) {
      return Effect().noReply();
    }
    retention.compacts = true;
    Compaction task = VolumeJobs.compaction(ledger, ledger.retained().attempts());
    long firstNode = parts.nodeIds().getAsLong();
    int nodes = Compaction.nodes(task.keptSeqs());
    return Effect()
        .persist((VolumeEvent) new CompactionBegan(task.attempt(), firstNode, nodes, now()))
        .thenRun(() -> compact(ledger, task, firstNode))
        .thenNoReply();
  }

  private void compact(Ledger ledger, Compaction task, long firstNode) {
    AtomicBoolean abandoned = new AtomicBoolean();
    retention.abandoned = abandoned;
    run(
        "cutting the history",
        jobs.compact(ledger, task, firstNode, abandoned::get),
        (number, outcome) -> new Compacted(number, task, outcome));
  }

  private ReplyEffect<VolumeEvent, VolumeState> onCompacted(Live state, Compacted c) {
    if (c.job() != retention.job
        || !c.task().volume().equals(state.ledger().settings().volume())
        || state
            .ledger()
            .retained()
            .running()
            .filter(running -> running.attempt() == c.task().attempt())
            .isEmpty()) {
      return discard(c);
    }
    retention.runs = false;
    retention.compacts = false;
    if (c.outcome().isEmpty()) {
      retention.fruitlessSeq = c.task().horizonSeq();
      return Effect().noReply();
    }
    return Effect()
        .persist((VolumeEvent) HistoryCompacted.of(c.task().attempt(), c.outcome().get(), now()))
        .thenRun((VolumeState next) -> index(next))
        .thenNoReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onLateCompaction(Gone state, Compacted c) {
    return discard(c);
  }

  /** The result of a compaction that was begun before a restart or for another incarnation. */
  private ReplyEffect<VolumeEvent, VolumeState> discard(Compacted c) {
    c.outcome()
        .ifPresent(
            outcome ->
                context.pipeToSelf(
                    jobs.discard(c.task(), outcome),
                    (done, failure) ->
                        failure == null
                            ? new DoChores()
                            : new ChoreFailed("discarding a compaction", failure)));
    return Effect().noReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onHistoryGone(Live state, HistoryGone c) {
    if (c.job() != retention.job) {
      return Effect().noReply();
    }
    retention.runs = false;
    return Effect()
        .persist((VolumeEvent) new HistoryFreed())
        .thenRun(() -> context.getSelf().tell(new LookAfterHorizon()))
        .thenNoReply();
  }

  private ReplyEffect<VolumeEvent, VolumeState> onRetentionFailed(Live state, RetentionFailed c) {
    if (c.job() == retention.job) {
      retention.runs = false;
      retention.compacts = false;
      context
          .getLog()
          .warn("volume {}: {} failed and will be tried again", name, c.what(), c.failure());
      index(state);
    }
    return Effect().noReply();
  }

  /**
   * Deletes the events that neither a point nor a recovery needs: those of the cut history, as far
   * as the older of the snapshots that are kept reaches.
   */
  private void trimEvents(Ledger ledger) {
    List<NodeHeader> frontier = ledger.index().frontier();
    if (retention.trims || frontier.isEmpty() || !frontier.get(0).base()) {
      return;
    }
    int every = parts.settings().snapshotEvery();
    long to =
        Math.min(
            frontier.get(0).lastEventNr(),
            retention.snapshotEventNr - (long) (SNAPSHOTS_KEPT - 1) * every);
    if (to < retention.trimmedEventNr + every) {
      return;
    }
    retention.trims = true;
    ActorRef<JournalProtocol.Response> done =
        context.messageAdapter(
            JournalProtocol.Response.class,
            response ->
                response instanceof DeleteMessagesSuccess gone
                    ? new EventsTrimmed(gone.toSequenceNr())
                    : new EventsTrimmed(-1));
    Persistence.get(context.getSystem().classicSystem())
        .journalFor("", ConfigFactory.empty())
        .tell(
            new JournalProtocol.DeleteMessagesTo(
                persistenceIdOf(name), to, Adapter.toClassic(done)),
            akka.actor.ActorRef.noSender());
  }

  private ReplyEffect<VolumeEvent, VolumeState> onEventsTrimmed(
      VolumeState state, EventsTrimmed c) {
    retention.trims = false;
    if (c.toEventNr() < 0) {
      context.getLog().warn("volume {}: old events were not deleted; tried again later", name);
    } else {
      retention.trimmedEventNr = c.toEventNr();
    }
    return Effect().noReply();
  }

  // ---- events ---------------------------------------------------------------------------------

  @Override
  public EventHandler<VolumeState, VolumeEvent> eventHandler() {
    return VolumeState::apply;
  }

  // ---- signals, retention ---------------------------------------------------------------------

  @Override
  public SignalHandler<VolumeState> signalHandler() {
    return newSignalHandlerBuilder()
        .onSignal(RecoveryCompleted.instance(), this::onRecovered)
        .onSignal(PostStop.class, this::onStopped)
        .onSignal(SnapshotCompleted.class, this::onSnapshotCompleted)
        .onSignal(SnapshotFailed.class, this::onSnapshotFailed)
        .build();
  }

  /** The session that the state remembers has a while to make itself known. */
  private void onRecovered(VolumeState state) {
    disconnect();
    abandonJob();
    abandonRetention();
    choreRuns = false;
    if (state instanceof Live live && live.ledger().tap().attached()) {
      awaitWord(live.ledger().tap().session());
    }
    scheduleChores(state);
    index(state);
    scheduleRetention(state);
  }

  /** What runs brings nothing to anybody any more. */
  private void onStopped(VolumeState state, PostStop stopped) {
    retention.abandoned.set(true);
    sweep.run();
  }

  private void onSnapshotCompleted(VolumeState state, SnapshotCompleted done) {
    retention.snapshotEventNr = done.metadata().sequenceNr();
  }

  private void onSnapshotFailed(VolumeState state, SnapshotFailed failed) {
    context
        .getLog()
        .warn(
            "volume {}: no snapshot; the next recovery reads more events", name, failed.failure());
  }

  /** Old snapshots go by their number; events only once retention has cut the history (R1). */
  @Override
  public RetentionCriteria retentionCriteria() {
    return RetentionCriteria.snapshotEvery(parts.settings().snapshotEvery(), SNAPSHOTS_KEPT);
  }

  // ---- what is told ---------------------------------------------------------------------------

  private long now() {
    return parts.clock().micros();
  }

  private static Mark head(Live state) {
    return state.ledger().head();
  }

  private void tell(String type, String message) {
    parts.events().accept(new SiteEvent(new MicroTime(now()), type, name, message));
  }

  private VolumeSummary summary(Live state) {
    Ledger ledger = state.ledger();
    Tap tap = ledger.tap();
    return new VolumeSummary(
        name,
        ledger.settings().volume(),
        ledger.settings().sizeBytes(),
        parts.site(),
        stateName(state, tap.attached() ? status : null),
        ledger.standing().role().text(),
        ledger.epoch(),
        ledger.standing().branch(),
        ledger.settings().synchronous(),
        point(ledger.head()),
        point(ledger.horizon()),
        ledger.rawBytes(),
        ledger.storedBytes(),
        tap.attached(),
        tap.session() == 0 ? Optional.empty() : Optional.of(tap.address()),
        tap.attached() ? tapNode() : Optional.empty(),
        tap.attached() ? Optional.ofNullable(status) : Optional.empty(),
        tap.attached() && status != null ? statusMicros : 0,
        VolumeState.dark(state),
        ledger.retained().policy(),
        ledger.retained().pins().size(),
        ledger.retained().tags().size(),
        ledger.retained().volume().lostHolds());
  }

  /** A reference to an actor of this node has no address of its own. */
  private Optional<String> tapNode() {
    return Optional.ofNullable(connection)
        .map(ref -> ref.path().address())
        .map(at -> at.hasGlobalScope() ? at : context.getSystem().address())
        .map(Object::toString);
  }

  /**
   * A volume whose tap captures continuously and had nothing to copy is protected before its first
   * write: its history is the empty base, which is what its backing store holds.
   */
  private static String stateName(Live state, TapStatus status) {
    if (state instanceof Synchronizing) {
      return "Synchronizing";
    }
    if (state instanceof Resyncing) {
      return "Resyncing";
    }
    boolean waits =
        status == null || status.mode() != TapStatus.Mode.CONTINUOUS || status.syncTotalBytes() > 0;
    return state instanceof VolumeState.Created && waits ? "Created" : "Protected";
  }

  private static RecoveryPoint point(Mark mark) {
    return new RecoveryPoint(
        new WriteSeq(mark.seq()), new MicroTime(mark.timeMicros()), RecoveryPoint.MAIN_BRANCH);
  }
}
