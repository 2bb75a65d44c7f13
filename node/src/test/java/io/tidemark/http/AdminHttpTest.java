package io.tidemark.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.Behaviors;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.typesafe.config.ConfigFactory;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The admin interface over a real socket, in front of a site in memory. */
class AdminHttpTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final HttpClient HTTP =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(Duration.ofSeconds(5))
          .build();
  private static ActorSystem<Void> system;
  private static FakeServices site;
  private static InetSocketAddress address;
  private static String base;

  @BeforeAll
  static void start() throws Exception {
    system =
        ActorSystem.create(
            Behaviors.empty(),
            "http-test",
            ConfigFactory.parseString(
                    "akka.actor.provider = local, akka.loglevel = OFF,"
                        + " akka.http.server.request-timeout = 5s")
                .withFallback(ConfigFactory.load()));
    site = new FakeServices();
    address =
        AdminServer.bind(system, new AdminRoutes(site.services()), "127.0.0.1", 0)
            .toCompletableFuture()
            .get(20, TimeUnit.SECONDS);
    base = "http://127.0.0.1:" + address.getPort();
  }

  @AfterAll
  static void stop() throws Exception {
    system.terminate();
    system.getWhenTerminated().toCompletableFuture().get(20, TimeUnit.SECONDS);
  }

  @BeforeEach
  void createVolume() throws Exception {
    assertEquals(
        201, send("POST", "/api/v1/volumes", "{\"name\":\"db\",\"sizeBytes\":4096}").statusCode());
  }

  private static HttpResponse<String> send(String method, String path, String body)
      throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(base + path))
            .timeout(Duration.ofSeconds(20))
            .method(
                method,
                body == null
                    ? HttpRequest.BodyPublishers.noBody()
                    : HttpRequest.BodyPublishers.ofString(body));
    if (body != null) {
      request.header("Content-Type", "application/json");
    }
    return HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  private static JsonNode get(String path) throws Exception {
    HttpResponse<String> response = send("GET", path, null);
    assertEquals(200, response.statusCode(), response.body());
    return JSON.readTree(response.body());
  }

  private static void assertProblem(int status, String code, HttpResponse<String> response)
      throws IOException {
    assertEquals(status, response.statusCode(), response.body());
    assertEquals(
        "application/problem+json", response.headers().firstValue("Content-Type").orElse(""));
    JsonNode problem = JSON.readTree(response.body());
    assertEquals(code, problem.path("code").asText());
    assertEquals(status, problem.path("status").asInt());
    assertFalse(problem.path("detail").asText().isEmpty());
    assertFalse(problem.path("title").asText().isEmpty());
    assertFalse(problem.path("type").asText().isEmpty());
  }

  /** Every field that programs rely on is there, with its value. */
  @Test
  void shouldShowAVolumeWithEveryField() throws Exception {
    JsonNode volume = get("/api/v1/volumes/db");
    assertEquals("db", volume.path("name").asText());
    assertEquals(4096, volume.path("sizeBytes").asLong());
    assertEquals("here", volume.path("site").asText());
    assertEquals("Protected", volume.path("state").asText());
    assertEquals("Primary", volume.path("role").asText());
    assertEquals(1, volume.path("epoch").asLong());
    assertEquals("main", volume.path("branch").asText());
    assertEquals(100, volume.at("/head/seq").asLong());
    assertEquals("2026-01-31T12:01:40Z", volume.at("/head/time").asText());
    assertEquals(0, volume.at("/horizon/seq").asLong());
    assertEquals(4000, volume.at("/journal/rawBytes").asLong());
    assertEquals(1000, volume.at("/journal/storedBytes").asLong());
    assertEquals(0.5, volume.at("/rpo/seconds").asDouble());
    assertEquals(8192, volume.at("/rpo/bytes").asLong());
    assertEquals(2, volume.at("/rpo/writes").asLong());
    assertTrue(volume.at("/tap/connected").asBoolean());
    assertEquals("host:/run/x.sock", volume.at("/tap/address").asText());
    assertEquals("akka://tidemark@127.0.0.1:25520", volume.at("/tap/node").asText());
    assertEquals("continuous", volume.at("/tap/mode").asText());
    assertEquals(11, volume.at("/dark/0/fromSeq").asLong());
    assertEquals(20, volume.at("/dark/0/toSeq").asLong());
    assertEquals("2026-01-31T12:00:10Z", volume.at("/dark/0/fromTime").asText());
    assertEquals("2026-01-31T12:00:21Z", volume.at("/dark/0/toTime").asText());
    assertEquals("spill file full", volume.at("/dark/0/reason").asText());
    assertEquals(1, get("/api/v1/volumes").size());
  }

  /** Open images keep their volume, whose deletion is refused by their names. */
  @Test
  void shouldNotDeleteAVolumeWithOpenImages() throws Exception {
    assertEquals(
        201, send("POST", "/api/v1/volumes", "{\"name\":\"x2\",\"sizeBytes\":512}").statusCode());
    for (String image : new String[] {"x2-a", "x2-b"}) {
      String body = "{\"volume\":\"x2\",\"at\":\"latest\",\"name\":\"%s\"}".formatted(image);
      assertEquals(201, send("POST", "/api/v1/images", body).statusCode());
    }
    HttpResponse<String> refused = send("DELETE", "/api/v1/volumes/x2?confirm=x2", null);
    assertProblem(409, "BUSY", refused);
    String detail = JSON.readTree(refused.body()).path("detail").asText();
    assertTrue(detail.endsWith(": x2-a, x2-b"), detail);
    for (String image : new String[] {"x2-a", "x2-b"}) {
      assertEquals(204, send("DELETE", "/api/v1/images/" + image, null).statusCode());
    }
    assertEquals(204, send("DELETE", "/api/v1/volumes/x2?confirm=x2", null).statusCode());
  }

  /** Create, repeat, delete with and without confirmation. */
  @Test
  void shouldCreateAndDeleteVolumes() throws Exception {
    String body = "{\"name\":\"x1\",\"sizeBytes\":512,\"synchronous\":true}";
    HttpResponse<String> created = send("POST", "/api/v1/volumes", body);
    assertEquals(201, created.statusCode());
    assertTrue(JSON.readTree(created.body()).path("synchronous").asBoolean());
    assertEquals(201, send("POST", "/api/v1/volumes", body).statusCode());
    assertProblem(
        409,
        "ALREADY_EXISTS",
        send("POST", "/api/v1/volumes", "{\"name\":\"x1\",\"sizeBytes\":1024}"));
    assertProblem(400, "INVALID", send("DELETE", "/api/v1/volumes/x1", null));
    assertProblem(400, "INVALID", send("DELETE", "/api/v1/volumes/x1?confirm=x2", null));
    assertEquals(204, send("DELETE", "/api/v1/volumes/x1?confirm=x1", null).statusCode());
    assertProblem(404, "NOT_FOUND", send("GET", "/api/v1/volumes/x1", null));
  }

  /** What is wrong with a body is said, with the code of wrong requests. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "[]",
        "null",
        "{} {}",
        "{\"name\":\"db\"}",
        "{\"name\":7,\"sizeBytes\":512}",
        "{\"name\":\"a\",\"name\":\"b\",\"sizeBytes\":512}",
        "{\"name\":\"a b\",\"sizeBytes\":512}",
        "{\"name\":\"../x\",\"sizeBytes\":512}",
        "{\"name\":\"x\",\"sizeBytes\":0}",
        "{\"name\":\"x\",\"sizeBytes\":-512}",
        "{\"name\":\"x\",\"sizeBytes\":513}",
        "{\"name\":\"x\",\"sizeBytes\":5.12e2}",
        "{\"name\":\"x\",\"sizeBytes\":99999999999999999999}",
        "{\"name\":\"x\",\"sizeBytes\":\"512\"}",
        "{\"name\":\"x\",\"sizeBytes\":512,\"synchronous\":\"yes\"}",
        "{\"name\":\"x\",\"size\":512}",
        "{\"name\":\"\\u0000\",\"sizeBytes\":512}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
      })
  void shouldRefuseAWrongBody(String body) throws Exception {
    assertProblem(400, "INVALID", send("POST", "/api/v1/volumes", body));
  }

  /** Limits have a code of their own. */
  @Test
  void shouldRefuseWhatIsTooLarge() throws Exception {
    assertProblem(
        413, "LIMIT", send("POST", "/api/v1/volumes", "{\"name\":\"" + "x".repeat(70_000) + "\"}"));
    assertProblem(
        413,
        "LIMIT",
        send("POST", "/api/v1/volumes", "{\"name\":\"x\",\"sizeBytes\":" + (1L << 60) + "}"));
  }

  /** A journal that is silent is not a failure of the node, and a failure tells no secrets. */
  @Test
  void shouldTellSilenceFromFailure() throws Exception {
    assertProblem(
        503,
        "NOT_ACKNOWLEDGED",
        send("POST", "/api/v1/volumes", "{\"name\":\"silent\",\"sizeBytes\":512}"));
    HttpResponse<String> broken =
        send("POST", "/api/v1/volumes", "{\"name\":\"broken\",\"sizeBytes\":512}");
    assertProblem(500, "FAILED", broken);
    assertFalse(broken.body().contains("secret"));
  }

  @ParameterizedTest
  @CsvSource({
    "seq:5, 200,",
    "latest, 200,",
    "time:2026-01-31T12:00:05.5Z, 200,",
    "seq:15, 409, DARK_INTERVAL",
    "seq:101, 409, BEYOND_HEAD",
    "time:2026-01-31T11:00:00Z, 409, BEYOND_HORIZON",
    "tag:none, 404, NOT_FOUND",
    "seq:-1, 400, INVALID",
    "noon, 400, INVALID",
    "time:noon, 400, INVALID",
  })
  void shouldResolvePoints(String at, int status, String code) throws Exception {
    HttpResponse<String> response =
        send(
            "GET",
            "/api/v1/volumes/db/points?at="
                + java.net.URLEncoder.encode(at, StandardCharsets.UTF_8),
            null);
    if (code == null) {
      assertEquals(status, response.statusCode(), response.body());
      assertEquals("main", JSON.readTree(response.body()).at("/at/branch").asText());
    } else {
      assertProblem(status, code, response);
    }
  }

  /** Drills are created, run, shown and deleted; what they prove shows on the volume. */
  @Test
  void shouldDrill() throws Exception {
    String body =
        "{\"name\":\"nightly\",\"volume\":\"db\",\"check\":\"command\",\"arguments\":[\"x\"],"
            + "\"everySeconds\":60}";
    HttpResponse<String> created = send("POST", "/api/v1/drills", body);
    assertEquals(201, created.statusCode(), created.body());
    assertEquals("latest", JSON.readTree(created.body()).path("at").asText());
    assertTrue(get("/api/v1/volumes/db").path("proven").isNull());
    assertEquals(202, send("POST", "/api/v1/drills/nightly/run", null).statusCode());
    JsonNode drill = get("/api/v1/drills").path(0);
    assertEquals("passed", drill.at("/results/0/verdict").asText(), drill.toString());
    assertEquals(50, drill.at("/results/0/at/seq").asLong());
    assertEquals(50, get("/api/v1/volumes/db").at("/proven/seq").asLong());
    assertEquals("nightly", get("/api/v1/volumes/db/timeline").at("/proven/drill").asText());
    JsonNode found = get("/api/v1/volumes/db/points?at=seq:50").path("drills");
    assertEquals("passed", found.at("/0/verdict").asText(), found.toString());
    assertEquals("nightly", found.at("/0/drill").asText());
    assertTrue(get("/api/v1/volumes/db/points?at=seq:49").path("drills").isEmpty());
    assertEquals(204, send("DELETE", "/api/v1/drills/nightly", null).statusCode());
    assertProblem(404, "NOT_FOUND", send("GET", "/api/v1/drills/nightly", null));
    assertProblem(404, "NOT_FOUND", send("POST", "/api/v1/drills/nightly/run", null));
    for (String wrong :
        new String[] {
          body.replace("command", "magic"),
          body.replace(":60", ":1"),
          body.replace("nightly", "a b"),
          body.replace("[\"x\"]", "[7]"),
          body.replace("[\"x\"]", "[]"),
          body.replace("\"check\"", "\"czech\""),
        }) {
      assertProblem(400, "INVALID", send("POST", "/api/v1/drills", wrong));
    }
  }

  /** A rollback is a job whose answer names the point that undoes it. */
  @Test
  void shouldRollBack() throws Exception {
    String path = "/api/v1/volumes/db/rollback";
    assertProblem(409, "BUSY", send("POST", path, "{\"at\":\"seq:5\"}"));
    HttpResponse<String> begun = send("POST", path, "{\"at\":\"seq:5\",\"force\":true}");
    assertEquals(202, begun.statusCode(), begun.body());
    JsonNode job = JSON.readTree(begun.body());
    assertEquals("rollback", job.path("kind").asText());
    assertEquals(5, job.at("/at/seq").asLong());
    assertEquals(100, job.at("/safety/seq").asLong());
    assertProblem(409, "DARK_INTERVAL", send("POST", path, "{\"at\":\"seq:15\",\"force\":true}"));
    assertProblem(400, "INVALID", send("POST", path, "{\"force\":true}"));
    assertProblem(
        404, "NOT_FOUND", send("POST", "/api/v1/volumes/no/rollback", "{\"at\":\"latest\"}"));
  }

  /** What changed comes in pages that name the next one. */
  @Test
  void shouldComparePoints() throws Exception {
    String body = "{\"name\":\"big\",\"sizeBytes\":10240}";
    assertEquals(201, send("POST", "/api/v1/volumes", body).statusCode());
    String path = "/api/v1/volumes/big/compare?from=seq:5&to=latest";
    JsonNode first = get(path + "&content=true&limit=1");
    assertEquals(5, first.at("/from/seq").asLong());
    assertEquals(100, first.at("/to/seq").asLong());
    assertTrue(first.path("content").asBoolean());
    assertEquals(512, first.path("bytes").asLong());
    assertEquals(0, first.at("/ranges/0/offset").asLong());
    assertEquals(5120, first.path("next").asLong());
    JsonNode last = get(path + "&offset=" + first.path("next").asLong());
    assertEquals(5120, last.at("/ranges/0/offset").asLong());
    assertTrue(last.path("next").isNull());
    assertEquals(204, send("DELETE", "/api/v1/volumes/big?confirm=big", null).statusCode());
    for (String wrong :
        new String[] {
          "from=seq:1",
          "from=seq:1&to=noon",
          "from=seq:1&to=seq:2&content=maybe",
          "from=seq:1&to=seq:2&limit=0",
          "from=seq:1&to=seq:2&limit=10001",
          "from=seq:1&to=seq:2&offset=-1",
        }) {
      assertProblem(400, "INVALID", send("GET", "/api/v1/volumes/db/compare?" + wrong, null));
    }
    assertProblem(
        409, "DARK_INTERVAL", send("GET", "/api/v1/volumes/db/compare?from=seq:1&to=seq:15", null));
  }

  /** The buckets of a timeline tile its span and add up to its writes. */
  @Test
  void shouldDrawATimeline() throws Exception {
    JsonNode timeline = get("/api/v1/volumes/db/timeline?buckets=10");
    JsonNode buckets = timeline.path("buckets");
    assertEquals(10, buckets.size());
    long writes = 0;
    for (int i = 0; i < buckets.size(); i++) {
      writes += buckets.get(i).path("writes").asLong();
      if (i > 0) {
        assertEquals(buckets.get(i - 1).path("to"), buckets.get(i).path("from"));
        assertEquals(buckets.get(i - 1).path("lastSeq"), buckets.get(i).path("afterSeq"));
      }
    }
    assertEquals(100, writes);
    assertTrue(buckets.get(1).path("dark").asBoolean());
    assertFalse(buckets.get(5).path("dark").asBoolean());
    JsonNode part =
        get(
            "/api/v1/volumes/db/timeline?from=2026-01-31T12:00:50Z&to=2026-01-31T12:01:00Z"
                + "&buckets=2");
    assertEquals(49, part.at("/buckets/0/afterSeq").asLong());
    assertEquals(54, part.at("/buckets/0/lastSeq").asLong());
    assertEquals(59, part.at("/buckets/1/lastSeq").asLong());
    for (String wrong :
        new String[] {
          "buckets=0", "buckets=1000", "buckets=x", "from=noon", "to=2026-01-01T00:00:00Z"
        }) {
      assertProblem(400, "INVALID", send("GET", "/api/v1/volumes/db/timeline?" + wrong, null));
    }
    assertProblem(404, "NOT_FOUND", send("GET", "/api/v1/volumes/none/timeline", null));
  }

  /** Groups, their schedules and tags; a tag that fails is a problem with its code. */
  @Test
  void shouldTagGroups() throws Exception {
    String body = "{\"name\":\"shop\",\"volumes\":[\"db\"]}";
    assertEquals(201, send("POST", "/api/v1/groups", body).statusCode());
    assertEquals("shop", get("/api/v1/groups").get(0).path("name").asText());
    assertEquals("db", get("/api/v1/groups/shop").at("/volumes/0").asText());
    for (String wrong :
        new String[] {
          "{\"name\":\"x\"",
          "{\"name\":\"x\",\"volumes\":\"db\"}",
          "{\"name\":\"x\",\"volumes\":[7]}",
          "{\"name\":\"a b\",\"volumes\":[\"db\"]}",
        }) {
      assertProblem(400, "INVALID", send("POST", "/api/v1/groups", wrong));
    }
    String tags = "/api/v1/groups/shop/tags";
    String request =
        "{\"name\":\"t1\",\"consistency\":\"application\",\"applications\":[\"pg\"],\"notes\":\"n\"}";
    HttpResponse<String> taken = send("POST", tags, request);
    assertEquals(201, taken.statusCode(), taken.body());
    JsonNode tag = JSON.readTree(taken.body());
    assertEquals("Committed", tag.path("state").asText());
    assertEquals("application", tag.path("consistency").asText());
    assertEquals(42, tag.at("/points/0/seq").asLong());
    assertEquals(1500, tag.path("holdMicros").asLong());
    assertEquals("pg", tag.at("/applications/0/name").asText());
    assertTrue(tag.path("error").isNull());
    assertProblem(504, "HOLD_TIMEOUT", send("POST", tags, "{\"name\":\"late\"}"));
    assertProblem(400, "INVALID", send("POST", tags, "{\"name\":\"t\",\"consistency\":\"some\"}"));
    assertProblem(
        400,
        "INVALID",
        send("POST", tags, "{\"name\":\"t\",\"expires\":\"2026-01-01T00:00:00Z\"}"));
    assertEquals(2, get(tags).path("tags").size());
    assertEquals(1, get(tags + "?prefix=t1&limit=5").path("tags").size());
    String noted = "{\"name\":\"t2\",\"notes\":\"Before the upgrade\"}";
    assertEquals(201, send("POST", tags, noted).statusCode());
    assertEquals("t2", get(tags + "?words=upgrade+BEFORE").at("/tags/0/name").asText());
    assertEquals(1, get(tags + "?words=T2%20upg").path("tags").size());
    assertEquals(0, get(tags + "?words=t1+upgrade").path("tags").size());
    assertTrue(get(tags + "?words=upgrade").path("next").isNull());
    assertTrue(get(tags + "?words=t&limit=1").path("next").asText().endsWith("Z"));
    assertProblem(400, "INVALID", send("GET", tags + "?words=", null));
    assertProblem(400, "INVALID", send("GET", tags + "?words=+%09+", null));
    assertProblem(413, "LIMIT", send("GET", tags + "?words=a+b+c+d+e+f+g+h+i", null));
    assertProblem(413, "LIMIT", send("GET", tags + "?words=" + "x".repeat(257), null));
    assertProblem(404, "NOT_FOUND", send("GET", "/api/v1/groups/none/tags?words=t", null));
    assertProblem(400, "INVALID", send("GET", tags + "?limit=0", null));
    assertProblem(400, "INVALID", send("GET", tags + "?limit=x", null));
    assertProblem(400, "INVALID", send("GET", tags + "?from=noon", null));
    HttpResponse<String> locked = send("PUT", tags + "/t1/lock", null);
    assertTrue(JSON.readTree(locked.body()).path("locked").asBoolean(), locked.body());
    assertEquals(200, send("DELETE", tags + "/t1/lock", null).statusCode());
    assertProblem(404, "NOT_FOUND", send("PUT", tags + "/none/lock", null));
    String schedule = "/api/v1/groups/shop/schedules/s";
    HttpResponse<String> set = send("PUT", schedule, "{\"everySeconds\":1,\"keepSeconds\":60}");
    assertEquals("s-{time}", JSON.readTree(set.body()).at("/schedules/0/pattern").asText());
    assertEquals(200, send("DELETE", schedule, null).statusCode());
    assertEquals("t1", get("/api/v1/volumes/db/timeline").at("/tags/0/name").asText());

    // All images of a group, or none.
    String open = "{\"group\":\"shop\",\"at\":\"%s\",\"name\":\"g\"}";
    HttpResponse<String> images = send("POST", "/api/v1/images", open.formatted("seq:9"));
    assertEquals(201, images.statusCode(), images.body());
    assertEquals(
        "nbd://127.0.0.1:10809/g-db", JSON.readTree(images.body()).at("/uris/db").asText());
    assertEquals(204, send("DELETE", "/api/v1/images/g-db", null).statusCode());
    assertProblem(409, "DARK_INTERVAL", send("POST", "/api/v1/images", open.formatted("seq:15")));
    assertProblem(
        400,
        "INVALID",
        send("POST", "/api/v1/images", "{\"group\":\"shop\",\"volume\":\"db\",\"at\":\"latest\"}"));
    String metrics = send("GET", "/metrics", null).body();
    assertTrue(metrics.contains("tidemark_tag_hold_seconds_bucket{le=\"0.001\"} 2"), metrics);
    assertTrue(metrics.contains("tidemark_tags_total{result=\"failed\"} 1"), metrics);
    assertEquals(204, send("DELETE", "/api/v1/groups/shop", null).statusCode());
    assertProblem(404, "NOT_FOUND", send("GET", "/api/v1/groups/shop", null));
  }

  /** Open, list, show, close. */
  @Test
  void shouldServeImages() throws Exception {
    String body = "{\"volume\":\"db\",\"at\":\"seq:5\",\"writable\":true,\"name\":\"used\"}";
    HttpResponse<String> opened = send("POST", "/api/v1/images", body);
    assertEquals(201, opened.statusCode(), opened.body());
    JsonNode image = JSON.readTree(opened.body());
    assertEquals("nbd://127.0.0.1:10809/used", image.path("uri").asText());
    assertEquals(5, image.at("/at/seq").asLong());
    assertEquals("main", image.at("/at/branch").asText());
    assertEquals(7, image.path("openMillis").asLong());
    assertTrue(image.path("writable").asBoolean());
    assertProblem(409, "ALREADY_EXISTS", send("POST", "/api/v1/images", body));
    assertEquals("used", get("/api/v1/images/used").path("name").asText());
    assertEquals(1, get("/api/v1/images").size());
    assertProblem(409, "BUSY", send("DELETE", "/api/v1/images/used", null));
    assertProblem(400, "INVALID", send("DELETE", "/api/v1/images/used?force=maybe", null));
    assertEquals(204, send("DELETE", "/api/v1/images/used?force=true", null).statusCode());
    assertProblem(404, "NOT_FOUND", send("GET", "/api/v1/images/used", null));
    assertProblem(
        409,
        "DARK_INTERVAL",
        send("POST", "/api/v1/images", "{\"volume\":\"db\",\"at\":\"seq:12\"}"));
  }

  /** Long work is a job that can be looked at and cancelled. */
  @Test
  void shouldRunJobs() throws Exception {
    int before = get("/api/v1/jobs").size();
    HttpResponse<String> export =
        send(
            "POST",
            "/api/v1/exports",
            "{\"volume\":\"db\",\"at\":\"latest\",\"format\":\"raw\",\"path\":\"/x/y\"}");
    assertEquals(202, export.statusCode(), export.body());
    JsonNode job = JSON.readTree(export.body());
    assertEquals("running", job.path("state").asText());
    assertEquals(256, job.at("/bytes/done").asLong());
    assertEquals(3, job.path("etaSeconds").asLong());
    assertEquals(202, send("POST", "/api/v1/volumes/db/verify", null).statusCode());
    assertEquals(before + 2, get("/api/v1/jobs").size());
    HttpResponse<String> cancelled = send("DELETE", "/api/v1/jobs/export-1", null);
    assertEquals("cancelled", JSON.readTree(cancelled.body()).path("state").asText());
    assertEquals("cancelled", get("/api/v1/jobs/export-1").path("state").asText());
    assertProblem(404, "NOT_FOUND", send("GET", "/api/v1/jobs/none", null));
    assertProblem(404, "NOT_FOUND", send("DELETE", "/api/v1/jobs/none", null));
    assertProblem(
        400,
        "INVALID",
        send(
            "POST",
            "/api/v1/exports",
            "{\"volume\":\"db\",\"at\":\"latest\",\"format\":\"tar\",\"path\":\"/x\"}"));
    assertProblem(404, "NOT_FOUND", send("POST", "/api/v1/volumes/none/verify", null));
  }

  /** What is no path, no method, no body of ours is a problem document, too (H1). */
  @Test
  void shouldAnswerEveryMistakeWithAProblem() throws Exception {
    assertProblem(404, "NOT_FOUND", send("GET", "/api/v1/nothing", null));
    assertProblem(404, "NOT_FOUND", send("GET", "/nothing", null));
    HttpResponse<String> wrong = send("PUT", "/api/v1/volumes", "{}");
    assertProblem(405, "INVALID", wrong);
    assertEquals("GET, POST", wrong.headers().firstValue("Allow").orElse(""));
    assertProblem(405, "INVALID", send("POST", "/api/v1/site", "{}"));
    assertProblem(400, "INVALID", send("GET", "/api/v1/volumes/%20", null));
    HttpRequest text =
        HttpRequest.newBuilder(URI.create(base + "/api/v1/volumes"))
            .header("Content-Type", "text/plain")
            .POST(HttpRequest.BodyPublishers.ofString("{\"name\":\"x\",\"sizeBytes\":512}"))
            .build();
    assertProblem(400, "INVALID", HTTP.send(text, HttpResponse.BodyHandlers.ofString()));
  }

  /** Even what is no HTTP at all is answered with a problem document. */
  @Test
  void shouldAnswerBrokenHttpWithAProblem() throws Exception {
    String line = exchange("NONSENSE\r\n\r\n");
    assertTrue(line.contains("application/problem+json"), line);
    assertTrue(line.contains("\"code\":\"INVALID\""), line);
    String uri = exchange("GET /" + "x".repeat(20_000) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assertTrue(uri.startsWith("HTTP/1.1 414"), uri);
    assertTrue(uri.contains("\"code\":\"LIMIT\""), uri);
  }

  /** Pages of other origins can change nothing (H3). */
  @Test
  void shouldRefuseOtherOrigins() throws Exception {
    HttpRequest foreign =
        HttpRequest.newBuilder(URI.create(base + "/api/v1/volumes/db?confirm=db"))
            .header("Origin", "https://evil.example")
            .DELETE()
            .build();
    assertProblem(403, "FORBIDDEN", HTTP.send(foreign, HttpResponse.BodyHandlers.ofString()));
    HttpRequest own =
        HttpRequest.newBuilder(URI.create(base + "/api/v1/volumes/db"))
            .header("Origin", base)
            .build();
    assertEquals(200, HTTP.send(own, HttpResponse.BodyHandlers.ofString()).statusCode());
    String rebound =
        exchange("GET /api/v1/site HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assertTrue(rebound.startsWith("HTTP/1.1 403"), rebound);
    assertTrue(rebound.contains("FORBIDDEN"), rebound);
  }

  /** Garbage, cut-off and oversized requests: the server answers or hangs up, and lives on. */
  @Test
  void shouldSurviveHostileBytes() throws Exception {
    long seed = Long.getLong("tidemark.seed", System.nanoTime());
    System.out.println("seed " + seed + " (-Dtidemark.seed)");
    Random random = new Random(seed);
    String valid =
        "POST /api/v1/volumes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + "Content-Length: 5\r\nConnection: close\r\n\r\n{\"a\":";
    for (int round = 0; round < 60; round++) {
      byte[] bytes = valid.getBytes(StandardCharsets.ISO_8859_1);
      int changes = 1 + random.nextInt(8);
      for (int i = 0; i < changes; i++) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
      }
      exchange(new String(bytes, 0, random.nextInt(bytes.length + 1), StandardCharsets.ISO_8859_1));
    }
    exchange("GET /" + "x".repeat(200_000) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    exchange("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + "y".repeat(200_000) + "\r\n\r\n");
    assertEquals("here", get("/api/v1/site").path("name").asText());
  }

  /** Sends bytes, closes the sending side, reads to the end. */
  private static String exchange(String request) throws IOException {
    try (Socket socket = new Socket()) {
      socket.connect(address, 5_000);
      socket.setSoTimeout(10_000);
      ByteArrayOutputStream answer = new ByteArrayOutputStream();
      try {
        socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
        socket.shutdownOutput();
        InputStream in = socket.getInputStream();
        in.transferTo(answer);
      } catch (IOException e) {
        answer.writeBytes(("hung up: " + e).getBytes(StandardCharsets.UTF_8));
      }
      return answer.toString(StandardCharsets.UTF_8);
    }
  }

  /** What is not answered in time is a problem, and the connection is not used again. */
  @Test
  void requestTimeout() throws Exception {
    HttpResponse<String> response =
        send("POST", "/api/v1/volumes", "{\"name\":\"stuck\",\"sizeBytes\":4096}");
    assertProblem(503, "NOT_ACKNOWLEDGED", response);
    assertEquals(
        "close", response.headers().firstValue("Connection").orElse("").toLowerCase(Locale.ROOT));
    assertEquals(
        201,
        send("POST", "/api/v1/volumes", "{\"name\":\"next\",\"sizeBytes\":4096}").statusCode());
  }

  /** Events arrive one by one on an open stream. */
  @Test
  void shouldStreamEvents() throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(base + "/api/v1/events"))
            .header("Accept", "text/event-stream")
            .build();
    HttpResponse<Stream<String>> response = HTTP.send(request, HttpResponse.BodyHandlers.ofLines());
    try (Stream<String> lines = response.body()) {
      String data = lines.filter(line -> line.startsWith("data:")).findFirst().orElseThrow();
      JsonNode event = JSON.readTree(data.substring("data:".length()));
      assertEquals("tap-attached", event.path("type").asText());
      assertEquals("db", event.path("volume").asText());
      assertEquals("2026-01-31T12:00:00Z", event.path("time").asText());
    }
  }

  @Test
  void shouldReportHealth() throws Exception {
    assertTrue(get("/health/live").path("live").asBoolean());
    assertTrue(get("/health/ready").path("ready").asBoolean());
    site.notReady = java.util.List.of("the journal does not answer");
    try {
      assertProblem(503, "NOT_ACKNOWLEDGED", send("GET", "/health/ready", null));
    } finally {
      site.notReady = java.util.List.of();
    }
  }

  @Test
  void shouldExposeMetrics() throws Exception {
    HttpResponse<String> response = send("GET", "/metrics", null);
    assertEquals(200, response.statusCode());
    assertTrue(
        response.headers().firstValue("Content-Type").orElse("").startsWith("text/plain"),
        response.headers().toString());
    assertTrue(response.body().contains("tidemark_volume_head_seq{volume=\"db\"} 100.0"));
    assertTrue(response.body().contains("tidemark_volume_rpo_seconds{volume=\"db\"} 0.5"));
    assertTrue(response.body().contains("jvm_memory_used_bytes"));
    assertTrue(response.body().contains("tidemark_http_responses_total"));
  }

  /** The console needs nothing but itself. */
  @Test
  void shouldServeTheConsole() throws Exception {
    HttpResponse<String> page = send("GET", "/", null);
    assertEquals(200, page.statusCode());
    assertTrue(page.headers().firstValue("Content-Type").orElse("").startsWith("text/html"));
    assertFalse(page.body().matches("(?s).*(src|href)=\"(https?:)?//.*"));
  }

  /** A policy replaces the one before; a wrong one is refused and changes nothing. */
  @Test
  void shouldSetAndShowRetention() throws Exception {
    String path = "/api/v1/volumes/db/retention";
    HttpResponse<String> set =
        send(
            "PUT",
            path,
            "{\"windowSeconds\":60,\"capBytes\":5,\"hardCapBytes\":9,"
                + "\"ladder\":[{\"everySeconds\":0,\"forSeconds\":90}]}");
    assertEquals(200, set.statusCode(), set.body());
    for (String wrong :
        List.of(
            "{\"windowSeconds\":-1}",
            "{\"windowSeconds\":1.5}",
            "{\"capBytes\":-1}",
            "{\"capBytes\":9,\"hardCapBytes\":5}",
            "{\"ladder\":[{\"everySeconds\":0,\"forSeconds\":90}]}",
            "{\"windowSeconds\":1,\"ladder\":[{\"everySeconds\":0}]}",
            "{\"windowSeconds\":1,\"ladder\":[7]}",
            "{\"window\":1}")) {
      assertProblem(400, "INVALID", send("PUT", path, wrong));
    }
    JsonNode shown = get(path);
    assertEquals(60, shown.path("windowSeconds").asLong());
    assertEquals(9, shown.path("hardCapBytes").asLong());
    assertEquals(90, shown.path("ladder").path(0).path("forSeconds").asLong());
    assertEquals("image:old", shown.path("holds").path(0).path("holder").asText());
    assertTrue(shown.path("tags").path(0).path("locked").asBoolean());
    assertEquals(4096, shown.path("journal").path("freedBytes").asLong());
    assertEquals(200, send("PUT", path, "{}").statusCode());
    assertEquals(0, get(path).path("windowSeconds").asLong());
    assertProblem(404, "NOT_FOUND", send("GET", "/api/v1/volumes/none/retention", null));
  }

  /** Clients hold points under names of their own, and see what is held of a volume. */
  @Test
  void shouldHoldPointsForClients() throws Exception {
    String path = "/api/v1/volumes/db/holds/bisect-1";
    HttpResponse<String> held =
        send("PUT", path, "{\"at\":\"seq:5\",\"onward\":true,\"seconds\":60}");
    assertEquals(200, held.statusCode(), held.body());
    assertTrue(held.body().contains("\"seq\":5"), held.body());
    assertEquals("client:bisect-1 5 true PT1M", site.held.get("db"));
    for (String wrong :
        List.of(
            "{\"at\":\"seq:5\"}",
            "{\"seconds\":60}",
            "{\"at\":\"seq:5\",\"seconds\":0}",
            "{\"at\":\"seq:5\",\"seconds\":604801}",
            "{\"at\":\"yesterday\",\"seconds\":60}",
            "{\"at\":\"seq:5\",\"seconds\":60,\"onward\":1}")) {
      assertProblem(400, "INVALID", send("PUT", path, wrong));
    }
    String body = "{\"at\":\"seq:5\",\"seconds\":60}";
    assertProblem(400, "INVALID", send("PUT", "/api/v1/volumes/db/holds/image%20x", body));
    assertProblem(404, "NOT_FOUND", send("PUT", "/api/v1/volumes/none/holds/a", body));
    assertEquals(204, send("DELETE", path, null).statusCode());
    assertNull(site.held.get("db"));
    JsonNode volume = get("/api/v1/volumes/db");
    assertEquals(0, volume.at("/retention/windowSeconds").asLong(-1));
    assertFalse(volume.at("/retention/overHardCap").asBoolean(true));
    assertEquals(5 << 20, get("/api/v1/site").at("/storage/tablesBytes").asLong());
    assertTrue(
        send("GET", "/metrics", null).body().contains("tidemark_cassandra_tables_bytes 5242880.0"));
  }

  /** Files by any bytes, page by page, and what is wrong with a question. */
  @Test
  void shouldListFiles() throws Exception {
    JsonNode page = get("/api/v1/volumes/db/files?at=latest&limit=2");
    assertEquals("replayed", page.at("/fileSystem/journal").asText());
    assertEquals("directory", page.at("/entry/type").asText());
    assertEquals("a.txt", page.at("/entries/0/name").asText());
    assertEquals("0640", page.at("/entries/0/mode").asText());
    assertEquals("b%20c", page.path("next").asText());
    JsonNode rest = get("/api/v1/volumes/db/files?at=latest&limit=2&after=b%20c");
    assertEquals("odd%FF%0Aname", rest.at("/entries/0/encodedName").asText());
    assertTrue(rest.path("next").isNull());
    JsonNode odd = get("/api/v1/images/any/files?path=/odd%FF%0Aname");
    assertEquals(3, odd.at("/entry/sizeBytes").asInt());
    JsonNode history =
        get("/api/v1/volumes/db/files/history?path=/a.txt&at=seq:3&at=seq:2&hash=true");
    assertEquals(2, history.path("points").asInt());
    assertEquals("00ff", history.at("/versions/1/sha256").asText());
    String spread = "?path=/a.txt&from=2026-01-31T12:00:00Z&to=2026-01-31T13:00:00Z&points=";
    assertEquals(7, get("/api/v1/volumes/db/files/history" + spread + "7").path("points").asInt());
    for (String wrong :
        new String[] {
          "files?path=/",
          "files?at=latest&path=relative",
          "files?at=latest&path=",
          "files?at=latest&path=/a%00b",
          "files?at=latest&limit=0",
          "files?at=latest&limit=10001",
          "files?at=latest&partition=-1",
          "files?at=latest&patch=/",
          "files?at=latest&at=seq:1",
          "content?at=latest&path=/",
          "files/history?path=/a.txt",
          "files/history?at=latest",
          "files/history?path=/a.txt&from=2026-01-31T12:00:00Z",
          "files/history" + spread + "1"
        }) {
      assertProblem(400, "INVALID", send("GET", "/api/v1/volumes/db/" + wrong, null));
    }
    String cut = "GET /api/v1/images/any/files?path=/%4 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    assertTrue(exchange(cut).startsWith("HTTP/1.1 400"), exchange(cut));
    String tooLong = "/api/v1/volumes/db/files?at=latest&path=/" + "x".repeat(4_096);
    assertProblem(413, "LIMIT", send("GET", tooLong, null));
    assertProblem(404, "NOT_FOUND", send("GET", "/api/v1/images/any/content?path=/none", null));
  }

  /** The whole, a part, and no part of a file. */
  @Test
  void shouldServeRanges() throws Exception {
    assertRange(null, 200, "0123456789");
    assertRange("bytes=2-4", 206, "234");
    assertRange("bytes=8-", 206, "89");
    assertRange("bytes=-3", 206, "789");
    assertRange("bytes=5-999", 206, "56789");
    assertRange("bytes=0-1,4-5", 200, "0123456789");
    assertRange("lines=1-2", 200, "0123456789");
    HttpRequest past =
        HttpRequest.newBuilder(URI.create(base + "/api/v1/images/any/content?path=/a.txt"))
            .header("Range", "bytes=10-")
            .build();
    assertProblem(416, "INVALID", HTTP.send(past, HttpResponse.BodyHandlers.ofString()));
    HttpResponse<String> empty = send("GET", "/api/v1/images/any/content?path=/b%20c", null);
    assertEquals(200, empty.statusCode());
    assertEquals("", empty.body());
    assertEquals(
        "attachment; filename*=UTF-8''b%20c",
        empty.headers().firstValue("Content-Disposition").orElse(""));
  }

  private static void assertRange(String range, int status, String content) throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(base + "/api/v1/images/any/content?path=/a.txt"));
    if (range != null) {
      request.header("Range", range);
    }
    HttpResponse<String> response =
        HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
    assertEquals(status, response.statusCode());
    assertEquals(content, response.body());
    assertEquals(status == 206, response.headers().firstValue("Content-Range").isPresent());
  }

  /** A link's life: what is not named in a change stays as it is. */
  @Test
  void shouldAdministerLinks() throws Exception {
    HttpResponse<String> created =
        send(
            "POST",
            "/api/v1/links",
            "{\"volumes\":[\"db\"],\"to\":\"site-2\",\"bytesPerSecond\":2500000,"
                + "\"windows\":[\"Mon-Fri 08:00-18:00=625000\",\"sat,sun 22:00-06:00=0\"]}");
    assertEquals(201, created.statusCode(), created.body());
    JsonNode link = new ObjectMapper().readTree(created.body());
    assertEquals("db-to-site-2", link.path("name").asText());
    assertEquals("Mon,Tue,Wed,Thu,Fri 08:00-18:00=625000", link.path("windows").get(0).asText());
    assertEquals("Sat,Sun 22:00-06:00=0", link.path("windows").get(1).asText());
    JsonNode lane = link.path("lanes").get(0);
    assertEquals(10, lane.path("lag").path("writes").asInt());
    assertEquals(9_600, lane.at("/sent/headBytes").asInt());
    assertEquals(400, lane.at("/kinds/same/blocks").asInt());
    assertEquals(2_457_600, lane.at("/kinds/compressed/rawBytes").asInt());
    assertEquals(400_000, lane.at("/kinds/compressed/lineBytes").asInt());
    JsonNode changed =
        new ObjectMapper()
            .readTree(
                send("PATCH", "/api/v1/links/db-to-site-2", "{\"paused\":true,\"rpoSeconds\":5}")
                    .body());
    assertEquals("Paused", changed.path("state").asText());
    assertEquals(5, changed.path("rpoSeconds").asInt());
    assertEquals(2_500_000, changed.path("bytesPerSecond").asInt());
    assertTrue(changed.path("lanes").get(0).path("stale").asBoolean());
    assertEquals(200, send("POST", "/api/v1/links/db-to-site-2/resync", null).statusCode());
    for (String wrong :
        List.of(
            "{\"to\":\"site-2\"}",
            "{\"volumes\":[\"db\"],\"to\":\"site-2\",\"priority\":10}",
            "{\"volumes\":[\"db\"],\"to\":\"site-2\",\"bytesPerSecond\":1}",
            "{\"volumes\":[\"db\"],\"to\":\"site-2\",\"windows\":[\"always\"]}")) {
      HttpResponse<String> refused = send("POST", "/api/v1/links", wrong);
      assertEquals(400, refused.statusCode(), refused.body());
    }
    assertEquals(204, send("DELETE", "/api/v1/links/db-to-site-2", null).statusCode());
    assertEquals(404, send("GET", "/api/v1/links/db-to-site-2", null).statusCode());
  }

  /** A plan from its creation over a failover and back; what it cannot be is INVALID. */
  @Test
  void shouldAdministerPlans() throws Exception {
    String hook = "{\"site\":\"site-2\",\"program\":\"ip.sh\",\"arguments\":[\"add\"]}";
    String plan =
        "{\"name\":\"shop\",\"source\":\"site-1\",\"target\":\"site-2\",\"afterLimit\":\"rollback\","
            + "\"commitWithinSeconds\":600,\"steps\":[{\"name\":\"database\",\"volumes\":[\"db\"],"
            + "\"post\":["
            + hook
            + "],\"start\":{\"listen\":\"127.0.0.1:10810\",\"backing\":\"/srv\"}}]}";
    HttpResponse<String> created = send("POST", "/api/v1/plans", plan);
    assertEquals(201, created.statusCode(), created.body());
    JsonNode shown = new ObjectMapper().readTree(send("GET", "/api/v1/plans/shop", null).body());
    assertEquals("Ready", shown.path("state").asText());
    JsonNode step = shown.path("steps").get(0);
    assertEquals("ip.sh", step.path("post").get(0).path("program").asText());
    assertEquals(60, step.path("post").get(0).path("limitSeconds").asInt());
    assertEquals(10, shown.path("exposure").get(0).path("lost").path("writes").asInt());
    for (String wrong :
        List.of(
            "{\"mode\":\"quick\"}",
            "{\"mode\":\"planned\",\"at\":\"seq:4\"}",
            "{\"mode\":\"forced\",\"override\":[\"ALL\"]}",
            "{}")) {
      assertEquals(400, send("POST", "/api/v1/plans/shop/failover", wrong).statusCode(), wrong);
    }
    String automatic = "/api/v1/plans/shop/automatic";
    HttpResponse<String> on = send("PUT", automatic, "{\"witness\":\"w\",\"afterSeconds\":9}");
    assertEquals(200, on.statusCode(), on.body());
    JsonNode lease = new ObjectMapper().readTree(on.body()).path("automatic");
    assertEquals("w", lease.path("witness").asText());
    assertEquals("not asked yet", lease.path("witnessSaid").asText());
    assertEquals(400, send("PUT", automatic, "{\"witness\":\"site-1\"}").statusCode());
    assertEquals(400, send("PUT", automatic, "{}").statusCode());
    HttpResponse<String> off = send("DELETE", automatic + "?override=SECOND_PRIMARY", null);
    assertTrue(new ObjectMapper().readTree(off.body()).path("automatic").isNull(), off.body());
    String forced = "{\"mode\":\"forced\",\"override\":[\"SECOND_PRIMARY\"]}";
    HttpResponse<String> begun = send("POST", "/api/v1/plans/shop/failover", forced);
    assertEquals(202, begun.statusCode(), begun.body());
    JsonNode run = new ObjectMapper().readTree(begun.body()).path("run");
    assertEquals(10, run.path("volumes").get(0).path("lostWrites").asInt());
    assertEquals(1.5, run.path("rtoSeconds").asDouble());
    assertEquals(409, send("POST", "/api/v1/plans/shop/failover", forced).statusCode());
    assertEquals(202, send("POST", "/api/v1/plans/shop/commit", null).statusCode());
    assertEquals(409, send("POST", "/api/v1/plans/shop/rollback", null).statusCode());
    assertEquals(202, send("POST", "/api/v1/plans/shop/failback", null).statusCode());
    for (String wrong :
        List.of(
            plan.replace("\"site-2\"", "\"site-1\""),
            plan.replace("ip.sh", "../ip.sh"),
            plan.replace("rollback", "explode"),
            plan.replace("\"listen\"", "\"speak\""))) {
      assertEquals(400, send("POST", "/api/v1/plans", wrong).statusCode(), wrong);
    }
    assertEquals(404, send("GET", "/api/v1/plans/none", null).statusCode());
  }

  /** Each documented path and method is answered by the node, and not with 404 for the path. */
  @Test
  void shouldAnswerEveryDocumentedPath() throws Exception {
    JsonNode document =
        new ObjectMapper(new YAMLFactory()).readTree(send("GET", "/openapi.yaml", null).body());
    int operations = 0;
    Iterator<Map.Entry<String, JsonNode>> paths = document.path("paths").fields();
    while (paths.hasNext()) {
      Map.Entry<String, JsonNode> path = paths.next();
      Iterator<String> methods = path.getValue().fieldNames();
      while (methods.hasNext()) {
        String method = methods.next();
        if (method.equals("parameters") || path.getKey().equals("/api/v1/events")) {
          continue;
        }
        operations++;
        String concrete =
            path.getKey()
                .replaceAll("\\{(name|tag|schedule|holder)}", "db")
                .replace("{id}", "none");
        HttpResponse<String> response =
            send(method.toUpperCase(java.util.Locale.ROOT), concrete, null);
        assertFalse(
            response.statusCode() == 405 || response.body().contains("no such path"),
            method + " " + concrete + ": " + response.body());
        assertTrue(
            path.getValue()
                .path(method)
                .path("responses")
                .has(Integer.toString(response.statusCode())),
            method + " " + concrete + " answers " + response.statusCode() + " undocumented");
      }
    }
    assertTrue(operations >= 20, operations + " operations are documented");
  }
}
