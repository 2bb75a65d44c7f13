package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.model.StatusCode;
import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.catalog.TagCatalog;
import io.tidemark.group.Groups;
import io.tidemark.group.Schedule;
import io.tidemark.group.TagRequest;
import io.tidemark.group.TagWords;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.tag.ConsistencyTag;
import io.tidemark.tag.TagSummary;
import java.time.DateTimeException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/** {@code /groups}: volumes whose tags are consistent with each other, and those tags. */
final class GroupRoutes extends Exchange {
  private static final int TAGS_DEFAULT = 100;
  private static final int APPLICATIONS_MAX = 64;

  private final Groups groups;
  private final MicroClock clock;

  GroupRoutes(Groups groups, MicroClock clock) {
    this.groups = groups;
    this.clock = clock;
  }

  Route route() {
    return pathPrefix(
        "groups",
        () ->
            concat(
                pathEndOrSingleSlash(() -> concat(get(this::list), post(this::create))),
                pathPrefix(segment(), this::group)));
  }

  private Route group(String name) {
    return concat(
        pathEndOrSingleSlash(() -> concat(get(() -> show(name)), delete(() -> remove(name)))),
        path(
            segment("schedules").slash(segment()),
            schedule ->
                concat(
                    put(() -> setSchedule(name, schedule)),
                    delete(() -> answer(() -> removed(name, schedule))))),
        pathPrefix(
            "tags",
            () ->
                concat(
                    pathEndOrSingleSlash(
                        () -> concat(get(() -> tags(name)), post(() -> take(name)))),
                    path(segment(), tag -> get(() -> tag(name, tag))),
                    path(
                        segment().slash("lock"),
                        tag ->
                            concat(
                                put(() -> lock(name, tag, true)),
                                delete(() -> lock(name, tag, false)))))));
  }

  private CompletionStage<ObjectNode> removed(String name, String schedule) {
    return groups.removeSchedule(name, schedule).thenApply(TagViews::group);
  }

  private Route list() {
    return answer(
        () ->
            groups
                .list()
                .thenApply(
                    all -> {
                      ArrayNode json = Json.array();
                      all.forEach(group -> json.add(TagViews.group(group)));
                      return json;
                    }));
  }

  private Route create() {
    return body(
        List.of("name", "volumes"),
        body -> {
          String name = body.text("name");
          List<VolumeName> volumes =
              body.texts("volumes", ConsistencyTag.VOLUMES_MAX).stream()
                  .map(VolumeName::new)
                  .toList();
          return answer(
              StatusCodes.CREATED, () -> groups.create(name, volumes).thenApply(TagViews::group));
        });
  }

  private Route show(String name) {
    return answer(() -> groups.get(name).thenApply(TagViews::group));
  }

  private Route remove(String name) {
    return answerDone(() -> groups.delete(name));
  }

  private Route setSchedule(String group, String name) {
    return body(
        List.of("everySeconds", "keepSeconds", "pattern", "consistency", "applications"),
        body -> {
          long every = body.wholeNumber("everySeconds");
          Schedule schedule =
              new Schedule(
                  name,
                  (int) Math.max(0, Math.min(every, Integer.MAX_VALUE)),
                  body.optionalWholeNumber("keepSeconds").orElse(0L),
                  body.optionalText("pattern").orElse(name + "-{time}"),
                  application(body),
                  body.texts("applications", APPLICATIONS_MAX));
          return answer(() -> groups.setSchedule(group, schedule).thenApply(TagViews::group));
        });
  }

  private static boolean application(Body body) {
    String consistency = body.optionalText("consistency").orElse("crash");
    return switch (consistency) {
      case "crash" -> false;
      case "application" -> true;
      default ->
          throw new Refusal(
              ErrorCode.INVALID, "'consistency' must be \"crash\" or \"application\"");
    };
  }

  private Route tags(String group) {
    return parameterMap(
        parameters ->
            answer(
                () ->
                    found(group, parameters.get("words"), query(parameters))
                        .thenApply(
                            found -> {
                              ObjectNode json = Json.object();
                              ArrayNode list = json.putArray("tags");
                              found.tags().forEach(tag -> list.add(TagViews.tag(tag)));
                              json.put("more", found.more());
                              json.put(
                                  "next",
                                  found.more()
                                      ? new MicroTime(found.untilMicros() - 1).toString()
                                      : null);
                              return (JsonNode) json;
                            })));
  }

  private CompletionStage<Groups.TagList> found(
      String group, String words, TagCatalog.Query query) {
    return words == null
        ? groups.tags(group, query)
        : groups.search(group, TagWords.parse(words), query);
  }

  private TagCatalog.Query query(Map<String, String> parameters) {
    long to = time(parameters.get("to"), "to").orElse(clock.micros());
    long from = time(parameters.get("from"), "from").orElse(0L);
    if (from > to) {
      throw new Refusal(ErrorCode.INVALID, "'from' must not be after 'to'");
    }
    int limit = TAGS_DEFAULT;
    String text = parameters.get("limit");
    if (text != null) {
      try {
        limit = Integer.parseInt(text);
      } catch (NumberFormatException e) {
        throw wrongLimit(text, e);
      }
    }
    if (limit < 1 || limit > TagCatalog.LIMIT_MAX) {
      throw wrongLimit(text, null);
    }
    return new TagCatalog.Query(from, to, parameters.getOrDefault("prefix", ""), limit);
  }

  private static Refusal wrongLimit(String text, Exception cause) {
    return new Refusal(
        ErrorCode.INVALID,
        "limit=%s must be a whole number from 1 to %d"
            .formatted(Refusal.printable(text), TagCatalog.LIMIT_MAX),
        cause);
  }

  private static Optional<Long> time(String text, String parameter) {
    if (text == null) {
      return Optional.empty();
    }
    try {
      return Optional.of(MicroTime.parse(text).micros());
    } catch (DateTimeException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          "%s=%s is no time: use ISO-8601 such as 2026-01-31T12:00:00.000001Z"
              .formatted(parameter, Refusal.printable(text)),
          e);
    }
  }

  private Route take(String group) {
    return body(
        List.of("name", "consistency", "applications", "notes", "expires"),
        body -> {
          TagRequest request =
              new TagRequest(
                  body.text("name"),
                  application(body),
                  body.texts("applications", APPLICATIONS_MAX),
                  body.optionalText("notes").orElse(""),
                  expires(body.optionalText("expires")));
          return respond(
              () ->
                  groups
                      .take(group, request)
                      .thenApply(tag -> Json.response(status(tag), TagViews.tag(tag))));
        });
  }

  private long expires(Optional<String> text) {
    long micros = text.flatMap(t -> time(t, "expires")).orElse(0L);
    if (text.isPresent() && micros <= clock.micros()) {
      throw new Refusal(ErrorCode.INVALID, "'expires' must lie in the future");
    }
    return micros;
  }

  /** A tag that failed is a refusal; one that is still being journaled was accepted. */
  private static StatusCode status(TagSummary tag) {
    if (tag.code().isPresent()) {
      throw new Refusal(tag.code().get(), "tag '" + tag.spec().name() + "': " + tag.reason());
    }
    return tag.committed() ? StatusCodes.CREATED : StatusCodes.ACCEPTED;
  }

  private Route tag(String group, String tag) {
    return answer(() -> groups.tag(group, tag).thenApply(TagViews::tag));
  }

  private Route lock(String group, String tag, boolean locked) {
    return answer(() -> groups.lock(group, tag, locked).thenApply(TagViews::tag));
  }
}
