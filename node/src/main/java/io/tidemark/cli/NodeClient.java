package io.tidemark.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Talks to a node's admin interface. Every problem document comes out as a {@link Refusal} with its
 * code; a node that cannot be reached is {@code NOT_ACKNOWLEDGED}.
 */
public final class NodeClient {
  private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(5);
  private static final Duration ANSWER_TIMEOUT = Duration.ofSeconds(60);
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final int ERROR_STATUS_MIN = 400;

  private final URI node;
  private final HttpClient http =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(CONNECT_TIMEOUT)
          .build();

  public NodeClient(URI node) {
    this.node = node;
  }

  /** An empty object to fill and post. */
  public static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  /** Makes a name safe as a part of a path or query. */
  public static String escaped(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }

  /**
   * @param path below {@code /api/v1}, such as {@code /volumes}
   */
  public JsonNode get(String path) {
    return send(request(path).GET());
  }

  /** As {@link #get}, for what may take long. */
  public JsonNode getLong(String path) {
    return send(HttpRequest.newBuilder(node.resolve("/api/v1" + path)).GET());
  }

  /** Posts a JSON object, or nothing when it is empty. */
  public JsonNode post(String path, ObjectNode body) {
    return send(
        request(path)
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body.isEmpty() ? "" : body.toString())));
  }

  /** Puts a JSON object, or nothing when it is empty. */
  public JsonNode put(String path, ObjectNode body) {
    return send(
        request(path)
            .header("Content-Type", "application/json")
            .PUT(BodyPublishers.ofString(body.isEmpty() ? "" : body.toString())));
  }

  /** Changes what the JSON object names, and nothing else. */
  public JsonNode patch(String path, ObjectNode body) {
    return send(
        request(path)
            .header("Content-Type", "application/json")
            .method("PATCH", BodyPublishers.ofString(body.toString())));
  }

  public JsonNode delete(String path) {
    return send(request(path).DELETE());
  }

  /** What comes as bytes: how many there will be, and they themselves. */
  public interface Download {
    /**
     * @param length bytes; negative when the node does not say
     */
    void receive(long length, InputStream content) throws IOException;
  }

  /**
   * Fetches bytes of any number.
   *
   * @param receiver what it throws is thrown as {@code FAILED}; a connection that breaks before the
   *     end is an {@link IOException} of the stream
   */
  public void download(String path, Download receiver) {
    HttpRequest request = HttpRequest.newBuilder(node.resolve("/api/v1" + path)).build();
    HttpResponse<InputStream> response;
    try {
      response = http.send(request, BodyHandlers.ofInputStream());
    } catch (IOException e) {
      throw unreachable(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.FAILED, "interrupted while the node was working on it", e);
    }
    try (InputStream content = response.body()) {
      if (response.statusCode() >= ERROR_STATUS_MIN) {
        throw refusal(
            response.statusCode(), new String(content.readAllBytes(), StandardCharsets.UTF_8));
      }
      receiver.receive(response.headers().firstValueAsLong("Content-Length").orElse(-1), content);
    } catch (IOException e) {
      throw new Refusal(ErrorCode.FAILED, "the content did not arrive whole: " + e.getMessage(), e);
    }
  }

  /** The data of each server-sent event until the node goes away or the thread is interrupted. */
  public void events(Consumer<JsonNode> reader) {
    HttpRequest request =
        HttpRequest.newBuilder(node.resolve("/api/v1/events"))
            .header("Accept", "text/event-stream")
            .build();
    try {
      HttpResponse<Stream<String>> response = http.send(request, BodyHandlers.ofLines());
      try (Stream<String> lines = response.body()) {
        if (response.statusCode() >= ERROR_STATUS_MIN) {
          throw refusal(response.statusCode(), String.join("\n", lines.toList()));
        }
        lines
            .filter(line -> line.startsWith("data:"))
            .map(line -> line.substring("data:".length()).strip())
            .filter(data -> !data.isEmpty())
            .forEach(data -> reader.accept(parse(data)));
      }
    } catch (IOException | java.io.UncheckedIOException e) {
      throw unreachable(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(node.resolve("/api/v1" + path)).timeout(ANSWER_TIMEOUT);
  }

  private JsonNode send(HttpRequest.Builder request) {
    HttpResponse<String> response;
    try {
      response = http.send(request.build(), BodyHandlers.ofString(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw unreachable(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.FAILED, "interrupted while the node was working on it", e);
    }
    if (response.statusCode() >= ERROR_STATUS_MIN) {
      throw refusal(response.statusCode(), response.body());
    }
    return response.body().isEmpty() ? object() : parse(response.body());
  }

  private Refusal unreachable(Exception e) {
    String why = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    return new Refusal(
        ErrorCode.NOT_ACKNOWLEDGED,
        "the node at "
            + node
            + " does not answer ("
            + why
            + "): is it running? Start one with 'tidemark up' or name another with --node",
        e);
  }

  private Refusal refusal(int status, String body) {
    try {
      JsonNode problem = MAPPER.readTree(body);
      ErrorCode code = ErrorCode.valueOf(problem.path("code").asText());
      return new Refusal(code, problem.path("detail").asText());
    } catch (JsonProcessingException | IllegalArgumentException e) {
      return new Refusal(
          ErrorCode.FAILED,
          "what answers at " + node + " is no Tidemark node: HTTP status " + status,
          e);
    }
  }

  private JsonNode parse(String text) {
    try {
      return MAPPER.readTree(text);
    } catch (JsonProcessingException e) {
      throw new Refusal(
          ErrorCode.FAILED, "what answers at " + node + " is no Tidemark node: no JSON", e);
    }
  }
}
