package io.tidemark.replication;

import akka.Done;
import akka.NotUsed;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.RecipientRef;
import akka.japi.Pair;
import akka.stream.KillSwitch;
import akka.stream.KillSwitches;
import akka.stream.UniqueKillSwitch;
import akka.stream.javadsl.Keep;
import akka.stream.javadsl.Sink;
import akka.stream.javadsl.Source;
import io.tidemark.config.Endpoint;
import io.tidemark.journal.SessionGrant;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.SegmentStore;
import io.tidemark.site.Replicas.ReplicaSpec;
import io.tidemark.volume.VolumeEntity;
import io.tidemark.volume.VolumeEntity.Progress;
import io.tidemark.volume.VolumeHistories;
import io.tidemark.wan.KnownContent;
import io.tidemark.wan.SimilarContent;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntSupplier;
import java.util.function.Supplier;

/**
 * One volume's stream to one site, from its journal to the line, for as long as the line holds:
 *
 * <pre>
 *   ask the volume -> make the replica -> open the line -> granted at seq A
 *   events after A -> data and what it replaced -> packed -> pace of the link -> of the node -> line
 *                                                        acknowledged seq -> gauge, listener <-+
 * </pre>
 *
 * Everything is pulled by the line (R3).
 */
public final class Shipping {
  /** What all streams of a node use. */
  public record Parts(
      ActorSystem<?> system,
      ReplicationSettings settings,
      Lines lines,
      Counterparts counterparts,
      SegmentStore store,
      PastContent past,
      VolumeHistories histories,
      Function<VolumeName, RecipientRef<VolumeEntity.Command>> volumes,
      Executor packers,
      MicroClock clock,
      Pace nodePace) {}

  /**
   * What to ship.
   *
   * @param link the id that the replica lets in
   * @param origin in words, for the other site
   * @param acknowledged hears of each position that the other site holds
   * @param beginSync is called, and awaited, before content is sent instead of history: whoever
   *     goes on after a break has to know
   */
  public record Order(
      VolumeName volume,
      String toSite,
      UUID link,
      String origin,
      IntSupplier priority,
      Pace pace,
      LaneGauge gauge,
      Consumer<Long> acknowledged,
      Supplier<CompletionStage<Done>> beginSync) {}

  private final Parts parts;
  private final Order order;
  private final JournalFeed feed;
  private final KnownContent known;
  private final SimilarContent similar;

  /** Said by the other site; until then, and where it is older, nothing resembles anything. */
  private volatile boolean takesSimilar;

  private final CompletableFuture<KillSwitch> running = new CompletableFuture<>();
  private final CompletableFuture<Done> ended = new CompletableFuture<>();

  /** What takes the answers to questions for hashes. */
  private volatile ContentSync sync;

  private Shipping(Parts parts, Order order) {
    this.parts = parts;
    this.order = order;
    this.known = new KnownContent(parts.settings().knownBlocks());
    this.similar = new SimilarContent(parts.settings().knownBlocks());
    this.feed =
        new JournalFeed(
            parts.system(),
            order.volume(),
            parts.volumes().apply(order.volume()),
            parts.histories(),
            parts.clock(),
            order.gauge(),
            parts.settings().pollEvery());
  }

  /** Begins; {@link #ended} tells how it went. */
  public static Shipping start(Parts parts, Order order) {
    Shipping shipping = new Shipping(parts, order);
    shipping
        .feed
        .progress(0)
        .thenCompose(shipping::meet)
        .whenComplete(
            (done, failure) -> {
              order.gauge().ended();
              if (failure == null) {
                shipping.ended.complete(done);
              } else {
                shipping.ended.completeExceptionally(Failures.cause(failure));
              }
            });
    return shipping;
  }

  /** Completes when the line has ended: fails unless it was stopped. */
  public CompletionStage<Done> ended() {
    return ended.copy();
  }

  /** Takes leave once what is on its way is acknowledged, or gives up at once. */
  public void stop() {
    running.thenAccept(KillSwitch::shutdown);
    if (!running.isDone()) {
      running.completeExceptionally(stopped());
    }
  }

  private static Refusal stopped() {
    return new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the link was stopped");
  }

  private CompletionStage<Done> meet(Progress begun) {
    ReplicaSpec spec =
        new ReplicaSpec(
            begun.sizeBytes(),
            begun.baseMicros(),
            begun.epoch(),
            begun.branch(),
            order.link(),
            order.origin());
    return parts
        .counterparts()
        .createReplica(order.toSite(), order.volume(), spec)
        .thenCompose(replica -> parts.counterparts().address(order.toSite()))
        .thenCompose(address -> ship(begun, address));
  }

  private CompletionStage<Done> ship(Progress begun, Endpoint address) {
    if (running.isCompletedExceptionally()) {
      return CompletableFuture.failedStage(stopped());
    }
    CompletableFuture<SessionGrant> granted = new CompletableFuture<>();
    LineIdentity who =
        new LineIdentity(order.link(), order.volume(), begun.sizeBytes(), order.origin());
    Pair<Pair<UniqueKillSwitch, CompletionStage<SessionGrant>>, CompletionStage<Done>> line =
        Source.completionStageSource(granted.thenCompose(grant -> parcels(begun, grant)))
            .viaMat(KillSwitches.single(), Keep.right())
            .viaMat(parts.lines().open(address, who), Keep.both())
            .toMat(Sink.foreach(this::heard), Keep.both())
            .run(parts.system());
    if (!running.complete(line.first().first())) {
      line.first().first().shutdown();
    }
    line.first()
        .second()
        .whenComplete(
            (grant, failure) -> {
              if (failure == null) {
                granted.complete(grant);
              } else {
                granted.completeExceptionally(failure);
              }
            });
    return line.second();
  }

  /** What the target lacks. */
  private CompletionStage<Source<Parcel, NotUsed>> parcels(Progress begun, SessionGrant grant) {
    long after = grant.head().value();
    return feed.progress(after)
        .thenCompose(
            now -> {
              if (after > now.headSeq()) {
                throw new Refusal(
                    ErrorCode.INVALID,
                    "the replica of '%s' at site '%s' holds %d writes, its source %d: it went on by itself"
                        .formatted(order.volume(), order.toSite(), after, now.headSeq()));
              }
              long hint = order.gauge().read().ackedSeq() == after ? hint() : 0;
              order.gauge().granted(after, grant.headTime().micros(), parts.clock().micros());
              long to = syncTo(now, after);
              return to < 0
                  ? CompletableFuture.completedStage(
                      stream(begun, after, Math.max(now.fromEventNr(), hint), 0))
                  : synced(begun, now, grant, to);
            });
  }

  /** The position whose content the target is to get at once; -1 when it gets the history. */
  private long syncTo(Progress now, long after) {
    if (order.gauge().toResync()) {
      return now.headSeq();
    }
    if (after < now.horizonSeq()) {
      return now.horizonSeq();
    }
    boolean longer = now.rawBytes() > parts.settings().replayBytesMax();
    return after == 0 && longer ? now.headSeq() : -1;
  }

  private CompletionStage<Source<Parcel, NotUsed>> synced(
      Progress begun, Progress now, SessionGrant grant, long to) {
    long micros = to == now.headSeq() ? now.headMicros() : now.horizonMicros();
    ContentSync.Task task =
        new ContentSync.Task(grant.head().value(), to, micros, grant.syncOpen());
    order.gauge().orderResync();
    return order
        .beginSync()
        .get()
        .thenCompose(stored -> parts.past().open(order.volume(), begun.volume(), to))
        .thenCombine(
            feed.progress(to),
            (reader, there) -> {
              sync = new ContentSync(task, reader, order.gauge(), parts.settings().compression());
              return sync.parcels(
                      target -> new Comparison(parts.system(), reader, target, parts.packers()))
                  .mapAsync(1, this::paced)
                  .concatLazy(stream(begun, to, there.fromEventNr(), to));
            });
  }

  /** Events up to that one are known at the target. */
  private long hint() {
    long eventNr = order.gauge().read().ackedEventNr();
    return eventNr == 0 ? 0 : eventNr + 1;
  }

  private Source<Parcel, NotUsed> stream(
      Progress begun, long after, long fromEventNr, long baseMin) {
    Packing packing =
        new Packing(
            order.volume(),
            begun.volume(),
            parts.store(),
            parts.past(),
            parts.clock(),
            order.gauge(),
            known,
            similar,
            () -> takesSimilar,
            parts.packers(),
            new ByteBudget(parts.settings().readAheadBytesMax()),
            parts.settings().compression(),
            parts.settings().baseEvery(),
            baseMin,
            after);
    return feed.from(begun, after, fromEventNr)
        .mapAsync(parts.settings().readAhead(), packing::fetch)
        .mapAsync(1, ready -> onPackers(() -> packing.pack(ready)))
        .mapAsync(1, this::paced);
  }

  private <T> CompletionStage<T> onPackers(Supplier<T> work) {
    return CompletableFuture.supplyAsync(work, parts.packers());
  }

  private CompletionStage<Parcel> paced(Parcel parcel) {
    long bytes = Packing.lineBytes(parcel);
    return order
        .pace()
        .take(bytes, 0)
        .thenCompose(own -> parts.nodePace().take(bytes, order.priority().getAsInt()))
        .thenApply(granted -> parcel);
  }

  private void heard(LinkNews news) {
    order.gauge().heard(parts.clock().micros());
    if (news instanceof LinkNews.Acknowledged ack) {
      order.gauge().acknowledged(ack.seq().value(), ack.parcels());
      order.acknowledged().accept(ack.seq().value());
    } else if (news instanceof LinkNews.TakesSimilar) {
      takesSimilar = true;
    } else if (news instanceof LinkNews.Hashes hashes && sync != null) {
      sync.heard(hashes);
    }
  }
}
