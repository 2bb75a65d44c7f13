package io.tidemark.retention;

import io.tidemark.extent.ExtentCursor;
import io.tidemark.extent.OverlayCursor;
import io.tidemark.index.BaseLayers;
import io.tidemark.index.IndexStore;
import io.tidemark.index.NodeHeader;
import io.tidemark.index.RunTable;
import io.tidemark.index.RunTable.Run;
import io.tidemark.index.RunTable.Size;
import io.tidemark.index.SegmentEntry;
import io.tidemark.index.SegmentHistory;
import io.tidemark.position.VolumeId;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.Compaction.Outcome;
import io.tidemark.retention.Compaction.RunRange;
import io.tidemark.segment.SegmentRef;
import io.tidemark.segment.SegmentStore;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;

/**
 * Moves a history's base up to its horizon (R2): merges the index before it into layers, copies
 * live data out of runs that are mostly dead (R4), and tells what nothing refers to any more.
 * Blocks the calling thread; deletes nothing but what it stored itself when it fails.
 */
public final class Compactor {
  /** Extents that one compaction copies, at most; further runs wait for the next. */
  static final int EXTENTS_COPIED_MAX = 1 << 19;

  /** Ranges of freed runs that one compaction tells of; the rest waits for the next. */
  static final int FREED_RANGES_MAX = 2048;

  /** A closed run with less data than this is tiny ... */
  static final long TINY_RUN_BYTES = 1 << 20;

  /** ... and so many of them are copied together, lest the table of runs grows with time. */
  static final int TINY_RUNS_MAX = 64;

  private static final int EVENTS_AT_ONCE = 64;

  private final SegmentStore segments;
  private final IndexStore index;
  private final BaseLayers layers;
  private final LongSupplier nodeIds;

  private final BooleanSupplier abandoned;

  /**
   * @param nodeIds index node ids that are never given twice, {@link Compaction#nodes} of them
   * @param abandoned tells that nobody waits for the outcome any more: nothing more is stored
   */
  public Compactor(
      SegmentStore segments, IndexStore index, LongSupplier nodeIds, BooleanSupplier abandoned) {
    this.segments = segments;
    this.index = index;
    this.layers = new BaseLayers(index);
    this.nodeIds = nodeIds;
    this.abandoned = abandoned;
  }

  private void checkWanted() {
    if (abandoned.getAsBoolean()) {
      throw new Refusal(ErrorCode.FAILED, "the compaction was abandoned");
    }
  }

  /**
   * Runs one compaction.
   *
   * @return empty when there is nothing to cut, to drop or to free; fails with a {@code Refusal}
   *     when a store does not answer or what it has is damaged
   */
  public Optional<Outcome> run(Compaction task, SegmentHistory history) {
    Work work = new Work(task, history);
    try {
      return work.run();
    } catch (RuntimeException e) {
      work.undo(e);
      throw e;
    }
  }

  /** What is known of a run while its fate is decided. */
  private static final class Fate {
    private Size size = Size.NONE;
    private long liveBytes;
    private long extents;

    boolean dead() {
      return liveBytes == 0;
    }

    boolean mostlyDead() {
      return liveBytes * 2 <= size.rawBytes();
    }
  }

  /** What becomes one layer, and where it ends. */
  private record Plan(long lastSeq, List<Source> sources) {}

  /** A piece of history that becomes part of a layer. */
  private record Source(NodeHeader node, long afterSeq, long lastSeq) {
    boolean partial() {
      return afterSeq >= node.firstSeq() || lastSeq < node.lastSeq();
    }
  }

  private final class Work {
    private final Compaction task;
    private final SegmentHistory history;
    private final VolumeId volume;
    private final List<Long> made = new ArrayList<>();
    private final TreeMap<Run, Fate> runs = new TreeMap<>();
    private Run open;
    private long cutSegments;
    private Size cutSize = Size.NONE;

    Work(Compaction task, SegmentHistory history) {
      this.task = task;
      this.history = history;
      this.volume = task.volume();
    }

    Optional<Outcome> run() {
      BaseLayers.Cut cut =
          layers.cut(volume, task.frontier(), node -> node.lastSeq() <= task.horizonSeq());
      Optional<NodeHeader> end = cut.last();
      if (end.isEmpty()) {
        return Optional.empty();
      }
      List<NodeHeader> fresh = cut.before().stream().filter(node -> !node.base()).toList();
      List<Plan> plan = plan(fresh, end.get());
      RunTable.read(index, volume, task.runs()).forEach((run, size) -> fate(run).size = size);
      countFresh(fresh);
      for (Plan layer : plan) {
        count(layer.sources());
      }
      Set<Run> victims = victims();
      boolean same = fresh.isEmpty() && victims.isEmpty() && plan.size() == task.layers().size();
      List<Run> freed = freed(victims);
      if (same && freed.isEmpty()) {
        return Optional.empty();
      }
      return Optional.of(build(cut, fresh, plan, victims, freed));
    }

    private Fate fate(Run run) {
      return runs.computeIfAbsent(run, unknown -> new Fate());
    }

    /** Which sources become which layer: a layer ends at each kept point and at the cut. */
    private List<Plan> plan(List<NodeHeader> fresh, NodeHeader end) {
      List<Long> bounds = new ArrayList<>();
      for (long seq : task.keptSeqs()) {
        if (seq > 0 && seq < end.lastSeq() && keepable(seq, fresh)) {
          bounds.add(seq);
        }
      }
      bounds.add(end.lastSeq());
      List<Source> sources = new ArrayList<>();
      for (NodeHeader layer : task.layers()) {
        sources.add(new Source(layer, layer.firstSeq() - 1, layer.lastSeq()));
      }
      for (NodeHeader node : fresh) {
        for (NodeHeader part : layers.splitAt(volume, node, bounds)) {
          addCut(sources, part, bounds);
        }
      }
      List<Plan> plan = new ArrayList<>();
      int at = 0;
      for (long bound : bounds) {
        List<Source> layer = new ArrayList<>();
        while (at < sources.size() && sources.get(at).lastSeq() <= bound) {
          layer.add(sources.get(at++));
        }
        if (!layer.isEmpty()) {
          plan.add(new Plan(bound, layer));
        }
      }
      return plan;
    }

    /** A point that no layer ends with, before the base, is gone for good. */
    private boolean keepable(long seq, List<NodeHeader> fresh) {
      return task.layers().stream().anyMatch(layer -> layer.lastSeq() == seq)
          || !fresh.isEmpty() && seq >= fresh.get(0).firstSeq();
    }

    private void addCut(List<Source> sources, NodeHeader part, List<Long> bounds) {
      long after = part.firstSeq() - 1;
      for (long seq : bounds) {
        if (seq > after && seq < part.lastSeq()) {
          sources.add(new Source(part, after, seq));
          after = seq;
        }
      }
      sources.add(new Source(part, after, part.lastSeq()));
    }

    /** Adds what the cut segments were stored with; the newest run may still grow. */
    private void countFresh(List<NodeHeader> fresh) {
      if (fresh.isEmpty()) {
        return;
      }
      long last = fresh.get(fresh.size() - 1).lastEventNr();
      for (long from = fresh.get(0).firstEventNr(); from <= last; from += EVENTS_AT_ONCE) {
        long to = Math.min(last, from + EVENTS_AT_ONCE - 1);
        for (SegmentEntry entry : BaseLayers.events(history, from, to)) {
          SegmentRef ref = new SegmentRef(volume, entry.segmentNumber());
          Size size = new Size(entry.meta().dataBytes(), entry.storedBytes());
          open = new Run(ref.session(), ref.run());
          cutSegments++;
          cutSize = cutSize.plus(size);
          if (size.rawBytes() > 0) {
            Fate fate = fate(open);
            fate.size = fate.size.plus(size);
          }
        }
      }
    }

    private ExtentCursor cursor(List<Source> layer) {
      ExtentCursor[] maps = new ExtentCursor[layer.size()];
      for (int i = 0; i < maps.length; i++) {
        Source source = layer.get(i);
        maps[i] =
            source.partial()
                ? BaseLayers.partOfLeaf(history, source.node(), source.afterSeq(), source.lastSeq())
                : layers.scan(volume, source.node());
      }
      return new OverlayCursor(maps);
    }

    private void count(List<Source> layer) {
      ExtentCursor map = cursor(layer);
      while (map.next()) {
        if (map.segment() != ExtentCursor.ZERO_SEGMENT) {
          Fate fate = fate(runOf(map));
          fate.liveBytes += map.end() - map.offset();
          fate.extents++;
        }
      }
    }

    private Run runOf(ExtentCursor map) {
      SegmentRef ref = new SegmentRef(volume, map.segment());
      return new Run(ref.session(), ref.run());
    }

    /** Whether no segment of the run lies after the cut. */
    private boolean closed(Run run) {
      boolean ofTap = Integer.compareUnsigned(run.session(), SegmentRef.COMPACTION_SESSIONS) < 0;
      return !ofTap || (open == null ? !run.equals(lastOfTap()) : run.compareTo(open) < 0);
    }

    private Run lastOfTap() {
      return runs.lowerKey(new Run(SegmentRef.COMPACTION_SESSIONS, 0));
    }

    private Set<Run> victims() {
      Set<Run> victims = new HashSet<>();
      List<Run> tiny = new ArrayList<>();
      long extents = 0;
      long bytes = 0;
      for (Map.Entry<Run, Fate> entry : runs.entrySet()) {
        Fate fate = entry.getValue();
        if (fate.dead() || !closed(entry.getKey())) {
          continue;
        }
        if (fate.mostlyDead() && fits(extents + fate.extents, bytes + fate.liveBytes)) {
          extents += fate.extents;
          bytes += fate.liveBytes;
          victims.add(entry.getKey());
        } else if (fate.size.rawBytes() < TINY_RUN_BYTES) {
          tiny.add(entry.getKey());
        }
      }
      if (tiny.size() >= TINY_RUNS_MAX) {
        for (Run run : tiny) {
          Fate fate = runs.get(run);
          if (fits(extents + fate.extents, bytes + fate.liveBytes)) {
            extents += fate.extents;
            bytes += fate.liveBytes;
            victims.add(run);
          }
        }
      }
      return victims;
    }

    private static boolean fits(long extents, long bytes) {
      return extents <= EXTENTS_COPIED_MAX && bytes <= RunCopy.BYTES_MAX;
    }

    private List<Run> freed(Set<Run> victims) {
      List<Run> freed = new ArrayList<>();
      for (Map.Entry<Run, Fate> entry : runs.entrySet()) {
        boolean dead = entry.getValue().dead() && closed(entry.getKey());
        if ((dead || victims.contains(entry.getKey()))
            && (freed.size() < FREED_RANGES_MAX || victims.contains(entry.getKey()))) {
          freed.add(entry.getKey());
        }
      }
      return freed;
    }

    private Outcome build(
        BaseLayers.Cut cut,
        List<NodeHeader> fresh,
        List<Plan> plan,
        Set<Run> victims,
        List<Run> freed) {
      RunCopy copy = copied(plan, victims);
      List<NodeHeader> built = new ArrayList<>();
      for (Plan layer : plan) {
        built.add(layer(layer, victims, copy));
      }
      NodeHeader base = base(built);
      TreeMap<Run, Size> kept = new TreeMap<>();
      runs.forEach((run, fate) -> kept.put(run, fate.size));
      Size freedSize = Size.NONE;
      for (Run run : freed) {
        freedSize = freedSize.plus(kept.remove(run));
      }
      List<RunRange> ranges = ranges(freed, kept);
      kept.putAll(copy.runs());
      long tableId = nodeIds.getAsLong();
      made.add(tableId);
      RunTable.Ref table = RunTable.write(index, volume, tableId, kept);
      return new Outcome(
          base,
          built,
          cut.after(),
          Math.max(cut.prefixEndSeq(), base.lastSeq()),
          table,
          ranges,
          fresh,
          replaced(cut, built, base),
          cutSegments,
          cutSize,
          copy.size(),
          freedSize);
    }

    private RunCopy copied(List<Plan> plan, Set<Run> victims) {
      RunCopy copy =
          new RunCopy(
              segments, volume, Compaction.runsOf(task.attempt()), Compactor.this::checkWanted);
      if (!victims.isEmpty()) {
        for (Plan layer : plan) {
          ExtentCursor map = cursor(layer.sources());
          while (map.next()) {
            if (map.segment() != ExtentCursor.ZERO_SEGMENT && victims.contains(runOf(map))) {
              copy.add(map);
            }
          }
        }
        copy.run();
      }
      return copy;
    }

    /** A layer that stays as it is, or the new node that stands for its sources. */
    private NodeHeader layer(Plan plan, Set<Run> victims, RunCopy copy) {
      List<Source> sources = plan.sources();
      NodeHeader first = sources.get(0).node();
      if (sources.size() == 1 && first.base() && !refersTo(sources, victims)) {
        return first;
      }
      long zeroUpTo = sources.get(0).afterSeq() < firstSeq() ? plan.lastSeq() : 0;
      Source last = sources.get(sources.size() - 1);
      ExtentCursor map = new Moved(cursor(sources), copy, zeroUpTo);
      return write(bounds(first, sources.get(0).afterSeq() + 1, last, plan.lastSeq()), map);
    }

    private long firstSeq() {
      return task.frontier().get(0).firstSeq();
    }

    private boolean refersTo(List<Source> sources, Set<Run> victims) {
      if (victims.isEmpty()) {
        return false;
      }
      ExtentCursor map = cursor(sources);
      while (map.next()) {
        if (map.segment() != ExtentCursor.ZERO_SEGMENT && victims.contains(runOf(map))) {
          return true;
        }
      }
      return false;
    }

    private NodeHeader bounds(NodeHeader first, long firstSeq, Source last, long lastSeq) {
      NodeHeader end = last.node();
      long time =
          last.lastSeq() == end.lastSeq() ? end.lastTimeMicros() : timeOf(end, last.lastSeq());
      return new NodeHeader(
          0,
          NodeHeader.BASE,
          firstSeq,
          lastSeq,
          first.firstTimeMicros(),
          time,
          first.firstEventNr(),
          end.lastEventNr(),
          0,
          0,
          0);
    }

    private long timeOf(NodeHeader leaf, long seq) {
      long time = leaf.firstTimeMicros();
      for (SegmentEntry entry :
          BaseLayers.events(history, leaf.firstEventNr(), leaf.lastEventNr())) {
        long index = seq - entry.meta().firstSeq().value();
        if (index >= 0) {
          time = entry.meta().timeMicros((int) Math.min(index, entry.meta().count() - 1L));
        }
      }
      return time;
    }

    private NodeHeader base(List<NodeHeader> built) {
      if (built.size() == 1) {
        return built.get(0);
      }
      ExtentCursor[] maps = new ExtentCursor[built.size()];
      for (int i = 0; i < maps.length; i++) {
        maps[i] = layers.scan(volume, built.get(i));
      }
      NodeHeader first = built.get(0);
      Source last = new Source(built.get(maps.length - 1), 0, built.get(maps.length - 1).lastSeq());
      return write(
          bounds(first, first.firstSeq(), last, last.lastSeq()),
          new Moved(
              new OverlayCursor(maps),
              new RunCopy(segments, volume, null, Compactor.this::checkWanted),
              first.lastSeq()));
    }

    private NodeHeader write(NodeHeader bounds, ExtentCursor map) {
      long id = nodeIds.getAsLong();
      made.add(id);
      return layers.write(volume, id, bounds, map);
    }

    /** Nodes of the cut history that nothing refers to any more, without what is below them. */
    private List<Long> replaced(BaseLayers.Cut cut, List<NodeHeader> built, NodeHeader base) {
      Set<Long> still = new HashSet<>();
      built.forEach(layer -> still.add(layer.id()));
      still.add(base.id());
      Set<Long> gone = new HashSet<>();
      cut.across().forEach(node -> gone.add(node.id()));
      task.layers().forEach(layer -> gone.add(layer.id()));
      task.frontier().stream().filter(NodeHeader::base).forEach(node -> gone.add(node.id()));
      if (task.runs().id() != 0) {
        gone.add(task.runs().id());
      }
      gone.removeAll(still);
      return List.copyOf(gone);
    }

    private List<RunRange> ranges(List<Run> freed, TreeMap<Run, Size> kept) {
      List<RunRange> ranges = new ArrayList<>();
      Run first = null;
      Run last = null;
      for (Run run : freed) {
        Run between = first == null ? null : kept.higherKey(last);
        if (first != null
            && (first.session() != run.session()
                || (between != null && between.compareTo(run) < 0))) {
          ranges.add(new RunRange(first.session(), first.run(), last.run()));
          first = null;
        }
        first = first == null ? run : first;
        last = run;
      }
      if (first != null) {
        ranges.add(new RunRange(first.session(), first.run(), last.run()));
      }
      return ranges;
    }

    /** Deletes the nodes of a compaction that failed; its runs go by their number (R5). */
    void undo(RuntimeException failure) {
      for (long id : made) {
        try {
          layers.delete(volume, id);
        } catch (Refusal e) {
          failure.addSuppressed(e);
        }
      }
    }
  }

  /** Deletes what an outcome brought that no event will refer to; its runs go by their number. */
  public void discard(Compaction task, Outcome outcome) {
    Set<Long> before = new HashSet<>();
    task.layers().forEach(layer -> before.add(layer.id()));
    task.frontier().forEach(node -> before.add(node.id()));
    Map<Long, NodeHeader> made = new HashMap<>();
    outcome.layers().forEach(layer -> made.put(layer.id(), layer));
    made.put(outcome.base().id(), outcome.base());
    made.keySet().removeAll(before);
    made.keySet().forEach(id -> layers.delete(task.volume(), id));
    if (outcome.runs().id() != 0) {
      layers.delete(task.volume(), outcome.runs().id());
    }
  }

  /** A map whose extents point to where their data is now. */
  private static final class Moved extends ExtentCursor {
    private final ExtentCursor map;
    private final RunCopy copy;
    private final long zeroUpTo;

    /**
     * @param zeroUpTo what was zeroed up to this write, and has nothing below it that a point could
     *     be compared with, is left out: it reads back as zeroes too
     */
    Moved(ExtentCursor map, RunCopy copy, long zeroUpTo) {
      this.map = map;
      this.copy = copy;
      this.zeroUpTo = zeroUpTo;
    }

    @Override
    public boolean next() {
      copy.checkWanted();
      do {
        if (!map.next()) {
          return false;
        }
      } while (map.segment() == ZERO_SEGMENT && map.seq() <= zeroUpTo);
      take(map, map.offset(), map.end());
      long moved = segment == ZERO_SEGMENT ? -1 : copy.placeOf(segment, position);
      if (moved >= 0) {
        segment = copy.segmentAt(moved);
        position = copy.positionAt(moved);
        chunkBytes = RunCopy.CHUNK_BYTES;
      }
      return true;
    }
  }
}
