package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.image.VolumePoints;
import io.tidemark.position.At;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.retention.KeptTag;
import io.tidemark.retention.RetentionPolicy;
import io.tidemark.site.Retention;
import io.tidemark.site.RetentionSummary;
import io.tidemark.sizing.Sizing;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * {@code /volumes/{name}/retention}, {@code holds} and {@code sizing}: how much history a volume
 * keeps, what holds more, and how much journal which history takes.
 */
final class RetentionRoutes extends Exchange {
  private static final long MICROS = 1_000_000;

  /** Holds that clients ask for cannot be taken for those of the node's own. */
  private static final String CLIENT = "client:";

  private static final Pattern HOLDER = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}");
  private static final long HOLD_SECONDS_MAX = Duration.ofDays(7).toSeconds();

  private final Retention retention;
  private final VolumePoints points;
  private final Sizing sizing;

  RetentionRoutes(Retention retention, VolumePoints points, Sizing sizing) {
    this.retention = retention;
    this.points = points;
    this.sizing = sizing;
  }

  Route route() {
    return concat(
        path(
            segment("volumes").slash(segment()).slash("retention"),
            text -> {
              VolumeName name = new VolumeName(text);
              return concat(get(() -> show(name)), put(() -> set(name)));
            }),
        path(
            segment("volumes").slash(segment()).slash("holds").slash(segment()),
            (text, holder) -> {
              VolumeName name = new VolumeName(text);
              return concat(put(() -> hold(name, holder)), delete(() -> release(name, holder)));
            }),
        path(
            segment("volumes").slash(segment()).slash("sizing"),
            text -> post(() -> size(new VolumeName(text)))));
  }

  private Route size(VolumeName name) {
    return body(
        List.of("windowsSeconds", "capBytes"),
        body -> {
          List<Long> windows = body.wholeNumbers("windowsSeconds", Sizing.WINDOWS_MAX);
          long cap = body.optionalWholeNumber("capBytes").orElse(0L);
          return answer(
              StatusCodes.ACCEPTED, () -> sizing.size(name, windows, cap).thenApply(Views::job));
        });
  }

  private Route hold(VolumeName name, String holder) {
    String who = holder(holder);
    return body(
        List.of("at", "onward", "seconds"),
        body -> {
          At at = At.parse(body.text("at"));
          boolean onward = body.flag("onward");
          long seconds = body.wholeNumber("seconds");
          if (seconds < 1 || seconds > HOLD_SECONDS_MAX) {
            throw new Refusal(
                ErrorCode.INVALID,
                "a point is held for 1 to %d seconds at a time, not %d: repeat this before they are over"
                    .formatted(HOLD_SECONDS_MAX, seconds));
          }
          return answer(
              () ->
                  points
                      .locate(name, at)
                      .thenCompose(
                          located ->
                              points
                                  .hold(located, who, onward, Duration.ofSeconds(seconds))
                                  .thenApply(held -> Views.point(located.point()))));
        });
  }

  private Route release(VolumeName name, String holder) {
    String who = holder(holder);
    return answerDone(() -> points.release(name, who));
  }

  private static String holder(String text) {
    if (!HOLDER.matcher(text).matches()) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'%s' is no name of a holder: use letters, digits and . _ : + -, at most 128"
              .formatted(Refusal.printable(text)));
    }
    return CLIENT + text;
  }

  private Route show(VolumeName name) {
    return answer(() -> retention.retention(name).thenApply(RetentionRoutes::json));
  }

  /** The whole policy: what is left out is not limited. */
  private Route set(VolumeName name) {
    return body(
        List.of("windowSeconds", "capBytes", "hardCapBytes", "ladder"),
        body -> {
          RetentionPolicy policy =
              new RetentionPolicy(
                  micros(body.optionalWholeNumber("windowSeconds").orElse(0L), "windowSeconds"),
                  body.optionalWholeNumber("capBytes").orElse(0L),
                  body.optionalWholeNumber("hardCapBytes").orElse(0L),
                  ladder(body));
          return answer(
              () ->
                  retention
                      .setRetention(name, policy)
                      .thenCompose(set -> retention.retention(name))
                      .thenApply(RetentionRoutes::json));
        });
  }

  private static List<RetentionPolicy.Rung> ladder(Body body) {
    List<RetentionPolicy.Rung> ladder = new ArrayList<>();
    for (Body rung :
        body.objects("ladder", RetentionPolicy.RUNGS_MAX, List.of("everySeconds", "forSeconds"))) {
      ladder.add(
          new RetentionPolicy.Rung(
              micros(rung.wholeNumber("everySeconds"), "everySeconds"),
              micros(rung.wholeNumber("forSeconds"), "forSeconds")));
    }
    return List.copyOf(ladder);
  }

  private static long micros(long seconds, String field) {
    if (seconds < 0 || seconds > RetentionPolicy.SPAN_MICROS_MAX / MICROS) {
      throw new Refusal(
          ErrorCode.INVALID,
          "%s is a number of seconds from 0 to %d, not %d"
              .formatted(field, RetentionPolicy.SPAN_MICROS_MAX / MICROS, seconds));
    }
    return seconds * MICROS;
  }

  private static JsonNode json(RetentionSummary summary) {
    ObjectNode json = Json.object();
    RetentionPolicy policy = summary.policy();
    json.put("volume", summary.volume().value());
    json.put("windowSeconds", policy.windowMicros() / MICROS);
    json.put("capBytes", policy.capBytes());
    json.put("hardCapBytes", policy.hardCapBytes());
    ArrayNode ladder = json.putArray("ladder");
    for (RetentionPolicy.Rung rung : policy.ladder()) {
      ladder
          .addObject()
          .put("everySeconds", rung.everyMicros() / MICROS)
          .put("forSeconds", rung.forMicros() / MICROS);
    }
    json.set("head", Views.point(summary.head()));
    json.set("horizon", Views.point(summary.horizon()));
    json.putObject("journal")
        .put("rawBytes", summary.rawBytes())
        .put("storedBytes", summary.storedBytes())
        .put("freedBytes", summary.freedBytes())
        .put("copiedBytes", summary.copiedBytes())
        .put("deleting", summary.deleting());
    json.put("overCap", summary.overCap());
    json.put("overHardCap", summary.overHardCap());
    json.put("lostHolds", summary.lostHolds());
    ArrayNode holds = json.putArray("holds");
    for (RetentionSummary.Hold hold : summary.holds()) {
      holds
          .addObject()
          .put("holder", hold.holder())
          .put("seq", hold.seq())
          .put("onward", hold.onward())
          .put("until", new MicroTime(hold.untilMicros()).toString());
    }
    ArrayNode tags = json.putArray("tags");
    for (KeptTag tag : summary.tags()) {
      tags.addObject()
          .put("name", tag.name())
          .put("seq", tag.seq())
          .put("time", new MicroTime(tag.timeMicros()).toString())
          .put("locked", tag.locked())
          .put(
              "until", tag.untilMicros() == 0 ? null : new MicroTime(tag.untilMicros()).toString());
    }
    return json;
  }
}
