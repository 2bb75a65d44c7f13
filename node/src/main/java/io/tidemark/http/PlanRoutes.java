package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.plan.PlanExposure;
import io.tidemark.plan.PlanRun;
import io.tidemark.plan.PlanRun.Kind;
import io.tidemark.plan.PlanSpec;
import io.tidemark.plan.PlanSpec.AfterLimit;
import io.tidemark.plan.PlanSpec.Automatic;
import io.tidemark.plan.PlanSpec.Hook;
import io.tidemark.plan.PlanSpec.Start;
import io.tidemark.plan.PlanSpec.Step;
import io.tidemark.plan.PlanSummary;
import io.tidemark.plan.Plans;
import io.tidemark.plan.RunOrder;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/** {@code /plans}: failover to another site, its commit, and the way back. */
final class PlanRoutes extends Exchange {
  private static final int LIMIT_SECONDS_DEFAULT = 60;
  private static final List<String> HOOK_FIELDS =
      List.of("site", "program", "arguments", "limitSeconds", "retries");
  private static final List<String> AUTOMATIC_FIELDS = List.of("witness", "afterSeconds");
  private static final Map<String, Kind> MODES =
      Map.of("planned", Kind.PLANNED, "forced", Kind.FORCED, "test", Kind.TEST);

  private final Plans plans;

  PlanRoutes(Plans plans) {
    this.plans = plans;
  }

  Route route() {
    return pathPrefix(
        "plans",
        () ->
            concat(
                pathEndOrSingleSlash(() -> concat(get(this::list), post(this::create))),
                pathPrefix(segment(), this::plan)));
  }

  private Route plan(String name) {
    return concat(
        pathEndOrSingleSlash(() -> get(() -> show(name))),
        path("failover", () -> post(() -> failover(name))),
        path("automatic", () -> concat(put(() -> automatic(name)), delete(() -> byOrder(name)))),
        path("commit", () -> post(() -> ordered(plans::commit, name))),
        path("rollback", () -> post(() -> ordered(plans::rollback, name))),
        path("failback", () -> post(() -> ordered(plans::failback, name))));
  }

  private Route list() {
    return answer(
        () ->
            plans
                .list()
                .thenApply(
                    all -> {
                      ArrayNode json = Json.array();
                      all.forEach(plan -> json.add(json(plan)));
                      return json;
                    }));
  }

  /** With what would be lost now. */
  private Route show(String name) {
    return answer(
        () ->
            plans
                .get(name)
                .thenCompose(
                    plan -> plans.exposure(name).thenApply(exposure -> exposed(plan, exposure))));
  }

  private Route ordered(Function<String, CompletionStage<PlanSummary>> order, String name) {
    return answer(StatusCodes.ACCEPTED, () -> order.apply(name).thenApply(PlanRoutes::json));
  }

  private Route failover(String name) {
    return body(
        List.of("mode", "at", "override"),
        body -> {
          Kind kind = MODES.get(body.text("mode"));
          if (kind == null) {
            throw new Refusal(ErrorCode.INVALID, "'mode' is one of planned, forced and test");
          }
          List<ErrorCode> overrides =
              body.texts("override", ErrorCode.values().length).stream()
                  .map(PlanRoutes::code)
                  .toList();
          RunOrder order =
              new RunOrder(kind, body.optionalText("at").orElse("latest"), overrides).checked();
          return answer(
              StatusCodes.ACCEPTED, () -> plans.failover(name, order).thenApply(PlanRoutes::json));
        });
  }

  private Route automatic(String name) {
    return body(
        AUTOMATIC_FIELDS,
        body -> {
          Automatic automatic = automatic(body);
          return answer(
              () ->
                  plans.automatic(name, Optional.of(automatic), false).thenApply(PlanRoutes::json));
        });
  }

  private Route byOrder(String name) {
    return parameterOptional(
        "override",
        override -> {
          boolean overridden =
              override.map(PlanRoutes::code).filter(ErrorCode.SECOND_PRIMARY::equals).isPresent();
          return answer(
              () ->
                  plans.automatic(name, Optional.empty(), overridden).thenApply(PlanRoutes::json));
        });
  }

  private static Automatic automatic(Body body) {
    return Automatic.of(
        body.text("witness"), small(body, "afterSeconds", Automatic.AFTER_SECONDS_DEFAULT));
  }

  private static ErrorCode code(String text) {
    try {
      return ErrorCode.valueOf(text);
    } catch (IllegalArgumentException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'%s' is no code that could be overridden: use NOT_SYNCHRONIZED, DARK_INTERVAL or SECOND_PRIMARY"
              .formatted(Refusal.printable(text)),
          e);
    }
  }

  private Route create() {
    return body(
        List.of(
            "name",
            "source",
            "target",
            "commitWithinSeconds",
            "afterLimit",
            "rpoSeconds",
            "rtoSeconds",
            "automatic",
            "steps"),
        body -> {
          List<String> fields =
              List.of("name", "group", "volumes", "pre", "post", "checks", "start");
          PlanSpec spec =
              new PlanSpec(
                  body.text("name"),
                  body.objects("steps", PlanSpec.STEPS_MAX, fields).stream()
                      .map(PlanRoutes::step)
                      .toList(),
                  body.text("source"),
                  body.text("target"),
                  small(body, "commitWithinSeconds", 0),
                  afterLimit(body.optionalText("afterLimit").orElse("stay")),
                  small(body, "rpoSeconds", 0),
                  small(body, "rtoSeconds", 0),
                  body.object("automatic", AUTOMATIC_FIELDS).map(PlanRoutes::automatic));
          return answer(StatusCodes.CREATED, () -> plans.create(spec).thenApply(PlanRoutes::json));
        });
  }

  private static AfterLimit afterLimit(String text) {
    return switch (text) {
      case "stay" -> AfterLimit.STAY;
      case "commit" -> AfterLimit.COMMIT;
      case "rollback" -> AfterLimit.ROLLBACK;
      default ->
          throw new Refusal(ErrorCode.INVALID, "'afterLimit' is one of stay, commit and rollback");
    };
  }

  private static Step step(Body body) {
    return new Step(
        body.text("name"),
        body.optionalText("group"),
        body.texts("volumes", PlanSpec.VOLUMES_MAX).stream().map(VolumeName::new).toList(),
        hooks(body, "pre"),
        hooks(body, "post"),
        hooks(body, "checks"),
        body.object("start", List.of("listen", "backing"))
            .map(start -> new Start(start.text("listen"), start.text("backing"))));
  }

  private static List<Hook> hooks(Body body, String field) {
    return body.objects(field, PlanSpec.HOOKS_MAX, HOOK_FIELDS).stream()
        .map(
            hook ->
                new Hook(
                    hook.text("site"),
                    hook.text("program"),
                    hook.texts("arguments", PlanSpec.ARGUMENTS_MAX),
                    small(hook, "limitSeconds", LIMIT_SECONDS_DEFAULT),
                    small(hook, "retries", 0)))
        .toList();
  }

  private static int small(Body body, String field, int otherwise) {
    long number = body.optionalWholeNumber(field).orElse((long) otherwise);
    if (number != (int) number) {
      throw new Refusal(ErrorCode.INVALID, "'" + field + "' cannot be " + number);
    }
    return (int) number;
  }

  // ---- views ----------------------------------------------------------------------------------

  private static ObjectNode exposed(PlanSummary plan, List<PlanExposure> exposure) {
    ObjectNode json = json(plan);
    ArrayNode all = json.putArray("exposure");
    for (PlanExposure one : exposure) {
      ObjectNode view = all.addObject();
      view.put("volume", one.volume().value());
      view.put("sourceSeq", one.sourceSeq());
      view.put("targetSeq", one.targetSeq());
      view.put("targetTime", time(one.targetMicros()));
      ObjectNode lost = view.putObject("lost");
      one.lostWrites().ifPresentOrElse(n -> lost.put("writes", n), () -> lost.putNull("writes"));
      one.lostBytes().ifPresentOrElse(n -> lost.put("bytes", n), () -> lost.putNull("bytes"));
      lost.put("seconds", one.lostSeconds());
      one.problem().ifPresentOrElse(p -> view.put("problem", p), () -> view.putNull("problem"));
    }
    return json;
  }

  private static ObjectNode json(PlanSummary plan) {
    PlanSpec spec = plan.spec();
    ObjectNode json = Json.object();
    json.put("name", spec.name());
    json.put("source", spec.source());
    json.put("target", spec.target());
    json.put("state", plan.state());
    json.put("site", plan.site());
    json.put("generation", plan.generation());
    json.put("commitUntil", time(plan.commitUntilMicros()));
    json.put("code", plan.code().map(Enum::name).orElse(null));
    json.put("reason", plan.reason());
    json.put("commitWithinSeconds", spec.commitWithinSeconds());
    json.put("afterLimit", spec.afterLimit().name().toLowerCase(Locale.ROOT));
    json.put("rpoSeconds", spec.rpoSeconds());
    json.put("rtoSeconds", spec.rtoSeconds());
    json.set("automatic", automatic(plan));
    ArrayNode steps = json.putArray("steps");
    spec.steps().forEach(step -> steps.add(json(step)));
    plan.run().ifPresentOrElse(run -> json.set("run", json(spec, run)), () -> json.putNull("run"));
    return json;
  }

  private static ObjectNode automatic(PlanSummary plan) {
    if (plan.spec().automatic().isEmpty()) {
      return null;
    }
    Automatic automatic = plan.spec().automatic().get();
    ObjectNode json = Json.object();
    json.put("witness", automatic.witness());
    json.put("afterSeconds", automatic.afterSeconds());
    plan.lease()
        .ifPresent(
            lease -> {
              json.put("armed", lease.armed());
              json.put("holder", lease.holder().isEmpty() ? null : lease.holder());
              json.put("until", time(lease.untilMicros()));
              json.put("seenFrom", lease.site());
              json.put("witnessSaid", lease.witness());
              json.put("targetSaid", lease.target());
            });
    return json;
  }

  private static ObjectNode json(Step step) {
    ObjectNode json = Json.object();
    json.put("name", step.name());
    json.put("group", step.group().orElse(null));
    ArrayNode volumes = json.putArray("volumes");
    step.volumes().forEach(volume -> volumes.add(volume.value()));
    hooks(json.putArray("pre"), step.pre());
    hooks(json.putArray("post"), step.post());
    hooks(json.putArray("checks"), step.checks());
    step.start()
        .ifPresentOrElse(
            start ->
                json.putObject("start")
                    .put("listen", start.listen())
                    .put("backing", start.backing()),
            () -> json.putNull("start"));
    return json;
  }

  private static void hooks(ArrayNode all, List<Hook> hooks) {
    for (Hook hook : hooks) {
      ObjectNode view = all.addObject();
      view.put("site", hook.site());
      view.put("program", hook.program());
      ArrayNode arguments = view.putArray("arguments");
      hook.arguments().forEach(arguments::add);
      view.put("limitSeconds", hook.limitSeconds());
      view.put("retries", hook.retries());
    }
  }

  private static ObjectNode json(PlanSpec spec, PlanRun run) {
    ObjectNode json = Json.object();
    json.put("mode", run.kind().name().toLowerCase(Locale.ROOT));
    json.put("automatic", run.automatic());
    json.put("from", run.from());
    json.put("to", run.to());
    json.put("at", run.at());
    json.put("started", time(run.startedMicros()));
    json.put("promoted", time(run.promotedMicros()));
    json.put("ended", time(run.endedMicros()));
    if (run.promotedMicros() > 0) {
      json.put("rtoSeconds", (run.promotedMicros() - run.startedMicros()) / 1e6);
    }
    ArrayNode tasks = json.putArray("tasks");
    for (int i = 0; i < run.tasks().size(); i++) {
      PlanRun.Task task = run.tasks().get(i);
      ObjectNode view = tasks.addObject();
      view.put("task", task.text());
      view.put("step", task.step() < 0 ? null : spec.steps().get(task.step()).name());
      boolean done = i < run.outcomes().size();
      view.put(
          "state",
          done
              ? run.outcomes().get(i).succeeded() ? "done" : "failed"
              : i == run.next() ? "under way" : "to come");
      view.put("words", done ? run.outcomes().get(i).words() : "");
    }
    ArrayNode volumes = json.putArray("volumes");
    run.volumes().forEach(volume -> volumes.add(json(volume)));
    return json;
  }

  private static ObjectNode json(PlanRun.Volume volume) {
    ObjectNode json = Json.object();
    json.put("volume", volume.name().value());
    json.put("epoch", volume.promotedEpoch() > 0 ? volume.promotedEpoch() : volume.epoch());
    json.put("sourceSeq", volume.sourceHead());
    json.put("sourceFenced", volume.fenced());
    json.put("goesOnAtSeq", volume.forkSeq());
    volume
        .lostWrites()
        .ifPresentOrElse(n -> json.put("lostWrites", n), () -> json.putNull("lostWrites"));
    return json;
  }

  private static String time(long micros) {
    return micros == 0 ? null : new MicroTime(micros).toString();
  }
}
