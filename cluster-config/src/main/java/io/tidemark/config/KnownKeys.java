package io.tidemark.config;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigObject;
import com.typesafe.config.ConfigValue;
import com.typesafe.config.ConfigValueType;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** Refuses settings that nothing reads (C1). */
public final class KnownKeys {
  private KnownKeys() {}

  /**
   * Compares a section with the reference files on the class path.
   *
   * <p>Where the reference has a plain value, anything goes: a setting that is a number or a map of
   * numbers is checked by whoever reads it.
   *
   * @param config the whole resolved configuration
   * @param section path of the section, such as {@code tidemark.cassandra}
   * @throws Refusal {@code INVALID} that names the first unknown key and the nearest known one
   */
  public static void check(Config config, String section) {
    if (!config.hasPath(section)) {
      return;
    }
    ConfigObject reference = ConfigFactory.defaultReference().getConfig(section).root();
    check(config.getConfig(section).root(), reference, section);
  }

  /**
   * Compares settings with a reference of their own.
   *
   * @param path where they are, for the message
   * @throws Refusal {@code INVALID} that names the first unknown key and the nearest known one
   */
  public static void check(ConfigObject given, ConfigObject reference, String path) {
    Set<String> known = new TreeSet<>();
    collect(reference, path, known);
    check(given, reference, path, known);
  }

  private static void check(
      ConfigObject given, ConfigObject reference, String path, Set<String> known) {
    for (Map.Entry<String, ConfigValue> entry : given.entrySet()) {
      String key = path + "." + entry.getKey();
      ConfigValue expected = reference.get(entry.getKey());
      if (expected == null) {
        throw new Refusal(
            ErrorCode.INVALID,
            "%s: there is no setting '%s'; the nearest is '%s'"
                .formatted(
                    entry.getValue().origin().description(),
                    Refusal.printable(key),
                    nearest(key, known)));
      }
      if (expected.valueType() == ConfigValueType.OBJECT
          && entry.getValue().valueType() == ConfigValueType.OBJECT) {
        check((ConfigObject) entry.getValue(), (ConfigObject) expected, key, known);
      }
    }
  }

  private static void collect(ConfigObject reference, String path, Set<String> known) {
    for (Map.Entry<String, ConfigValue> entry : reference.entrySet()) {
      String key = path + "." + entry.getKey();
      known.add(key);
      if (entry.getValue() instanceof ConfigObject inner) {
        collect(inner, key, known);
      }
    }
  }

  private static String nearest(String key, Set<String> known) {
    String best = "";
    int bestDistance = Integer.MAX_VALUE;
    for (String candidate : known) {
      int distance = distance(key, candidate);
      if (distance < bestDistance) {
        bestDistance = distance;
        best = candidate;
      }
    }
    return best;
  }

  /** Levenshtein's edit distance. */
  static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int substituted = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(substituted, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
