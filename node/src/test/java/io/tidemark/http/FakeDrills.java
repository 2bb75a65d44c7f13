package io.tidemark.http;

import io.tidemark.drill.DrillResult;
import io.tidemark.drill.DrillSpec;
import io.tidemark.drill.DrillState;
import io.tidemark.drillrun.Drills;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.VolumeSummary;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.function.Function;

/** Drills in memory: each run passes at once, at seq 50. */
final class FakeDrills implements Drills {
  private static final RecoveryPoint POINT =
      new RecoveryPoint(
          new WriteSeq(50), new MicroTime(FakeServices.START + 50 * FakeServices.SECOND), "main");
  private final Function<VolumeName, CompletionStage<VolumeSummary>> volumes;
  private final Map<String, DrillState.Drill> drills = new ConcurrentSkipListMap<>();
  private final Map<String, DrillState.Proven> proven = new ConcurrentSkipListMap<>();

  FakeDrills(Function<VolumeName, CompletionStage<VolumeSummary>> volumes) {
    this.volumes = volumes;
  }

  @Override
  public CompletionStage<DrillState> all() {
    return CompletableFuture.completedFuture(new DrillState(drills, proven));
  }

  @Override
  public CompletionStage<DrillState.Drill> create(DrillSpec spec) {
    try {
      spec.checked();
    } catch (Refusal e) {
      return CompletableFuture.failedFuture(e);
    }
    return volumes
        .apply(spec.volume())
        .thenApply(
            there -> {
              drills.put(spec.name(), new DrillState.Drill(spec, 0, Optional.empty(), List.of()));
              return drills.get(spec.name());
            });
  }

  @Override
  public CompletionStage<DrillState.Drill> get(String name) {
    DrillState.Drill drill = drills.get(name);
    return drill == null
        ? CompletableFuture.failedFuture(
            new Refusal(ErrorCode.NOT_FOUND, "there is no drill '" + Refusal.printable(name) + "'"))
        : CompletableFuture.completedFuture(drill);
  }

  @Override
  public CompletionStage<Void> delete(String name) {
    return get(name).thenAccept(drill -> drills.remove(name));
  }

  @Override
  public CompletionStage<DrillState.Drill> run(String name) {
    return get(name)
        .thenCombine(
            volumes.apply(new VolumeName("db")),
            (drill, volume) -> {
              DrillResult result =
                  new DrillResult(
                      "r1",
                      Optional.of(volume.id()),
                      Optional.of(POINT),
                      FakeServices.NOW,
                      FakeServices.NOW,
                      DrillResult.Verdict.PASSED,
                      "all is well");
              proven.put("db", new DrillState.Proven(volume.id(), POINT, name, FakeServices.NOW));
              drills.put(
                  name, new DrillState.Drill(drill.spec(), 0, Optional.empty(), List.of(result)));
              return drills.get(name);
            });
  }
}
