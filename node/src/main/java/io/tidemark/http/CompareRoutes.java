package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.compare.Comparisons;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.Map;

/** {@code /volumes/{name}/compare}: what changed between two points. */
final class CompareRoutes extends Exchange {
  private final Comparisons comparisons;

  CompareRoutes(Comparisons comparisons) {
    this.comparisons = comparisons;
  }

  Route route() {
    return pathPrefix(
        "volumes",
        () ->
            pathPrefix(
                segment(),
                text -> path("compare", () -> get(() -> compare(new VolumeName(text))))));
  }

  private Route compare(VolumeName name) {
    return parameterMap(
        parameters -> {
          Comparisons.Request request =
              new Comparisons.Request(
                  name,
                  at(parameters, "from"),
                  at(parameters, "to"),
                  flag(parameters, "content"),
                  number(parameters, "offset", 0, Long.MAX_VALUE, 0),
                  (int)
                      number(
                          parameters,
                          "limit",
                          1,
                          Comparisons.RANGES_MAX,
                          Comparisons.RANGES_DEFAULT));
          return answer(() -> comparisons.compare(request).thenApply(CompareRoutes::view));
        });
  }

  private static At at(Map<String, String> parameters, String name) {
    String text = parameters.get(name);
    if (text == null) {
      throw new Refusal(
          ErrorCode.INVALID, "the query lacks '" + name + "', a recovery point such as seq:1");
    }
    return At.parse(text);
  }

  private static boolean flag(Map<String, String> parameters, String name) {
    return switch (parameters.getOrDefault(name, "false")) {
      case "true" -> true;
      case "false" -> false;
      default -> throw new Refusal(ErrorCode.INVALID, "'" + name + "' must be true or false");
    };
  }

  private static long number(
      Map<String, String> parameters, String name, long min, long max, long otherwise) {
    String text = parameters.get(name);
    if (text == null) {
      return otherwise;
    }
    try {
      long number = Long.parseLong(text);
      if (number >= min && number <= max) {
        return number;
      }
    } catch (NumberFormatException e) {
      throw wrongNumber(name, text, min, max, e);
    }
    throw wrongNumber(name, text, min, max, null);
  }

  private static Refusal wrongNumber(
      String name, String text, long min, long max, Exception cause) {
    return new Refusal(
        ErrorCode.INVALID,
        "%s=%s must be a whole number from %d to %d"
            .formatted(name, Refusal.printable(text), min, max),
        cause);
  }

  private static JsonNode view(Comparisons.Page page) {
    ObjectNode json = Json.object();
    json.put("volume", page.volume().value());
    json.put("sizeBytes", page.sizeBytes());
    json.set("from", Views.point(page.from()));
    json.set("to", Views.point(page.to()));
    json.put("content", page.content());
    json.put("bytes", page.bytes());
    ArrayNode ranges = json.putArray("ranges");
    for (ByteRange range : page.ranges()) {
      ranges.addObject().put("offset", range.offset()).put("length", range.length());
    }
    json.put("next", page.next().isPresent() ? page.next().getAsLong() : null);
    return json;
  }
}
