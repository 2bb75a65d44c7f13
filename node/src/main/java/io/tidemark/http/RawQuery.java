package io.tidemark.http;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A query whose values are bytes, one character each: a file's name need not be UTF-8, and what is
 * decoded as text would lose such names.
 */
final class RawQuery {
  static final int LENGTH_MAX = 16 * 1024;
  private final Map<String, List<String>> values = new LinkedHashMap<>();

  /**
   * @param query as it was sent, without the question mark
   * @param known any other parameter is refused
   */
  RawQuery(String query, List<String> known) {
    if (query.length() > LENGTH_MAX) {
      throw new Refusal(ErrorCode.LIMIT, "the query is longer than " + LENGTH_MAX + " characters");
    }
    for (String pair : query.split("&")) {
      if (pair.isEmpty()) {
        continue;
      }
      int equals = pair.indexOf('=');
      String name = decoded(equals < 0 ? pair : pair.substring(0, equals));
      if (!known.contains(name)) {
        throw new Refusal(
            ErrorCode.INVALID,
            "there is no parameter '"
                + Refusal.printable(name)
                + "' here: use "
                + String.join(", ", known));
      }
      values
          .computeIfAbsent(name, n -> new ArrayList<>())
          .add(equals < 0 ? "" : decoded(pair.substring(equals + 1)));
    }
  }

  private static String decoded(String text) {
    StringBuilder raw = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '+') {
        raw.append(' ');
      } else if (c == '%') {
        int high = i + 2 < text.length() ? Character.digit(text.charAt(i + 1), 16) : -1;
        int low = high >= 0 ? Character.digit(text.charAt(i + 2), 16) : -1;
        if (low < 0) {
          throw new Refusal(ErrorCode.INVALID, "a '%' in the query needs two hexadecimal digits");
        }
        raw.append((char) (high * 16 + low));
        i += 2;
      } else {
        raw.append(
            new String(
                String.valueOf(c).getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1));
      }
    }
    return raw.toString();
  }

  List<String> all(String name) {
    return values.getOrDefault(name, List.of());
  }

  /** The only value; several are refused. */
  Optional<String> raw(String name) {
    List<String> given = all(name);
    if (given.size() > 1) {
      throw new Refusal(ErrorCode.INVALID, "'" + name + "' is given more than once");
    }
    return given.stream().findFirst();
  }

  String required(String name) {
    return raw(name)
        .orElseThrow(
            () -> new Refusal(ErrorCode.INVALID, "the parameter '" + name + "' is missing"));
  }

  OptionalInt number(String name, int least, int most) {
    Optional<String> text = raw(name);
    if (text.isEmpty()) {
      return OptionalInt.empty();
    }
    if (text.get().matches("[0-9]{1,9}")) {
      int number = Integer.parseInt(text.get());
      if (number >= least && number <= most) {
        return OptionalInt.of(number);
      }
    }
    throw new Refusal(
        ErrorCode.INVALID,
        name
            + "="
            + Refusal.printable(text.get())
            + " must be a whole number from "
            + least
            + " to "
            + most);
  }

  boolean flag(String name) {
    return switch (raw(name).orElse("false")) {
      case "true" -> true;
      case "false" -> false;
      default -> throw new Refusal(ErrorCode.INVALID, "'" + name + "' must be true or false");
    };
  }
}
