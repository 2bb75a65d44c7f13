package io.tidemark.http;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The JSON object that a request carries; every way in which it can be wrong is {@code INVALID}.
 */
final class Body {
  private final JsonNode json;

  private Body(JsonNode json) {
    this.json = json;
  }

  /**
   * Reads a request's body.
   *
   * @param fields the fields that the request knows; any other is refused
   */
  static Body parse(byte[] bytes, List<String> fields) {
    JsonNode json;
    try {
      json = Json.parse(bytes);
    } catch (JsonProcessingException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          "the body is no JSON: " + Refusal.printable(e.getOriginalMessage().replace('\n', ' ')),
          e);
    } catch (IOException e) {
      throw new Refusal(ErrorCode.INVALID, "the body is no JSON in UTF-8", e);
    }
    return known(json, fields);
  }

  private static Body known(JsonNode json, List<String> fields) {
    if (!json.isObject()) {
      throw new Refusal(
          ErrorCode.INVALID, "expected a JSON object with " + String.join(", ", fields));
    }
    for (Iterator<String> names = json.fieldNames(); names.hasNext(); ) {
      String name = names.next();
      if (!fields.contains(name)) {
        throw new Refusal(
            ErrorCode.INVALID,
            "there is no field '"
                + Refusal.printable(name)
                + "' here: use "
                + String.join(", ", fields));
      }
    }
    return new Body(json);
  }

  String text(String field) {
    return optionalText(field)
        .orElseThrow(
            () -> new Refusal(ErrorCode.INVALID, "the body lacks '" + field + "', a string"));
  }

  Optional<String> optionalText(String field) {
    JsonNode value = json.path(field);
    if (value.isMissingNode() || value.isNull()) {
      return Optional.empty();
    }
    if (!value.isTextual()) {
      throw new Refusal(ErrorCode.INVALID, "'" + field + "' must be a string");
    }
    return Optional.of(value.textValue());
  }

  /**
   * The objects of an array; none when the field is absent.
   *
   * @param fields the fields that an object knows; any other is refused
   */
  List<Body> objects(String field, int max, List<String> fields) {
    JsonNode value = json.path(field);
    if (value.isMissingNode() || value.isNull()) {
      return List.of();
    }
    if (!value.isArray() || value.size() > max) {
      throw new Refusal(
          ErrorCode.INVALID, "'" + field + "' must be an array of at most " + max + " objects");
    }
    List<Body> objects = new ArrayList<>();
    value.forEach(object -> objects.add(known(object, fields)));
    return objects;
  }

  /** The whole numbers of an array. */
  List<Long> wholeNumbers(String field, int max) {
    JsonNode value = json.path(field);
    if (!value.isArray() || value.size() > max) {
      throw new Refusal(
          ErrorCode.INVALID, "'" + field + "' must be an array of at most " + max + " numbers");
    }
    List<Long> numbers = new ArrayList<>();
    for (JsonNode number : value) {
      if (!number.isIntegralNumber() || !number.canConvertToLong()) {
        throw new Refusal(ErrorCode.INVALID, "'" + field + "' must hold whole numbers of 64 bits");
      }
      numbers.add(number.longValue());
    }
    return numbers;
  }

  /** A list of strings; empty when it is missing. */
  List<String> texts(String field) {
    JsonNode value = json.path(field);
    if (value.isMissingNode() || value.isNull()) {
      return List.of();
    }
    List<String> texts = new ArrayList<>();
    for (JsonNode element : value) {
      if (element.isTextual()) {
        texts.add(element.textValue());
      }
    }
    if (!value.isArray() || texts.size() != value.size()) {
      throw new Refusal(ErrorCode.INVALID, "'" + field + "' must be a list of strings");
    }
    return texts;
  }

  OptionalLong optionalNumber(String field) {
    JsonNode value = json.path(field);
    return value.isMissingNode() || value.isNull()
        ? OptionalLong.empty()
        : OptionalLong.of(wholeNumber(field));
  }

  long wholeNumber(String field) {
    JsonNode value = json.path(field);
    if (!value.isIntegralNumber() || !value.canConvertToLong()) {
      throw new Refusal(
          ErrorCode.INVALID, "the body must have '" + field + "', a whole number of 64 bits");
    }
    return value.longValue();
  }

  /** Empty when it is not there. */
  Optional<Long> optionalWholeNumber(String field) {
    JsonNode value = json.path(field);
    return value.isMissingNode() || value.isNull()
        ? Optional.empty()
        : Optional.of(wholeNumber(field));
  }

  boolean has(String field) {
    return json.hasNonNull(field);
  }

  /** Strings in order; none when the field is not there. */
  List<String> texts(String field, int most) {
    JsonNode value = json.path(field);
    if (value.isMissingNode() || value.isNull()) {
      return List.of();
    }
    if (!value.isArray() || value.size() > most) {
      throw new Refusal(
          ErrorCode.INVALID, "'" + field + "' must be a list of at most " + most + " strings");
    }
    List<String> texts = new ArrayList<>();
    for (JsonNode each : value) {
      if (!each.isTextual()) {
        throw new Refusal(ErrorCode.INVALID, "'" + field + "' must hold strings");
      }
      texts.add(each.textValue());
    }
    return texts;
  }

  boolean flag(String field) {
    JsonNode value = json.path(field);
    if (value.isMissingNode() || value.isNull()) {
      return false;
    }
    if (!value.isBoolean()) {
      throw new Refusal(ErrorCode.INVALID, "'" + field + "' must be true or false");
    }
    return value.booleanValue();
  }
}
