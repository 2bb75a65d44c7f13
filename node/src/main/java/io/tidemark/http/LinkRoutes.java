package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.link.LinkRules;
import io.tidemark.link.LinkSpec;
import io.tidemark.link.LinkSummary;
import io.tidemark.link.Links;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.replication.Throttle;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** {@code /links}: the replication of volumes and groups to other sites. */
final class LinkRoutes extends Exchange {
  private final Links links;

  LinkRoutes(Links links) {
    this.links = links;
  }

  Route route() {
    return pathPrefix(
        "links",
        () ->
            concat(
                pathEndOrSingleSlash(() -> concat(get(this::list), post(this::create))),
                pathPrefix(segment(), this::link)));
  }

  private Route link(String name) {
    return concat(
        pathEndOrSingleSlash(
            () ->
                concat(
                    get(() -> answer(() -> links.get(name).thenApply(LinkRoutes::json))),
                    patch(() -> change(name)),
                    delete(() -> answerDone(() -> links.delete(name))))),
        path(
            "resync",
            () -> post(() -> answer(() -> links.resync(name).thenApply(LinkRoutes::json)))));
  }

  private Route list() {
    return answer(
        () ->
            links
                .list()
                .thenApply(
                    all -> {
                      ArrayNode json = Json.array();
                      all.forEach(link -> json.add(json(link)));
                      return json;
                    }));
  }

  private Route create() {
    return body(
        List.of(
            "name",
            "volumes",
            "group",
            "to",
            "bytesPerSecond",
            "windows",
            "priority",
            "rpoSeconds"),
        body -> {
          List<VolumeName> volumes =
              body.texts("volumes", LinkSpec.VOLUMES_MAX).stream().map(VolumeName::new).toList();
          Optional<String> group = body.optionalText("group");
          String to = body.text("to");
          String name = body.optionalText("name").orElseGet(() -> name(volumes, group, to));
          LinkRules rules = rules(body, LinkRules.DEFAULT);
          return answer(
              StatusCodes.CREATED,
              () ->
                  links
                      .create(new Links.NewLink(name, volumes, group, to, rules))
                      .thenApply(LinkRoutes::json));
        });
  }

  private static String name(List<VolumeName> volumes, Optional<String> group, String to) {
    String what = group.orElseGet(() -> volumes.isEmpty() ? "link" : volumes.get(0).value());
    return what + "-to-" + to;
  }

  private Route change(String name) {
    return body(
        List.of("paused", "bytesPerSecond", "windows", "priority", "rpoSeconds"),
        body ->
            answer(
                () ->
                    links
                        .get(name)
                        .thenCompose(
                            now -> {
                              LinkRules wanted = rules(body, now.rules());
                              return wanted.equals(now.rules())
                                  ? CompletableFuture.completedStage(now)
                                  : links.setRules(name, wanted);
                            })
                        .thenCompose(now -> paused(name, body, now))
                        .thenApply(LinkRoutes::json)));
  }

  private CompletionStage<LinkSummary> paused(String name, Body body, LinkSummary now) {
    if (!body.has("paused")) {
      return CompletableFuture.completedStage(now);
    }
    return body.flag("paused") ? links.pause(name) : links.resume(name);
  }

  /** What the body does not say stays as it is. */
  private static LinkRules rules(Body body, LinkRules now) {
    long rate = body.optionalWholeNumber("bytesPerSecond").orElse(now.throttle().bytesPerSecond());
    List<Throttle.Window> windows =
        body.has("windows")
            ? body.texts("windows", Throttle.WINDOWS_MAX).stream().map(Windows::parse).toList()
            : now.throttle().windows();
    return new LinkRules(
        new Throttle(rate, windows),
        small(body, "priority", now.priority()),
        small(body, "rpoSeconds", now.rpoSeconds()));
  }

  private static int small(Body body, String field, int otherwise) {
    long number = body.optionalWholeNumber(field).orElse((long) otherwise);
    if (number != (int) number) {
      throw new Refusal(ErrorCode.INVALID, "'" + field + "' cannot be " + number);
    }
    return (int) number;
  }

  private static ObjectNode json(LinkSummary link) {
    ObjectNode json = Json.object();
    json.put("name", link.spec().name());
    json.put("id", link.spec().id().toString());
    ArrayNode volumes = json.putArray("volumes");
    link.spec().volumes().forEach(volume -> volumes.add(volume.value()));
    link.spec().group().ifPresent(group -> json.put("group", group));
    json.put("from", link.spec().fromSite());
    json.put("to", link.spec().toSite());
    json.put("state", link.state());
    json.put("node", link.node());
    json.put("bytesPerSecond", link.rules().throttle().bytesPerSecond());
    ArrayNode windows = json.putArray("windows");
    link.rules().throttle().windows().forEach(window -> windows.add(Windows.text(window)));
    json.put("priority", link.rules().priority());
    json.put("rpoSeconds", link.rules().rpoSeconds());
    ArrayNode lanes = json.putArray("lanes");
    link.lanes().forEach(lane -> lanes.add(json(lane)));
    return json;
  }

  private static ObjectNode json(LinkSummary.Lane lane) {
    ObjectNode json = Json.object();
    json.put("volume", lane.volume().value());
    json.put("state", lane.state());
    json.put("connected", lane.connected());
    lane.fault().ifPresent(fault -> json.put("fault", fault));
    lane.faultCode().ifPresent(code -> json.put("code", code.name()));
    json.put("headSeq", lane.headSeq());
    ObjectNode acked = json.putObject("acknowledged").put("seq", lane.ackedSeq());
    if (lane.ackedMicros() > 0) {
      acked.put("time", new MicroTime(lane.ackedMicros()).toString());
    }
    json.putObject("lag")
        .put("seconds", lane.lagSeconds())
        .put("bytes", lane.lagBytes())
        .put("writes", lane.lagWrites());
    lane.catchUpSeconds().ifPresent(seconds -> json.put("catchUpSeconds", seconds));
    if (lane.asOfMicros() > 0) {
      json.put("asOf", new MicroTime(lane.asOfMicros()).toString());
    }
    json.put("stale", lane.stale());
    json.putObject("sent")
        .put("rawBytes", lane.rawBytes())
        .put("lineBytes", lane.lineBytes())
        .put("headBytes", lane.headBytes());
    ObjectNode kinds = json.putObject("kinds");
    for (LinkSummary.SentAs sent : lane.sentAs()) {
      kinds
          .putObject(sent.kind())
          .put("blocks", sent.blocks())
          .put("rawBytes", sent.rawBytes())
          .put("lineBytes", sent.lineBytes());
    }
    return json;
  }
}
