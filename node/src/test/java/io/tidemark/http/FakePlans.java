package io.tidemark.http;

import io.tidemark.plan.PlanExposure;
import io.tidemark.plan.PlanRun;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.plan.PlanSpec;
import io.tidemark.plan.PlanSummary;
import io.tidemark.plan.Plans;
import io.tidemark.plan.RunOrder;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.witness.LeaseReport;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentSkipListMap;

/** Plans in memory whose runs are over at once; every volume would lose ten writes. */
final class FakePlans implements Plans {
  private final Map<String, PlanSummary> plans = new ConcurrentSkipListMap<>();

  private static <T> CompletionStage<T> refuse(ErrorCode code, String sentence) {
    return CompletableFuture.failedFuture(new Refusal(code, sentence));
  }

  @Override
  public CompletionStage<PlanSummary> create(PlanSpec spec) {
    try {
      plans.putIfAbsent(
          spec.checked().name(),
          new PlanSummary(
              spec, spec.source(), 0, "Ready", Optional.empty(), 0, Optional.empty(), ""));
      return get(spec.name());
    } catch (Refusal e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  @Override
  public CompletionStage<PlanSummary> automatic(
      String name, Optional<PlanSpec.Automatic> automatic, boolean overridden) {
    return get(name)
        .thenApply(
            plan -> {
              PlanSummary changed =
                  new PlanSummary(
                      plan.spec().with(automatic).checked(),
                      plan.site(),
                      plan.generation(),
                      plan.state(),
                      plan.run(),
                      plan.commitUntilMicros(),
                      plan.code(),
                      plan.reason(),
                      automatic.map(on -> LeaseReport.none(plan.site())));
              plans.put(name, changed);
              return changed;
            });
  }

  @Override
  public CompletionStage<List<PlanSummary>> list() {
    return CompletableFuture.completedFuture(List.copyOf(plans.values()));
  }

  @Override
  public CompletionStage<PlanSummary> get(String name) {
    PlanSummary plan = plans.get(name);
    return plan == null
        ? refuse(ErrorCode.NOT_FOUND, "there is no plan '" + Refusal.printable(name) + "'")
        : CompletableFuture.completedFuture(plan);
  }

  @Override
  public CompletionStage<List<PlanExposure>> exposure(String name) {
    return get(name)
        .thenApply(
            plan ->
                plan.spec().volumes().stream()
                    .map(
                        volume ->
                            new PlanExposure(
                                volume,
                                FakeServices.HEAD,
                                FakeServices.HEAD - 10,
                                FakeServices.NOW,
                                Optional.of(10L),
                                Optional.of(40_960L),
                                2.5,
                                Optional.empty()))
                    .toList());
  }

  private CompletionStage<PlanSummary> over(
      String name, Kind kind, String at, String expected, String state) {
    return get(name)
        .thenCompose(
            plan -> {
              if (!plan.state().equals(expected)) {
                return refuse(ErrorCode.BUSY, "plan '" + name + "' is " + plan.state());
              }
              PlanSpec spec = plan.spec();
              PlanRun.Volume volume =
                  new PlanRun.Volume(
                      spec.volumes().get(0),
                      512,
                      1,
                      new UUID(1, 2),
                      FakeServices.HEAD,
                      true,
                      FakeServices.HEAD - 10,
                      FakeServices.NOW,
                      2,
                      0);
              PlanRun run =
                  new PlanRun(
                      new UUID(3, 4),
                      plan.generation() + 1,
                      kind,
                      spec.source(),
                      spec.target(),
                      at,
                      List.of(
                          new PlanRun.Task(
                              PlanRun.TaskKind.PROMOTE, 0, Optional.of(volume.name()), -1, true)),
                      1,
                      List.of(
                          new PlanRun.Outcome(true, 1, 2, 2, -1, "primary in epoch 2 on epoch-2")),
                      List.of(volume),
                      FakeServices.START,
                      FakeServices.START + 1_500_000,
                      FakeServices.START + 2_000_000);
              PlanSummary next =
                  new PlanSummary(
                      spec,
                      spec.target(),
                      plan.generation() + 1,
                      state,
                      Optional.of(run),
                      0,
                      Optional.empty(),
                      "");
              plans.put(name, next);
              return CompletableFuture.completedFuture(next);
            });
  }

  @Override
  public CompletionStage<PlanSummary> failover(String name, RunOrder order) {
    return over(
        name,
        order.kind(),
        order.at(),
        "Ready",
        order.kind() == Kind.TEST ? "Tested" : "FailedOver");
  }

  @Override
  public CompletionStage<PlanSummary> commit(String name) {
    return over(name, Kind.COMMIT, "latest", "FailedOver", "Committed");
  }

  @Override
  public CompletionStage<PlanSummary> rollback(String name) {
    return over(name, Kind.ROLLBACK, "latest", "FailedOver", "Ready");
  }

  @Override
  public CompletionStage<PlanSummary> failback(String name) {
    return over(name, Kind.FAILBACK, "latest", "Committed", "Ready");
  }
}
