package io.tidemark.http;

import akka.http.javadsl.model.ContentType;
import akka.http.javadsl.model.ContentTypes;
import akka.http.javadsl.model.HttpEntities;
import akka.http.javadsl.model.HttpResponse;
import akka.http.javadsl.model.StatusCodes;
import akka.http.scaladsl.model.EntityStreamException;
import akka.http.scaladsl.model.EntityStreamSizeException;
import akka.http.scaladsl.model.IllegalRequestException;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.Locale;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A problem document (RFC 9457) with the stable code of {@link ErrorCode}.
 *
 * @param status HTTP status; that of the code unless HTTP has a more exact one
 * @param detail what was wrong, what was expected and what to do next
 */
record Problem(ErrorCode code, int status, String detail) {
  private static final ContentType PROBLEM_JSON = ContentTypes.parse("application/problem+json");
  private static final Logger LOG = LoggerFactory.getLogger(Problem.class);

  static Problem of(ErrorCode code, String detail) {
    return new Problem(code, code.httpStatus(), detail);
  }

  /** The problem that a failure is to whoever asked; what nobody expected is logged under an id. */
  static Problem of(Throwable failure) {
    Throwable cause = failure;
    while ((cause instanceof CompletionException || cause instanceof ExecutionException)
        && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof Refusal refusal) {
      return of(refusal.code(), refusal.getMessage());
    }
    if (cause instanceof TimeoutException) {
      return of(
          ErrorCode.NOT_ACKNOWLEDGED,
          "the journal did not answer in time; the request may or may not have been carried out,"
              + " look before repeating it");
    }
    if (cause instanceof EntityStreamSizeException size) {
      return of(
          ErrorCode.LIMIT,
          "the request's body is longer than the limit of " + size.limit() + " bytes");
    }
    if (cause instanceof IllegalRequestException || cause instanceof EntityStreamException) {
      return of(ErrorCode.INVALID, "the request breaks the rules of HTTP");
    }
    String incident = UUID.randomUUID().toString();
    LOG.error("unexpected failure, incident {}", incident, cause);
    return of(
        ErrorCode.FAILED,
        "the node failed to answer; its log has the reason under incident " + incident);
  }

  ObjectNode json() {
    ObjectNode json = Json.object();
    json.put("type", "urn:tidemark:problem:" + code.name().toLowerCase(Locale.ROOT));
    json.put("title", code.name().replace('_', ' ').toLowerCase(Locale.ROOT));
    json.put("status", status);
    json.put("code", code.name());
    json.put("detail", detail);
    return json;
  }

  HttpResponse response() {
    return HttpResponse.create()
        .withStatus(StatusCodes.get(status))
        .withEntity(HttpEntities.create(PROBLEM_JSON, Json.bytes(json())));
  }
}
