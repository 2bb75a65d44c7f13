package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.drill.DrillResult;
import io.tidemark.drill.DrillSpec;
import io.tidemark.drill.DrillState;
import io.tidemark.drillrun.Drills;
import io.tidemark.image.VolumePoints.Located;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** {@code /drills}: create, list, show, run, delete. */
final class DrillRoutes extends Exchange {
  private static final long LIMIT_SECONDS_DEFAULT = 600;
  private final Drills drills;

  DrillRoutes(Drills drills) {
    this.drills = drills;
  }

  Route route() {
    return pathPrefix(
        "drills",
        () ->
            concat(
                pathEndOrSingleSlash(() -> concat(get(this::list), post(this::create))),
                path(
                    segment(),
                    name ->
                        concat(
                            get(() -> answer(() -> drills.get(name).thenApply(DrillRoutes::view))),
                            delete(() -> answerDone(() -> drills.delete(name))))),
                path(
                    segment().slash("run"),
                    name ->
                        post(
                            () ->
                                answer(
                                    StatusCodes.ACCEPTED,
                                    () -> drills.run(name).thenApply(DrillRoutes::view))))));
  }

  private Route list() {
    return answer(
        () ->
            drills
                .all()
                .thenApply(
                    state -> {
                      ArrayNode json = Json.array();
                      state.drills().keySet().stream()
                          .sorted()
                          .forEach(name -> json.add(view(state.drills().get(name))));
                      return json;
                    }));
  }

  private Route create() {
    return body(
        List.of("name", "volume", "at", "check", "arguments", "everySeconds", "limitSeconds"),
        body -> {
          DrillSpec spec =
              new DrillSpec(
                  body.text("name"),
                  new VolumeName(body.text("volume")),
                  body.optionalText("at").orElse("latest"),
                  body.text("check"),
                  body.texts("arguments"),
                  body.optionalNumber("everySeconds").orElse(0),
                  body.optionalNumber("limitSeconds").orElse(LIMIT_SECONDS_DEFAULT));
          return answer(
              StatusCodes.CREATED, () -> drills.create(spec).thenApply(DrillRoutes::view));
        });
  }

  private static ObjectNode view(DrillState.Drill drill) {
    DrillSpec spec = drill.spec();
    ObjectNode json = Json.object();
    json.put("name", spec.name());
    json.put("volume", spec.volume().value());
    json.put("at", spec.at());
    json.put("check", spec.check());
    ArrayNode arguments = json.putArray("arguments");
    spec.arguments().forEach(arguments::add);
    json.put("everySeconds", spec.everySeconds());
    json.put("limitSeconds", spec.limitSeconds());
    if (drill.running().isPresent()) {
      json.putObject("running")
          .put("node", drill.running().get().node())
          .put("since", time(drill.running().get().startedMicros()));
    } else {
      json.putNull("running");
    }
    ArrayNode results = json.putArray("results");
    for (int i = drill.results().size() - 1; i >= 0; i--) {
      results.add(result(drill.results().get(i)));
    }
    return json;
  }

  /** What drills have found at this very point, newest first in each drill. */
  static ArrayNode resultsOn(Located located, DrillState drilled) {
    ArrayNode json = Json.array();
    drilled.drills().keySet().stream()
        .sorted()
        .map(drilled.drills()::get)
        .forEach(
            drill -> {
              for (int i = drill.results().size() - 1; i >= 0; i--) {
                DrillResult result = drill.results().get(i);
                if (result.volume().equals(Optional.of(located.volume()))
                    && result
                        .point()
                        .filter(point -> point.seq().equals(located.point().seq()))
                        .isPresent()) {
                  json.add(result(result).put("drill", drill.spec().name()));
                }
              }
            });
    return json;
  }

  private static ObjectNode result(DrillResult result) {
    ObjectNode json = Json.object();
    json.put("verdict", result.verdict().name().toLowerCase(Locale.ROOT));
    json.set("at", result.point().map(Views::point).orElse(null));
    json.put("started", time(result.startedMicros()));
    json.put("ended", time(result.endedMicros()));
    json.put("words", result.words());
    return json;
  }

  private static String time(long micros) {
    return new MicroTime(micros).toString();
  }
}
