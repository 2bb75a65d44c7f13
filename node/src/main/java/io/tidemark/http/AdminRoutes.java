package io.tidemark.http;

import akka.NotUsed;
import akka.http.javadsl.marshalling.sse.EventStreamMarshalling;
import akka.http.javadsl.model.ContentType;
import akka.http.javadsl.model.ContentTypes;
import akka.http.javadsl.model.HttpEntities;
import akka.http.javadsl.model.HttpHeader;
import akka.http.javadsl.model.HttpRequest;
import akka.http.javadsl.model.HttpResponse;
import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.model.headers.Connection;
import akka.http.javadsl.model.headers.RawHeader;
import akka.http.javadsl.model.sse.ServerSentEvent;
import akka.http.javadsl.server.AllDirectives;
import akka.http.javadsl.server.ExceptionHandler;
import akka.http.javadsl.server.MethodRejection;
import akka.http.javadsl.server.Rejection;
import akka.http.javadsl.server.RejectionHandler;
import akka.http.javadsl.server.Route;
import akka.stream.KillSwitches;
import akka.stream.SharedKillSwitch;
import akka.stream.javadsl.Source;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/** Every path of the admin interface. */
public final class AdminRoutes extends Exchange {
  private static final Replies REPLIES = new Replies();
  private static final Duration EVENT_HEARTBEAT = Duration.ofSeconds(10);
  private static final ContentType YAML = ContentTypes.parse("application/yaml; charset=utf-8");
  private static final ContentType METRICS_TEXT = ContentTypes.parse(SiteMetrics.CONTENT_TYPE);

  private final AdminServices services;
  private final Route api;
  private final SiteMetrics metrics = new SiteMetrics();
  private final SharedKillSwitch eventStreams = KillSwitches.shared("admin-event-streams");
  private final byte[] console = resource("console.html");
  private final byte[] openApi = resource("http-api.yaml");

  public AdminRoutes(AdminServices services) {
    this.services = services;
    FileRoutes files = new FileRoutes(services.files());
    Route volumes =
        new VolumeRoutes(
                services.site(),
                services.groups(),
                services.points(),
                services.images(),
                services.verifications(),
                services.recovery().drills(),
                files,
                services.clock())
            .route();
    Route retention =
        new RetentionRoutes(services.retention(), services.points(), services.sizing()).route();
    Route images =
        new ImageRoutes(
                services.images(), new GroupImages(services.groups(), services.images()), files)
            .route();
    Route groups = new GroupRoutes(services.groups(), services.clock()).route();
    Route links = new LinkRoutes(services.links()).route();
    Route jobs = new JobRoutes(services.jobs(), services.exports()).route();
    Route compare = new CompareRoutes(services.recovery().comparisons()).route();
    Route drills = new DrillRoutes(services.recovery().drills()).route();
    Route sites = new SiteRoutes(services.site(), services.status(), services.clock()).route();
    Route rollback = new RollbackRoutes(services.recovery().rollbacks()).route();
    this.api =
        pathPrefix(
            "api",
            () ->
                pathPrefix(
                    "v1",
                    () ->
                        concat(
                            sites,
                            path("events", () -> get(this::events)),
                            retention,
                            volumes,
                            compare,
                            rollback,
                            drills,
                            groups,
                            links,
                            images,
                            jobs)));
  }

  /** All paths, with every failure turned into a problem document (H1). */
  public Route route() {
    Supplier<Route> paths =
        () ->
            withRequestTimeoutResponse(
                AdminRoutes::timedOut,
                () -> extractRequest(request -> guarded(request, this::paths)));
    return mapResponse(
        response -> {
          metrics.answered(response.status().intValue());
          return response;
        },
        () -> handleRejections(rejections(), () -> handleExceptions(failures(), paths)));
  }

  /** Ends the event streams, so that the server can go down without waiting for their readers. */
  public void endEventStreams() {
    eventStreams.shutdown();
  }

  private Route paths() {
    return concat(
        pathSingleSlash(() -> get(() -> document(ContentTypes.TEXT_HTML_UTF8, console))),
        path("openapi.yaml", () -> get(() -> document(YAML, openApi))),
        path("metrics", () -> get(this::metricsText)),
        pathPrefix(
            "health",
            () ->
                concat(path("live", () -> get(this::live)), path("ready", () -> get(this::ready)))),
        api);
  }

  private Route events() {
    Source<ServerSentEvent, NotUsed> events =
        services
            .site()
            .events()
            .map(
                event ->
                    ServerSentEvent.create(
                        new String(Json.bytes(Views.event(event)), StandardCharsets.UTF_8),
                        event.type()))
            .keepAlive(EVENT_HEARTBEAT, ServerSentEvent::heartbeat)
            .via(eventStreams.flow());
    return withoutRequestTimeout(() -> completeOK(events, EventStreamMarshalling.toEventStream()));
  }

  private Route metricsText() {
    return respond(
        () ->
            services
                .site()
                .volumes()
                .thenCombine(services.images().list(), SiteMetrics.Things::new)
                .thenCombine(
                    services.status().disk(),
                    (things, disk) ->
                        metrics.text(
                            things, disk, services.groups().holds(), services.clock().micros()))
                .thenApply(
                    text ->
                        HttpResponse.create().withEntity(HttpEntities.create(METRICS_TEXT, text))));
  }

  private Route live() {
    return answer(() -> CompletableFuture.completedFuture(Json.object().put("live", true)));
  }

  private Route ready() {
    return respond(() -> services.status().notReady().thenApply(AdminRoutes::readiness));
  }

  private static HttpResponse readiness(List<String> reasons) {
    if (reasons.isEmpty()) {
      return Json.response(StatusCodes.OK, Json.object().put("ready", true));
    }
    return new Problem(
            ErrorCode.NOT_ACKNOWLEDGED,
            StatusCodes.SERVICE_UNAVAILABLE.intValue(),
            "not ready: " + String.join("; ", reasons))
        .response();
  }

  private Route document(ContentType type, byte[] content) {
    return complete(HttpResponse.create().withEntity(HttpEntities.create(type, content)));
  }

  /** Refuses what a page of another origin may have sent (H3). */
  private Route guarded(HttpRequest request, Supplier<Route> inner) {
    Optional<String> origin = request.getHeader("Origin").map(HttpHeader::value);
    String host = request.getHeader("Host").map(HttpHeader::value).orElse("");
    if (origin.isPresent()
        && !origin.get().equals("http://" + host)
        && !origin.get().equals("https://" + host)) {
      throw new Refusal(
          ErrorCode.FORBIDDEN,
          "requests from pages of '" + Refusal.printable(origin.get()) + "' are not accepted");
    }
    if (!HostNames.trusted(request.getUri().host().address())) {
      throw new Refusal(
          ErrorCode.FORBIDDEN,
          "the name '"
              + Refusal.printable(request.getUri().host().address())
              + "' is not this node's: use its IP address or localhost");
    }
    return inner.get();
  }

  /** The server hangs up after this answer, and says so: no client should reuse the connection. */
  private static HttpResponse timedOut(HttpRequest request) {
    return Problem.of(new TimeoutException()).response().addHeader(Connection.create("close"));
  }

  private static ExceptionHandler failures() {
    return ExceptionHandler.newBuilder().matchAny(AdminRoutes::failed).build();
  }

  private static Route failed(Throwable failure) {
    return REPLIES.complete(Problem.of(failure).response());
  }

  private static RejectionHandler rejections() {
    return RejectionHandler.newBuilder()
        .handleAll(MethodRejection.class, AdminRoutes::wrongMethod)
        .handleAll(Rejection.class, AdminRoutes::rejected)
        .handleNotFound(REPLIES.complete(notFound()))
        .build();
  }

  private static HttpResponse notFound() {
    return Problem.of(ErrorCode.NOT_FOUND, "there is no such path; GET /openapi.yaml lists them")
        .response();
  }

  private static Route wrongMethod(List<MethodRejection> rejections) {
    String allowed =
        rejections.stream()
            .map(rejection -> rejection.supported().value())
            .distinct()
            .sorted()
            .collect(Collectors.joining(", "));
    return REPLIES.complete(
        new Problem(
                ErrorCode.INVALID,
                StatusCodes.METHOD_NOT_ALLOWED.intValue(),
                "the path knows " + allowed + " only")
            .response()
            .addHeader(RawHeader.create("Allow", allowed)));
  }

  private static Route rejected(List<Rejection> rejections) {
    return REPLIES.complete(
        Problem.of(ErrorCode.INVALID, "the request is not understood: see /openapi.yaml")
            .response());
  }

  private static byte[] resource(String name) {
    try (InputStream in = AdminRoutes.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("the build lacks the resource " + name);
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Directives for static handlers. */
  private static final class Replies extends AllDirectives {}
}
