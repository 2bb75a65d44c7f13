package io.tidemark.http;

import akka.event.LoggingAdapter;
import akka.http.ParsingErrorHandler;
import akka.http.javadsl.model.HttpResponse;
import akka.http.scaladsl.model.ErrorInfo;
import akka.http.scaladsl.model.StatusCode;
import akka.http.scaladsl.settings.ServerSettings;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.tidemark.refusal.ErrorCode;
import java.util.Map;

/**
 * Answers requests that are no HTTP as all others are refused: with a problem document. Akka finds
 * the class by its name in the server's settings.
 */
public final class UnparsableRequests extends ParsingErrorHandler {
  /** Where Akka looks for the only instance. */
  public static final UnparsableRequests MODULE$ = new UnparsableRequests();

  private UnparsableRequests() {}

  /** Akka's settings of a server that uses it. */
  static ServerSettings settings(Config akka) {
    Config with =
        ConfigFactory.parseMap(
                Map.of(
                    "akka.http.server.parsing.error-handler",
                    UnparsableRequests.class.getName(),
                    // A file's path of 4 096 bytes, each encoded as three characters.
                    "akka.http.server.parsing.max-uri-length",
                    RawQuery.LENGTH_MAX))
            .withFallback(akka);
    return ServerSettings.apply(with);
  }

  @Override
  public HttpResponse handle(
      StatusCode status, ErrorInfo error, LoggingAdapter log, ServerSettings settings) {
    ErrorCode code =
        switch (status.intValue()) {
          case 413, 414, 431 -> ErrorCode.LIMIT;
          default -> ErrorCode.INVALID;
        };
    return new Problem(
            code, status.intValue(), "the request breaks the rules of HTTP: " + error.summary())
        .response();
  }
}
