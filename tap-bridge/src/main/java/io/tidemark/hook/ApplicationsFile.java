package io.tidemark.hook;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigException;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigObject;
import com.typesafe.config.ConfigParseOptions;
import com.typesafe.config.ConfigValueType;
import io.tidemark.config.Choice;
import io.tidemark.config.KnownKeys;
import io.tidemark.hook.ApplicationSpec.FileSystem;
import io.tidemark.hook.ApplicationSpec.Kind;
import io.tidemark.hook.ApplicationSpec.MariaDb;
import io.tidemark.hook.ApplicationSpec.MariaDbMode;
import io.tidemark.hook.ApplicationSpec.Postgres;
import io.tidemark.hook.ApplicationSpec.PostgresMode;
import io.tidemark.hook.ApplicationSpec.Scripts;
import io.tidemark.hook.ApplicationSpec.Sqlite;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The file of applications that a tap is given, HOCON or JSON; {@code applications-reference.conf}
 * explains each setting.
 *
 * @param frozenMax how long applications may stay quiesced
 * @param applications by name, in the order of the file
 */
public record ApplicationsFile(Duration frozenMax, Map<String, ApplicationSpec> applications) {
  /** Of one tap. */
  public static final int APPLICATIONS_MAX = 16;

  static final int NAME_LENGTH_MAX = 64;
  static final long FILE_BYTES_MAX = 256 << 10;
  static final Duration LIMIT_MAX = Duration.ofHours(1);
  private static final Pattern NAME =
      Pattern.compile("[A-Za-z0-9][A-Za-z0-9_-]{0," + (NAME_LENGTH_MAX - 1) + "}");
  private static final Pattern USER = Pattern.compile("[A-Za-z_][A-Za-z0-9_.-]{0,31}");
  private static final int PORT_MAX = 65_535;
  private static final Config REFERENCE =
      ConfigFactory.parseResources(ApplicationsFile.class, "applications-reference.conf");

  public ApplicationsFile {
    applications = java.util.Collections.unmodifiableMap(new LinkedHashMap<>(applications));
  }

  /**
   * Reads the file.
   *
   * @throws Refusal {@code INVALID} for a file that cannot be read, a key that nothing reads, a
   *     value of the wrong kind, a file of credentials that others may read; {@code LIMIT}
   */
  public static ApplicationsFile load(Path file) {
    try {
      if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
        throw new Refusal(
            ErrorCode.INVALID, "the file of applications " + file + " cannot be read");
      }
      if (Files.size(file) > FILE_BYTES_MAX) {
        throw new Refusal(ErrorCode.LIMIT, file + " is longer than " + FILE_BYTES_MAX + " bytes");
      }
      return parse(
          ConfigFactory.parseFile(
                  file.toFile(), ConfigParseOptions.defaults().setAllowMissing(false))
              .resolve());
    } catch (ConfigException | IOException e) {
      throw new Refusal(ErrorCode.INVALID, "applications: " + e.getMessage(), e);
    }
  }

  private static ApplicationsFile parse(Config file) {
    for (String key : file.root().keySet()) {
      if (!REFERENCE.root().containsKey(key)) {
        throw new Refusal(
            ErrorCode.INVALID,
            "there is no setting '%s'; there are %s"
                .formatted(Refusal.printable(key), REFERENCE.root().keySet()));
      }
    }
    ConfigObject given =
        file.hasPath("applications")
            ? file.getObject("applications")
            : ConfigFactory.empty().root();
    if (given.size() > APPLICATIONS_MAX) {
      throw new Refusal(
          ErrorCode.LIMIT,
          "%d applications; a tap has at most %d".formatted(given.size(), APPLICATIONS_MAX));
    }
    List<String> names = new ArrayList<>(given.keySet());
    names.sort(Comparator.comparingInt(name -> given.get(name).origin().lineNumber()));
    Map<String, ApplicationSpec> specs = new LinkedHashMap<>();
    for (String name : names) {
      if (!NAME.matcher(name).matches() || given.get(name).valueType() != ConfigValueType.OBJECT) {
        throw new Refusal(
            ErrorCode.INVALID,
            "'%s' names no application: use up to %d letters, digits, '_' or '-', and { kind = ... }"
                .formatted(Refusal.printable(name), NAME_LENGTH_MAX));
      }
      specs.put(name, application(name, ((ConfigObject) given.get(name)).toConfig()));
    }
    Duration frozenMax = limit(file.withFallback(REFERENCE), "frozen-max");
    ApplicationsFile whole = new ApplicationsFile(frozenMax, specs);
    specs.values().forEach(spec -> whole.checkFileSystems(spec, new HashSet<>()));
    return whole;
  }

  private static ApplicationSpec application(String name, Config given) {
    String path = "applications." + name;
    ConfigObject kinds = REFERENCE.getObject("applications");
    String kind = given.hasPath("kind") ? given.getString("kind") : "";
    if (!kinds.containsKey(kind)) {
      throw new Refusal(
          ErrorCode.INVALID,
          "%s.kind = '%s' is none of %s"
              .formatted(path, Refusal.printable(kind), String.join(", ", kinds.keySet())));
    }
    ConfigObject reference = (ConfigObject) kinds.get(kind);
    KnownKeys.check(given.withoutPath("kind").root(), reference, path);
    Config all = given.withFallback(reference);
    Kind what = kind(kind, all, path);
    String onFailure = all.getString("on-failure");
    if (!Set.of("fail", "crash").contains(onFailure)) {
      throw new Refusal(ErrorCode.INVALID, path + ".on-failure is neither fail nor crash");
    }
    return new ApplicationSpec(
        name,
        Set.copyOf(all.getStringList("on")),
        limit(all, "time-limit"),
        onFailure.equals("crash"),
        what);
  }

  private static Kind kind(String kind, Config all, String path) {
    return switch (kind) {
      case "fsfreeze" -> new FileSystem(absolute(all, path, "mount-point"));
      case "scripts" -> new Scripts(absolute(all, path, "directory"));
      case "sqlite" -> new Sqlite(absolute(all, path, "database"), user(all, path));
      case "postgresql" ->
          new Postgres(
              Choice.of(all, "mode", PostgresMode.class),
              text(all, "host"),
              port(all, path),
              text(all, "user"),
              all.getString("database"),
              user(all, path),
              credentials(all, path, "pass-file"));
      default ->
          new MariaDb(
              kind,
              Choice.of(all, "mode", MariaDbMode.class),
              text(all, "socket"),
              text(all, "host"),
              port(all, path),
              text(all, "user"),
              user(all, path),
              credentials(all, path, "option-file"),
              kind.equals("mariadb") && all.getBoolean("innodb-checkpoint"));
    };
  }

  /** What an application lies on is a file system of this file, and lies not on itself. */
  private void checkFileSystems(ApplicationSpec spec, Set<String> above) {
    if (!above.add(spec.name())) {
      throw new Refusal(ErrorCode.INVALID, "applications." + spec.name() + ".on leads to itself");
    }
    for (String name : spec.on()) {
      ApplicationSpec lower = applications.get(name);
      if (lower == null || !(lower.kind() instanceof FileSystem)) {
        throw new Refusal(
            ErrorCode.INVALID,
            "applications.%s.on: '%s' is no application of kind fsfreeze"
                .formatted(spec.name(), Refusal.printable(name)));
      }
      checkFileSystems(lower, new HashSet<>(above));
    }
  }

  private static Path absolute(Config all, String path, String key) {
    String text = text(all, key).orElse("");
    if (!text.startsWith("/") || text.indexOf('\0') >= 0) {
      throw new Refusal(ErrorCode.INVALID, path + "." + key + " is missing, or no absolute path");
    }
    return Path.of(text).normalize();
  }

  private static Optional<Path> credentials(Config all, String path, String key) {
    return text(all, key).isEmpty()
        ? Optional.empty()
        : Optional.of(new CredentialsFile(absolute(all, path, key)).path());
  }

  private static Optional<String> text(Config all, String key) {
    return all.hasPath(key) ? Optional.of(all.getString(key)) : Optional.empty();
  }

  private static Optional<String> user(Config all, String path) {
    Optional<String> user = text(all, "run-as");
    if (user.isPresent() && !USER.matcher(user.get()).matches()) {
      throw new Refusal(ErrorCode.INVALID, path + ".run-as is no user of this machine");
    }
    return user;
  }

  private static Optional<Integer> port(Config all, String path) {
    Optional<Integer> port =
        all.hasPath("port") ? Optional.of(all.getInt("port")) : Optional.empty();
    if (port.isPresent() && (port.get() < 1 || port.get() > PORT_MAX)) {
      throw new Refusal(ErrorCode.INVALID, path + ".port = " + port.get() + " is no port");
    }
    return port;
  }

  private static Duration limit(Config all, String key) {
    Duration limit = all.getDuration(key);
    if (limit.toMillis() < 1 || limit.compareTo(LIMIT_MAX) > 0) {
      throw new ConfigException.BadValue(
          all.getValue(key).origin(), key, "more than nothing and at most " + LIMIT_MAX);
    }
    return limit;
  }
}
