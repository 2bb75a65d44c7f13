package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.node.ArrayNode;
import io.tidemark.export.Exports;
import io.tidemark.job.Jobs;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** {@code /exports} and {@code /jobs}: start long work, follow it, cancel it. */
final class JobRoutes extends Exchange {
  private final Jobs jobs;
  private final Exports exports;

  JobRoutes(Jobs jobs, Exports exports) {
    this.jobs = jobs;
    this.exports = exports;
  }

  Route route() {
    return concat(
        path("exports", () -> post(this::export)),
        pathPrefix(
            "jobs",
            () ->
                concat(
                    pathEndOrSingleSlash(() -> get(this::list)),
                    path(segment(), id -> concat(get(() -> show(id)), delete(() -> cancel(id)))))));
  }

  private Route export() {
    return body(
        List.of("volume", "at", "format", "path"),
        body -> {
          Exports.ExportRequest request =
              new Exports.ExportRequest(
                  new VolumeName(body.text("volume")),
                  At.parse(body.text("at")),
                  body.text("format"),
                  body.text("path"));
          return answer(StatusCodes.ACCEPTED, () -> exports.export(request).thenApply(Views::job));
        });
  }

  private Route list() {
    ArrayNode json = Json.array();
    jobs.list().forEach(job -> json.add(Views.job(job)));
    return answer(() -> CompletableFuture.completedFuture(json));
  }

  private Route show(String id) {
    return answer(
        () ->
            CompletableFuture.completedFuture(
                jobs.get(id)
                    .map(Views::job)
                    .orElseThrow(
                        () ->
                            new Refusal(
                                ErrorCode.NOT_FOUND,
                                "there is no job '" + Refusal.printable(id) + "' on this node"))));
  }

  private Route cancel(String id) {
    return answer(() -> CompletableFuture.completedFuture(Views.job(jobs.cancel(id))));
  }
}
