package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.ClockOffset;
import io.tidemark.remote.RemoteNode;
import io.tidemark.remote.RemoteSite;
import io.tidemark.site.Site;
import io.tidemark.tls.TlsTroubles;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** {@code /site} and {@code /sites}: this site and the others of its cluster. */
final class SiteRoutes extends Exchange {
  private final Site site;
  private final NodeStatus status;
  private final MicroClock clock;

  SiteRoutes(Site site, NodeStatus status, MicroClock clock) {
    this.site = site;
    this.status = status;
    this.clock = clock;
  }

  Route route() {
    return concat(
        path("site", () -> get(this::own)),
        pathPrefix(
            "sites",
            () ->
                concat(
                    pathEnd(() -> get(() -> answer(() -> CompletableFuture.completedStage(all())))),
                    path(
                        segment(),
                        name ->
                            delete(
                                () ->
                                    parameterOptional(
                                        "confirm", confirmed -> forget(name, confirmed)))))));
  }

  private Route own() {
    return answer(
        () ->
            site.volumes()
                .thenCombine(
                    status.disk(),
                    (volumes, disk) -> {
                      ObjectNode json = Views.site(status.overview(), volumes, disk);
                      json.set("sites", all());
                      secure(json);
                      return json;
                    }));
  }

  private void secure(ObjectNode json) {
    NodeStatus.Security security = status.security();
    security
        .certificate()
        .ifPresent(
            life ->
                json.putObject("certificate")
                    .put("subject", life.subject())
                    .put("until", life.until().toString())
                    .put("state", life.at(now()).name())
                    .put("message", life.sentence(now())));
    ArrayNode refused = json.putArray("refusedCertificates");
    for (TlsTroubles.Trouble trouble : security.refused()) {
      refused
          .addObject()
          .put("time", trouble.time().toString())
          .put("code", trouble.code().name())
          .put("message", trouble.message());
    }
  }

  private Instant now() {
    return new MicroTime(clock.micros()).toInstant();
  }

  private Route forget(String name, Optional<String> confirmed) {
    if (!confirmed.equals(Optional.of(name))) {
      throw new Refusal(
          ErrorCode.INVALID,
          "a site is forgotten for ever: repeat with confirm=%s to go on"
              .formatted(Refusal.printable(name)));
    }
    return answerDone(() -> status.sites().forget(name));
  }

  /** The own site first. */
  private ArrayNode all() {
    ArrayNode json = Json.array();
    NodeStatus.Overview overview = status.overview();
    ObjectNode own = json.addObject();
    own.put("name", overview.site());
    own.put("own", true);
    own.put("reachable", true);
    own.put("since", overview.started().toString());
    ArrayNode nodes = own.putArray("nodes");
    for (NodeStatus.Member member : overview.members()) {
      if (member.site().equals(overview.site())) {
        ObjectNode node = nodes.addObject();
        node.put("address", member.address().replaceFirst("^akka://tidemark@", ""));
        node.put("status", member.status());
        node.put("reachable", member.reachable());
      }
    }
    status.sites().sites().forEach(other -> json.add(view(other)));
    return json;
  }

  private static ObjectNode view(RemoteSite site) {
    ObjectNode json = Json.object();
    json.put("name", site.name());
    json.put("own", false);
    json.put("reachable", site.reachable());
    json.put("since", site.since().toString());
    site.clock().ifPresent(clock -> json.set("clock", view(clock)));
    ArrayNode nodes = json.putArray("nodes");
    for (RemoteNode each : site.nodes()) {
      ObjectNode node = nodes.addObject();
      node.put("address", each.address());
      node.put("status", each.status());
      node.put("reachable", each.reachable());
      node.put("since", each.since().toString());
      each.version().ifPresent(version -> node.put("version", version));
      each.clock().ifPresent(clock -> node.set("clock", view(clock)));
      ObjectNode addresses = node.putObject("addresses");
      each.addresses().forEach(addresses::put);
    }
    return json;
  }

  private static ObjectNode view(ClockOffset clock) {
    return Json.object()
        .put("offsetMicros", clock.micros())
        .put("uncertaintyMicros", clock.uncertaintyMicros());
  }
}
