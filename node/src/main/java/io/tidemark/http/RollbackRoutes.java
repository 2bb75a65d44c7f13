package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import io.tidemark.rollback.Rollbacks;
import java.util.List;

/** {@code /volumes/{name}/rollback}: takes a volume back to a point, in place. */
final class RollbackRoutes extends Exchange {
  private final Rollbacks rollbacks;

  RollbackRoutes(Rollbacks rollbacks) {
    this.rollbacks = rollbacks;
  }

  Route route() {
    return pathPrefix(
        "volumes",
        () ->
            pathPrefix(
                segment(),
                text -> path("rollback", () -> post(() -> rollback(new VolumeName(text))))));
  }

  private Route rollback(VolumeName name) {
    return body(
        List.of("at", "force"),
        body -> {
          At at = At.parse(body.text("at"));
          boolean force = body.flag("force");
          return answer(
              StatusCodes.ACCEPTED,
              () -> rollbacks.rollback(name, at, force).thenApply(RollbackRoutes::view));
        });
  }

  private static ObjectNode view(Rollbacks.Started started) {
    ObjectNode json = Views.job(started.job());
    json.set("at", Views.point(started.at()));
    json.set("safety", Views.point(started.safety()));
    return json;
  }
}
