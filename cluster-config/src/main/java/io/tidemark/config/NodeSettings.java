package io.tidemark.config;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigException;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigParseOptions;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.tls.TlsFiles;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A node's settings; the reference files document each.
 *
 * @param config everything, resolved; the sections of the other modules are read from here
 * @param data directory of everything that the node keeps
 * @param http where the admin interface listens
 * @param tapLink where taps connect
 * @param images where images are served over NBD
 * @param management where Akka Management listens; empty when it is switched off
 * @param tls the node's certificate; empty when everything stays on this machine
 */
public record NodeSettings(
    Config config,
    Path data,
    Endpoint http,
    Endpoint tapLink,
    Endpoint images,
    Optional<Endpoint> management,
    Optional<TlsFiles> tls) {
  private static final String ROOT = "tidemark";
  private static final String AKKA_OVERRIDES = "tidemark.akka";
  private static final int PORT_MAX = 65_535;
  private static final long FILE_BYTES_MAX = 1 << 20;

  /** What TLS with certificates of both ends protects when it is set up. */
  private static final List<String> ENCRYPTED = List.of("tap-link", "images", "cluster");

  /** What has no credentials of its own. */
  private static final List<String> LOCAL = List.of("http", "management");

  /**
   * Reads a settings file over the reference files.
   *
   * @param file HOCON; only the reference files when empty
   * @param overrides paths and values that win over the file, such as {@code tidemark.data}
   * @throws Refusal {@code INVALID} for a file that cannot be read, a key that nothing reads, a
   *     value of the wrong kind; {@code FORBIDDEN} for an address that other machines can reach
   */
  public static NodeSettings load(Optional<Path> file, Map<String, ?> overrides) {
    return load(file.map(List::of).orElseGet(List::of), overrides);
  }

  /**
   * The same with several files.
   *
   * @param files the first that sets something wins
   */
  public static NodeSettings load(List<Path> files, Map<String, ?> overrides) {
    try {
      Config given = ConfigFactory.empty();
      for (Path file : files) {
        given = given.withFallback(only(parse(file), file));
      }
      Config whole =
          ConfigFactory.parseMap(overrides, "command line")
              .withFallback(given)
              .withFallback(ConfigFactory.defaultOverrides())
              .withFallback(ConfigFactory.defaultReferenceUnresolved())
              .resolve();
      KnownKeys.check(whole.withoutPath(AKKA_OVERRIDES), ROOT);
      return of(whole);
    } catch (ConfigException e) {
      throw new Refusal(ErrorCode.INVALID, "settings: " + e.getMessage(), e);
    }
  }

  private static Config only(Config given, Path file) {
    for (String key : given.root().keySet()) {
      if (!key.equals(ROOT)) {
        throw new Refusal(
            ErrorCode.INVALID,
            file
                + ": there is no setting '"
                + Refusal.printable(key)
                + "'; every setting is below 'tidemark', those of Akka below 'tidemark.akka'");
      }
    }
    return given;
  }

  private static Config parse(Path file) {
    try {
      if (!Files.isReadable(file) || Files.isDirectory(file)) {
        throw new Refusal(ErrorCode.INVALID, "the settings file " + file + " cannot be read");
      }
      if (Files.size(file) > FILE_BYTES_MAX) {
        throw new Refusal(
            ErrorCode.LIMIT,
            "the settings file " + file + " is longer than " + FILE_BYTES_MAX + " bytes");
      }
    } catch (java.io.IOException e) {
      throw new Refusal(ErrorCode.INVALID, "the settings file " + file + " cannot be read", e);
    }
    return ConfigFactory.parseFile(
        file.toFile(), ConfigParseOptions.defaults().setAllowMissing(false));
  }

  private static NodeSettings of(Config whole) {
    Optional<TlsFiles> tls = TlsFiles.of(whole);
    LOCAL.forEach(listener -> requireLoopback(whole, listener));
    if (tls.isEmpty()) {
      ENCRYPTED.forEach(listener -> requireLoopback(whole, listener));
    }
    return new NodeSettings(
        whole,
        Path.of(whole.getString("tidemark.data")).toAbsolutePath().normalize(),
        endpoint(whole, "http"),
        endpoint(whole, "tap-link"),
        endpoint(whole, "images"),
        whole.getBoolean("tidemark.management.enabled")
            ? Optional.of(endpoint(whole, "management"))
            : Optional.empty(),
        tls);
  }

  private static Endpoint endpoint(Config whole, String section) {
    String path = ROOT + "." + section + ".port";
    int port = whole.getInt(path);
    if (port < 0 || port > PORT_MAX) {
      throw new Refusal(
          ErrorCode.INVALID, path + " = " + port + " is no port: use 0 to " + PORT_MAX);
    }
    return new Endpoint(whole.getString(ROOT + "." + section + ".address"), port);
  }

  private static void requireLoopback(Config whole, String listener) {
    String path = ROOT + "." + listener + ".address";
    if (!whole.hasPath(path)) {
      return;
    }
    String host = whole.getString(path);
    try {
      if (InetAddress.getByName(host).isLoopbackAddress()) {
        return;
      }
    } catch (UnknownHostException e) {
      throw new Refusal(
          ErrorCode.INVALID, path + " = " + Refusal.printable(host) + " is no known address", e);
    }
    throw new Refusal(
        ErrorCode.FORBIDDEN,
        path
            + " = "
            + Refusal.printable(host)
            + " can be reached from other machines, and without TLS and credentials everybody"
            + " there could read and delete what is protected: use 127.0.0.1, and "
            + (ENCRYPTED.contains(listener)
                ? "set tidemark.tls to open it to others (tidemark certs makes certificates)"
                : "a tunnel such as ssh -L to get in from elsewhere"));
  }
}
