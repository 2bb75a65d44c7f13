package io.tidemark.http;

import akka.http.javadsl.model.ContentTypes;
import akka.http.javadsl.model.HttpResponse;
import akka.http.javadsl.model.StatusCode;
import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.server.AllDirectives;
import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;
import scala.concurrent.duration.FiniteDuration;

/** How every route reads its body and answers: one place for limits, JSON and problems. */
abstract class Exchange extends AllDirectives {
  static final long BODY_BYTES_MAX = 64 * 1024;
  private static final FiniteDuration BODY_TIMEOUT = FiniteDuration.create(5, TimeUnit.SECONDS);

  /** Answers with JSON once the stage completes, with a problem when it fails. */
  final Route answer(StatusCode status, Supplier<CompletionStage<? extends JsonNode>> work) {
    return respond(() -> work.get().thenApply(json -> Json.response(status, json)));
  }

  final Route answer(Supplier<CompletionStage<? extends JsonNode>> work) {
    return answer(StatusCodes.OK, work);
  }

  /** Answers 204 once the stage completes. */
  final Route answerDone(Supplier<? extends CompletionStage<?>> work) {
    return respond(
        () ->
            work.get().thenApply(done -> HttpResponse.create().withStatus(StatusCodes.NO_CONTENT)));
  }

  final Route respond(Supplier<CompletionStage<HttpResponse>> work) {
    return completeWithFuture(work.get().exceptionally(failure -> Problem.of(failure).response()));
  }

  /** Reads the body as a JSON object of at most {@link #BODY_BYTES_MAX} bytes. */
  final Route body(List<String> fields, Function<Body, Route> inner) {
    return withSizeLimit(
        BODY_BYTES_MAX,
        () ->
            extractStrictEntity(
                BODY_TIMEOUT,
                entity -> {
                  if (!entity.getContentType().equals(ContentTypes.APPLICATION_JSON)) {
                    throw new Refusal(
                        ErrorCode.INVALID,
                        "send the body as JSON with Content-Type: application/json");
                  }
                  return inner.apply(Body.parse(entity.getData().toArrayUnsafe(), fields));
                }));
  }
}
