package io.tidemark.system;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;

/** The admin HTTP interface as a program sees it. */
final class SiteClient {
  /** Below the node's idle timeout of 60 s: a POST must not meet a connection being closed. */
  private static final int KEEP_ALIVE_SECONDS = 20;

  static {
    System.setProperty("jdk.httpclient.keepalive.timeout", Integer.toString(KEEP_ALIVE_SECONDS));
  }

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration UNACKNOWLEDGED_LIMIT = Duration.ofSeconds(180);
  private final HttpClient http =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
  private final String base;

  SiteClient(String base) {
    this.base = base;
  }

  /** An answer: status and body. */
  record Answer(int status, JsonNode body) {
    JsonNode orFail() {
      if (status >= 300) {
        throw new AssertionError("HTTP " + status + ": " + body);
      }
      return body;
    }

    String code() {
      return body.path("code").asText();
    }
  }

  String base() {
    return base;
  }

  Answer get(String path) throws IOException, InterruptedException {
    return send("GET", path, null);
  }

  /** Whether the node says that it can serve. */
  boolean ready() throws IOException, InterruptedException {
    return sendOnce("GET", "/health/ready", null).status() == 200;
  }

  Answer post(String path, ObjectNode body) throws IOException, InterruptedException {
    return send("POST", path, body.toString());
  }

  Answer delete(String path) throws IOException, InterruptedException {
    return send("DELETE", path, null);
  }

  /** Sends, and sends again while the site says that it could not acknowledge in time. */
  Answer send(String method, String path, String body) throws IOException, InterruptedException {
    long deadline = System.nanoTime() + UNACKNOWLEDGED_LIMIT.toNanos();
    Answer answer = sendOnce(method, path, body);
    while (answer.status() == 503 && System.nanoTime() < deadline) {
      answer = sendOnce(method, path, body);
    }
    return answer;
  }

  private Answer sendOnce(String method, String path, String body)
      throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(base + path))
            .timeout(Duration.ofSeconds(60))
            .header("Content-Type", "application/json")
            .method(
                method,
                body == null
                    ? HttpRequest.BodyPublishers.noBody()
                    : HttpRequest.BodyPublishers.ofString(body))
            .build();
    HttpResponse<String> response = http.send(request, HttpResponse.BodyHandlers.ofString());
    String text = response.body();
    return new Answer(response.statusCode(), JSON.readTree(text.isEmpty() ? "{}" : text));
  }

  static ObjectNode object() {
    return JSON.createObjectNode();
  }

  JsonNode createVolume(String name, long sizeBytes) throws IOException, InterruptedException {
    return post("/api/v1/volumes", object().put("name", name).put("sizeBytes", sizeBytes)).orFail();
  }

  JsonNode volume(String name) throws IOException, InterruptedException {
    return get("/api/v1/volumes/" + name).orFail();
  }

  /**
   * Whether nothing of what was written before that time is unjournaled: the tap tells every
   * second, and what it told last may have been before.
   */
  static boolean drained(JsonNode volume, Instant since) {
    return volume.at("/rpo/writes").asLong(-1) == 0
        && volume.at("/rpo/asOf").isTextual()
        && Instant.parse(volume.at("/rpo/asOf").asText()).isAfter(since.plusSeconds(1));
  }

  long head(String name) throws IOException, InterruptedException {
    return volume(name).at("/head/seq").asLong();
  }

  Answer point(String volume, String at) throws IOException, InterruptedException {
    return get(
        "/api/v1/volumes/"
            + volume
            + "/points?at="
            + URLEncoder.encode(at, StandardCharsets.UTF_8));
  }

  Answer openImage(String volume, String at, boolean writable)
      throws IOException, InterruptedException {
    return post(
        "/api/v1/images", object().put("volume", volume).put("at", at).put("writable", writable));
  }

  /** Closes; waits a while for the node to notice that the last client has hung up. */
  void closeImage(String name) throws Exception {
    Await.until(
        "image " + name + " is closed",
        Duration.ofSeconds(20),
        () -> {
          Answer answer = delete("/api/v1/images/" + name);
          return !answer.code().equals("BUSY") && answer.orFail() != null;
        });
  }
}
