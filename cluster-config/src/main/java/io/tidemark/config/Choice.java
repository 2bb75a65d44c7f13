package io.tidemark.config;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigException;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** Settings that are one of a few words. */
public final class Choice {
  private Choice() {}

  /**
   * Reads a word such as {@code batch} or {@code LOCAL_QUORUM}, in either case.
   *
   * @throws ConfigException that lists the possible words
   */
  public static <E extends Enum<E>> E of(Config config, String key, Class<E> type) {
    String word = config.getString(key).toUpperCase(Locale.ROOT).replace('-', '_');
    for (E constant : type.getEnumConstants()) {
      if (constant.name().equals(word)) {
        return constant;
      }
    }
    throw new ConfigException.BadValue(
        config.getValue(key).origin(),
        key,
        "'%s' is none of %s"
            .formatted(
                config.getString(key),
                Arrays.stream(type.getEnumConstants())
                    .map(constant -> constant.name().toLowerCase(Locale.ROOT))
                    .collect(Collectors.joining(", "))));
  }
}
