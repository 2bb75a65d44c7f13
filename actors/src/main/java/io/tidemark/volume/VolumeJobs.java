package io.tidemark.volume;

import io.tidemark.index.BaseLayers;
import io.tidemark.index.NodeHeader;
import io.tidemark.index.SegmentEntry;
import io.tidemark.index.SegmentHistory;
import io.tidemark.point.DarkInterval;
import io.tidemark.position.VolumeId;
import io.tidemark.retention.Compaction;
import io.tidemark.retention.Compaction.Outcome;
import io.tidemark.retention.Compaction.RunRange;
import io.tidemark.retention.Compactor;
import io.tidemark.segment.SegmentRef;
import io.tidemark.volume.Ledger.Doomed;
import io.tidemark.volume.Ledger.Mark;
import io.tidemark.volume.Ledger.Orphans;
import io.tidemark.volume.Retained.Freed;
import io.tidemark.volume.VolumeEvent.IndexAdvanced;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;

/** A volume's slow work, off the actor's thread: each method returns a stage and keeps nothing. */
final class VolumeJobs {
  /** Events read at once for a leaf; with {@link #LEAF_WRITES_MAX} this bounds a job's memory. */
  static final int WINDOW_EVENTS = 64;

  /** A leaf takes no further segment once it has so many writes. */
  static final int LEAF_WRITES_MAX = 131_072;

  /** Index nodes deleted at once. */
  private static final int DELETES_IN_FLIGHT = 16;

  private final VolumeParts parts;
  private final String persistenceId;

  VolumeJobs(VolumeParts parts, String persistenceId) {
    this.parts = parts;
    this.persistenceId = persistenceId;
  }

  /** Builds a leaf over the oldest segments of the tail, which has at least one. */
  CompletionStage<IndexAdvanced> leaf(Ledger ledger) {
    VolumeId volume = ledger.settings().volume();
    return window(onLine(ledger), ledger.index().tailFromEventNr(), ledger.eventNr())
        .thenApply(VolumeJobs::bounded)
        .thenComposeAsync(segments -> leaf(volume, segments), parts.indexExecutor());
  }

  /** The volume's segments without those of lines that it left. */
  private SegmentHistory onLine(Ledger ledger) {
    SegmentHistory all = parts.histories().of(persistenceId);
    List<Standing.Branch> left = ledger.standing().branches();
    return (from, to) ->
        all.segments(from, to)
            .thenApply(
                found -> found.stream().flatMap(entry -> remaining(left, entry).stream()).toList());
  }

  private static Optional<SegmentEntry> remaining(List<Standing.Branch> left, SegmentEntry entry) {
    Optional<SegmentEntry> rest = Optional.of(entry);
    for (Standing.Branch branch : left) {
      rest = rest.flatMap(e -> branch.has(e) ? e.upTo(branch.fork().seq()) : Optional.of(e));
    }
    return rest;
  }

  /** Segments of the kept history that the index will not hold after a fork. */
  CompletionStage<VolumeHistories.Count> tailAfterFork(Ledger ledger, long keptSeq) {
    List<NodeHeader> kept = VolumeRoles.keptNodes(ledger, keptSeq);
    return VolumeHistories.count(
        onLine(ledger), VolumeRoles.tailFrom(ledger, kept), ledger.eventNr(), keptSeq);
  }

  private CompletionStage<IndexAdvanced> leaf(VolumeId volume, List<SegmentEntry> segments) {
    long writes = segments.stream().mapToLong(s -> s.meta().count()).sum();
    long id = parts.nodeIds().getAsLong();
    return swept(volume, id, parts.indexWriter().leaf(volume, id, segments))
        .thenApply(node -> new IndexAdvanced(node, List.of(), segments.size(), writes));
  }

  private static CompletionStage<List<SegmentEntry>> window(
      SegmentHistory history, long from, long newest) {
    if (from > newest) {
      return CompletableFuture.failedFuture(
          new IllegalStateException("the tail has no segment up to event " + newest));
    }
    long to = Math.min(newest, from + WINDOW_EVENTS - 1);
    return history
        .segments(from, to)
        .thenCompose(
            found ->
                found.isEmpty()
                    ? window(history, to + 1, newest)
                    : CompletableFuture.completedStage(found));
  }

  private static List<SegmentEntry> bounded(List<SegmentEntry> found) {
    long writes = 0;
    int count = 0;
    while (count < found.size() && (count == 0 || writes < LEAF_WRITES_MAX)) {
      writes += found.get(count++).meta().count();
    }
    return found.subList(0, count);
  }

  /** Builds the node that stands for {@code children}. */
  CompletionStage<IndexAdvanced> merge(Ledger ledger, List<NodeHeader> children) {
    VolumeId volume = ledger.settings().volume();
    long id = parts.nodeIds().getAsLong();
    return CompletableFuture.supplyAsync(
            () -> parts.indexWriter().merge(volume, id, children), parts.indexExecutor())
        .thenCompose(stage -> swept(volume, id, stage))
        .thenApply(
            node -> new IndexAdvanced(node, children.stream().map(NodeHeader::id).toList(), 0, 0));
  }

  /** Deletes what a failed build may have stored; the build's failure is the result either way. */
  private CompletionStage<NodeHeader> swept(
      VolumeId volume, long id, CompletionStage<NodeHeader> build) {
    return build.exceptionallyCompose(
        failure ->
            parts
                .indexStore()
                .deleteNode(volume, id)
                .handle(
                    (done, alsoFailed) -> {
                      if (alsoFailed != null && alsoFailed != failure) {
                        failure.addSuppressed(alsoFailed);
                      }
                      return failure;
                    })
                .thenCompose(CompletableFuture::failedFuture));
  }

  /** Deletes a node that no event will refer to. */
  CompletionStage<Void> discard(VolumeId volume, NodeHeader node) {
    return parts.indexStore().deleteNode(volume, node.id());
  }

  CompletionStage<Void> collect(VolumeId volume, Orphans orphans) {
    long number = SegmentRef.number(orphans.session(), (int) orphans.firstOrdinal());
    return parts.store().deleteOrphans(new SegmentRef(volume, number));
  }

  /**
   * Where the horizon may move to: the end of the last leaf that passes and is a recovery point.
   *
   * @param dark intervals without recovery points
   */
  CompletionStage<Optional<Mark>> horizon(
      Ledger ledger, List<DarkInterval> dark, Predicate<NodeHeader> passable) {
    return CompletableFuture.supplyAsync(
        () -> {
          Optional<NodeHeader> last = lastLeaf(ledger, passable);
          for (int i = dark.size() - 1; i >= 0 && last.isPresent(); i--) {
            long seq = last.get().lastSeq();
            long from = dark.get(i).fromSeq();
            if (seq >= from && seq <= dark.get(i).toSeq()) {
              last = lastLeaf(ledger, passable.and(node -> node.lastSeq() < from));
            }
          }
          return last.map(node -> new Mark(node.lastSeq(), node.lastTimeMicros()));
        },
        parts.retentionExecutor());
  }

  private Optional<NodeHeader> lastLeaf(Ledger ledger, Predicate<NodeHeader> passable) {
    return new BaseLayers(parts.indexStore())
        .cut(
            ledger.settings().volume(),
            ledger.index().frontier(),
            node -> node.base() || passable.test(node))
        .last();
  }

  /** What compaction {@code attempt} has to do. */
  static Compaction compaction(Ledger ledger, int attempt) {
    long horizon = ledger.horizon().seq();
    return new Compaction(
        ledger.settings().volume(),
        ledger.index().frontier(),
        ledger.retained().layers(),
        ledger.retained().runs(),
        horizon,
        ledger.retained().keptSeqs(horizon),
        attempt);
  }

  /**
   * Cuts the history.
   *
   * @param ledger what the volume was when the task was given
   * @param firstNode the first of the ids that its index nodes may have
   * @param abandoned tells that nobody waits for it any more
   */
  CompletionStage<Optional<Outcome>> compact(
      Ledger ledger, Compaction task, long firstNode, BooleanSupplier abandoned) {
    long[] next = {firstNode};
    Compactor compactor =
        new Compactor(parts.store(), parts.indexStore(), () -> next[0]++, abandoned);
    return CompletableFuture.supplyAsync(
        () -> compactor.run(task, onLine(ledger)), parts.retentionExecutor());
  }

  /** Deletes what a compaction brought for nothing. */
  CompletionStage<Void> discard(Compaction task, Outcome outcome) {
    Compactor compactor =
        new Compactor(parts.store(), parts.indexStore(), parts.nodeIds(), () -> false);
    RunRange runs = Compaction.runsOf(task.attempt());
    return parts
        .store()
        .deleteRuns(task.volume(), runs.session(), runs.firstRun(), runs.lastRun())
        .thenRunAsync(() -> compactor.discard(task, outcome), parts.retentionExecutor());
  }

  /** Deletes what a compaction gave up: data first, then index nodes. */
  CompletionStage<Void> free(VolumeId volume, Freed freed) {
    CompletionStage<Void> runs = CompletableFuture.completedStage(null);
    for (RunRange range : freed.runs()) {
      runs =
          runs.thenCompose(
              done ->
                  parts
                      .store()
                      .deleteRuns(volume, range.session(), range.firstRun(), range.lastRun()));
    }
    return runs.thenRunAsync(
        () -> deleteNodes(volume, freed.trees(), freed.nodes()), parts.retentionExecutor());
  }

  private void deleteNodes(VolumeId volume, List<NodeHeader> trees, List<Long> nodes) {
    BaseLayers layers = new BaseLayers(parts.indexStore());
    trees.forEach(tree -> layers.deleteTree(volume, tree));
    nodes.forEach(node -> layers.delete(volume, node));
  }

  /**
   * Deletes a whole incarnation: data first, then index nodes from the top, then those that its
   * remaining events tell of, which may be parents that others are found by.
   */
  CompletionStage<Void> free(Doomed doomed) {
    return parts
        .store()
        .deleteVolume(doomed.volume(), doomed.lastSession())
        .thenRunAsync(
            () -> deleteNodes(doomed.volume(), doomed.trees(), doomed.nodes()),
            parts.indexExecutor())
        .thenCompose(
            done ->
                parts
                    .histories()
                    .indexNodes(persistenceId, doomed.fromEventNr(), doomed.toEventNr()))
        .thenCompose(nodes -> deleteNodes(doomed.volume(), nodes));
  }

  private CompletionStage<Void> deleteNodes(VolumeId volume, List<Long> nodes) {
    int count = Math.min(DELETES_IN_FLIGHT, nodes.size());
    CompletableFuture<?>[] batch = new CompletableFuture<?>[count];
    for (int i = 0; i < count; i++) {
      batch[i] = parts.indexStore().deleteNode(volume, nodes.get(i)).toCompletableFuture();
    }
    CompletableFuture<Void> all = CompletableFuture.allOf(batch);
    return count == nodes.size()
        ? all
        : all.thenComposeAsync(
            done -> deleteNodes(volume, nodes.subList(count, nodes.size())), parts.indexExecutor());
  }
}
