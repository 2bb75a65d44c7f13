package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.catalog.TagCatalog;
import io.tidemark.drill.DrillState;
import io.tidemark.drillrun.Drills;
import io.tidemark.group.Groups;
import io.tidemark.image.ImageSummary;
import io.tidemark.image.Images;
import io.tidemark.image.VolumePoints;
import io.tidemark.position.At;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.Site;
import io.tidemark.site.VolumeSummary;
import io.tidemark.tag.TagSummary;
import io.tidemark.verify.Verifications;
import java.time.DateTimeException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** {@code /volumes}: create, list, show, delete, timeline, points, files, verify. */
final class VolumeRoutes extends Exchange {
  static final int SECTOR_BYTES = 512;
  private static final Logger LOG = LoggerFactory.getLogger(VolumeRoutes.class);
  static final long VOLUME_BYTES_MAX = 64L << 40;

  /** Tags that a timeline shows, the newest. */
  private static final int TIMELINE_TAGS_MAX = 200;

  /** Open images that a refusal names; of more it tells the number. */
  private static final int IMAGES_NAMED_MAX = 10;

  private final Site site;
  private final Groups groups;
  private final VolumePoints points;
  private final Images images;
  private final Verifications verifications;
  private final Drills drills;
  private final FileRoutes files;
  private final MicroClock clock;

  VolumeRoutes(
      Site site,
      Groups groups,
      VolumePoints points,
      Images images,
      Verifications verifications,
      Drills drills,
      FileRoutes files,
      MicroClock clock) {
    this.site = site;
    this.groups = groups;
    this.points = points;
    this.images = images;
    this.verifications = verifications;
    this.drills = drills;
    this.files = files;
    this.clock = clock;
  }

  Route route() {
    return pathPrefix(
        "volumes",
        () ->
            concat(
                pathEndOrSingleSlash(() -> concat(get(this::list), post(this::create))),
                pathPrefix(segment(), text -> volume(new VolumeName(text)))));
  }

  private Route volume(VolumeName name) {
    return concat(
        pathEndOrSingleSlash(() -> concat(get(() -> show(name)), delete(() -> remove(name)))),
        path("timeline", () -> get(() -> timeline(name))),
        path("points", () -> get(() -> point(name))),
        files.ofVolume(name),
        path(
            "verify",
            () ->
                post(
                    () ->
                        answer(
                            StatusCodes.ACCEPTED,
                            () -> verifications.verify(name).thenApply(Views::job)))));
  }

  private Route list() {
    return answer(
        () ->
            site.volumes()
                .thenCombine(
                    drillState(),
                    (volumes, drilled) -> {
                      ArrayNode json = Json.array();
                      volumes.forEach(volume -> json.add(view(volume, drilled)));
                      return json;
                    }));
  }

  private Route create() {
    return body(
        List.of("name", "sizeBytes", "synchronous"),
        body -> {
          VolumeName name = new VolumeName(body.text("name"));
          long size = checkedSize(body.wholeNumber("sizeBytes"));
          boolean synchronous = body.flag("synchronous");
          return answer(
              StatusCodes.CREATED,
              () ->
                  site.createVolume(name, size, synchronous)
                      .thenApply(volume -> Views.volume(volume, clock.micros())));
        });
  }

  private static long checkedSize(long size) {
    if (size <= 0 || size % SECTOR_BYTES != 0) {
      throw new Refusal(
          ErrorCode.INVALID,
          size + " bytes is no volume size: use a multiple of " + SECTOR_BYTES + " above 0");
    }
    if (size > VOLUME_BYTES_MAX) {
      throw new Refusal(
          ErrorCode.LIMIT, size + " bytes exceed the largest volume, " + VOLUME_BYTES_MAX);
    }
    return size;
  }

  private Route show(VolumeName name) {
    return answer(() -> site.volume(name).thenCombine(drillState(), this::view));
  }

  private ObjectNode view(VolumeSummary volume, DrillState drilled) {
    ObjectNode json = Views.volume(volume, clock.micros());
    json.set("proven", proven(drilled, volume.name(), volume.id()));
    return json;
  }

  /** What drills have proven; a volume is shown without it rather than not at all. */
  private CompletionStage<DrillState> drillState() {
    return drills
        .all()
        .exceptionally(
            failure -> {
              LOG.warn("the drills' results are not known now", failure);
              return new DrillState(Map.of(), Map.of());
            });
  }

  private static ObjectNode proven(DrillState drilled, VolumeName name, VolumeId volume) {
    DrillState.Proven proven = drilled.proven().get(name.value());
    if (proven == null || !proven.volume().equals(volume)) {
      return null;
    }
    return Views.point(proven.point())
        .put("drill", proven.drill())
        .put("checked", new MicroTime(proven.atMicros()).toString());
  }

  private Route remove(VolumeName name) {
    return parameterOptional(
        "confirm",
        confirm -> {
          if (!confirm.equals(Optional.of(name.value()))) {
            throw new Refusal(
                ErrorCode.INVALID,
                "deleting '"
                    + name
                    + "' destroys its whole history: repeat with confirm="
                    + name
                    + " to go on");
          }
          return answerDone(
              () ->
                  images
                      .list()
                      .thenCompose(
                          open -> {
                            refuseIfOpen(name, open);
                            return site.deleteVolume(name);
                          }));
        });
  }

  /** An image reads the history that would be deleted. */
  private static void refuseIfOpen(VolumeName name, List<ImageSummary> open) {
    List<String> names =
        open.stream().filter(image -> image.volume().equals(name)).map(ImageSummary::name).toList();
    if (names.isEmpty()) {
      return;
    }
    int more = names.size() - IMAGES_NAMED_MAX;
    throw new Refusal(
        ErrorCode.BUSY,
        "volume '"
            + name
            + "' has open images, close them first: "
            + String.join(", ", names.subList(0, Math.min(names.size(), IMAGES_NAMED_MAX)))
            + (more > 0 ? " and " + more + " more" : ""));
  }

  private Route point(VolumeName name) {
    return parameterOptional(
        "at",
        text -> {
          At at = At.parse(text.orElse("latest"));
          return answer(
              () ->
                  points
                      .locate(name, at)
                      .thenCombine(
                          drillState(),
                          (located, drilled) -> {
                            ObjectNode json = Views.point(located.point());
                            json.set("drills", DrillRoutes.resultsOn(located, drilled));
                            json.put("volume", name.value());
                            json.put("sizeBytes", located.sizeBytes());
                            json.set("at", Views.point(located.point()));
                            return (JsonNode) json;
                          }));
        });
  }

  private Route timeline(VolumeName name) {
    return parameterMap(
        parameters -> {
          Optional<MicroTime> from = time(parameters.get("from"), "from");
          Optional<MicroTime> to = time(parameters.get("to"), "to");
          int buckets = buckets(parameters.get("buckets"));
          return answer(() -> timeline(name, from, to, buckets));
        });
  }

  private CompletionStage<? extends JsonNode> timeline(
      VolumeName name, Optional<MicroTime> from, Optional<MicroTime> to, int buckets) {
    return site.history(name)
        .thenCompose(
            history ->
                new Timeline(name, history, points)
                    .between(from, to, buckets)
                    .thenCombine(
                        drillState(),
                        (timeline, drilled) ->
                            timeline.<ObjectNode>set(
                                "proven", proven(drilled, name, history.volume()))))
        .thenCompose(json -> withTags(name, json));
  }

  /** Tags are the points that people look for first. */
  private CompletionStage<ObjectNode> withTags(VolumeName name, ObjectNode json) {
    long from = MicroTime.parse(json.path("from").asText()).micros();
    long to = MicroTime.parse(json.path("to").asText()).micros();
    return groups
        .tagsOf(name, new TagCatalog.Query(from, to, "", TIMELINE_TAGS_MAX))
        .thenApply(
            found -> {
              ArrayNode tags = json.putArray("tags");
              for (TagSummary tag : found.tags()) {
                tag.markOf(name)
                    .ifPresent(
                        mark ->
                            tags.addObject()
                                .put("group", tag.spec().group())
                                .put("name", tag.spec().name())
                                .put("seq", mark.seq())
                                .put("time", new MicroTime(mark.timeMicros()).toString())
                                .put(
                                    "consistency",
                                    tag.applicationConsistent() ? "application" : "crash")
                                .put("locked", tag.locked()));
              }
              json.put("moreTags", found.more());
              return json;
            });
  }

  private static int buckets(String text) {
    if (text == null) {
      return Timeline.BUCKETS_DEFAULT;
    }
    try {
      int buckets = Integer.parseInt(text);
      if (buckets >= 1 && buckets <= Timeline.BUCKETS_MAX) {
        return buckets;
      }
    } catch (NumberFormatException e) {
      throw wrongBuckets(text, e);
    }
    throw wrongBuckets(text, null);
  }

  private static Refusal wrongBuckets(String text, Exception cause) {
    return new Refusal(
        ErrorCode.INVALID,
        "buckets="
            + Refusal.printable(text)
            + " must be a whole number from 1 to "
            + Timeline.BUCKETS_MAX,
        cause);
  }

  private static Optional<MicroTime> time(String text, String parameter) {
    if (text == null) {
      return Optional.empty();
    }
    try {
      return Optional.of(MicroTime.parse(text));
    } catch (DateTimeException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          parameter
              + "="
              + Refusal.printable(text)
              + " is no time: use ISO-8601 such as 2026-01-31T12:00:00.000001Z",
          e);
    }
  }
}
