package io.tidemark.drill;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.drill.DrillEvent.DrillCreated;
import io.tidemark.drill.DrillEvent.DrillDeleted;
import io.tidemark.drill.DrillEvent.DrillRunBegan;
import io.tidemark.drill.DrillEvent.DrillRunEnded;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.VolumeId;
import io.tidemark.serialization.TidemarkMessage;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * A site's drills and what they have proven; pure, immutable, {@link #apply} never rejects.
 *
 * @param drills by name
 * @param proven by volume name, the newest point that a check found good
 */
@JsonTypeName("drill-state")
public record DrillState(Map<String, Drill> drills, Map<String, Proven> proven)
    implements TidemarkMessage {
  /** Results kept of each drill (D3). */
  public static final int RESULTS_MAX = 20;

  static final DrillState EMPTY = new DrillState(Map.of(), Map.of());

  /**
   * A run under way.
   *
   * @param untilMicros when it counts as given up
   */
  public record Running(String run, String node, long startedMicros, long untilMicros) {}

  /**
   * A drill.
   *
   * @param lastMicros when it was created or last begun
   * @param results oldest first
   */
  public record Drill(
      DrillSpec spec, long lastMicros, Optional<Running> running, List<DrillResult> results) {
    public Drill {
      results = List.copyOf(results);
    }

    /** Whether a run of it is under way. */
    public boolean busy(long nowMicros) {
      return running.isPresent() && nowMicros < running.get().untilMicros();
    }

    /** Whether its schedule asks for a run. */
    public boolean due(long nowMicros) {
      return spec.everySeconds() > 0
          && !busy(nowMicros)
          && nowMicros >= lastMicros + spec.everySeconds() * 1_000_000;
    }
  }

  /**
   * A point that a check found good.
   *
   * @param atMicros when the check ended
   */
  public record Proven(VolumeId volume, RecoveryPoint point, String drill, long atMicros) {}

  public DrillState {
    drills = Map.copyOf(drills);
    proven = Map.copyOf(proven);
  }

  DrillState apply(DrillEvent event) {
    Map<String, Drill> changed = new TreeMap<>(drills);
    Map<String, Proven> good = new TreeMap<>(proven);
    if (event instanceof DrillCreated e) {
      changed.put(e.spec().name(), new Drill(e.spec(), e.micros(), Optional.empty(), List.of()));
    } else if (event instanceof DrillDeleted e) {
      changed.remove(e.name());
    } else if (event instanceof DrillRunBegan e) {
      Running running = new Running(e.run(), e.node(), e.micros(), e.untilMicros());
      changed.computeIfPresent(
          e.name(),
          (name, drill) ->
              new Drill(drill.spec(), e.micros(), Optional.of(running), drill.results()));
    } else if (event instanceof DrillRunEnded e) {
      changed.computeIfPresent(e.name(), (name, drill) -> ended(drill, e.result()));
      prove(good, changed.get(e.name()), e.result());
    }
    return new DrillState(changed, good);
  }

  private static Drill ended(Drill drill, DrillResult result) {
    List<DrillResult> results = new ArrayList<>(drill.results());
    results.add(result);
    int from = Math.max(0, results.size() - RESULTS_MAX);
    return new Drill(
        drill.spec(), drill.lastMicros(), Optional.empty(), results.subList(from, results.size()));
  }

  private static void prove(Map<String, Proven> proven, Drill drill, DrillResult result) {
    if (drill == null
        || result.verdict() != DrillResult.Verdict.PASSED
        || result.point().isEmpty()
        || result.volume().isEmpty()) {
      return;
    }
    Proven found =
        new Proven(
            result.volume().get(), result.point().get(), drill.spec().name(), result.endedMicros());
    proven.merge(
        drill.spec().volume().value(),
        found,
        (before, now) ->
            before.volume().equals(now.volume())
                    && before.point().seq().compareTo(now.point().seq()) > 0
                ? before
                : now); // D4
  }
}
