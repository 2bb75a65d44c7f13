package io.tidemark.node;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigRenderOptions;
import io.tidemark.config.Endpoint;
import io.tidemark.config.NodeSettings;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * What {@code tidemark up --site --join} settled for a data directory, in a settings file in it:
 * the site's name, ports that no other site of this machine has, and whom it joins. Read at every
 * later start, below the user's own settings file.
 */
final class OwnSettings {
  private static final String FILE = "site.conf";
  private static final Pattern SITE_NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");
  private static final Pattern HOST_PORT = Pattern.compile(".{1,255}:[1-9]\\d{0,4}");
  private static final int PORT_STEP = 100;
  private static final int STEPS_MAX = 100;
  private static final List<String> LISTENERS =
      List.of("http", "tap-link", "wan-link", "images", "cluster", "management");

  private OwnSettings() {}

  /** The file, once there is one. */
  static Optional<Path> of(Path data) {
    return Optional.of(data.resolve(FILE)).filter(Files::exists);
  }

  /**
   * Settles the site's name and whom it joins; the first time its ports, too. Repeating it changes
   * nothing.
   *
   * @param settings as they are without
   * @param site empty: as the settings say
   * @param join {@code HOST:PORT} of cluster addresses of other sites
   * @throws Refusal {@code INVALID} for a name that is none, an address that is none, or when the
   *     directory holds the data of another site
   */
  static void settle(NodeSettings settings, Optional<String> site, List<String> join) {
    requireWellFormed(site, join);
    Path file = settings.data().resolve(FILE);
    Config before = Files.exists(file) ? parse(file) : ConfigFactory.empty();
    boolean fresh = before.isEmpty() && !Files.exists(settings.data().resolve("node-id"));
    String named = settings.config().getString("tidemark.site.name");
    if (!fresh && site.isPresent() && !site.get().equals(named)) {
      throw new Refusal(
          ErrorCode.INVALID,
          "%s holds the data of site '%s': name that one, or give site '%s' a directory of its own"
                  .formatted(settings.data(), named, site.get())
              + " with --data");
    }
    Map<String, Object> own = new LinkedHashMap<>();
    own.put("tidemark.site.name", site.orElse(named));
    if (fresh) {
      ports(settings, join).forEach(own::put);
    }
    TreeSet<String> others = new TreeSet<>(join);
    if (before.hasPath("tidemark.cluster.other-sites")) {
      others.addAll(before.getStringList("tidemark.cluster.other-sites"));
    }
    if (!others.isEmpty()) {
      own.put("tidemark.cluster.other-sites", new ArrayList<>(others));
    }
    Config after = ConfigFactory.parseMap(own, "the command line").withFallback(before).resolve();
    if (!after.equals(before)) {
      write(file, after);
    }
  }

  private static void requireWellFormed(Optional<String> site, List<String> join) {
    if (site.isPresent() && !SITE_NAME.matcher(site.get()).matches()) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'%s' is no name of a site: use up to 63 letters, digits, '-', '_' and '.', a letter or"
                  .formatted(Refusal.printable(site.get()))
              + " digit first");
    }
    for (String address : join) {
      if (!HOST_PORT.matcher(address).matches()) {
        throw new Refusal(
            ErrorCode.INVALID,
            "--join takes the HOST:PORT that a node of the other site prints as 'artery', such as"
                + " 127.0.0.1:25520; '"
                + Refusal.printable(address)
                + "' is none");
      }
    }
  }

  /** The usual ports, or those so many hundreds above them that are all free. */
  private static Map<String, Object> ports(NodeSettings settings, List<String> join) {
    for (int step = 0; step < STEPS_MAX; step++) {
      Map<String, Object> ports = new LinkedHashMap<>();
      boolean free = true;
      for (String listener : LISTENERS) {
        String path = "tidemark." + listener;
        if (settings.config().hasPath(path + ".port")) {
          String host = settings.config().getString(path + ".address");
          int usual = settings.config().getInt(path + ".port");
          int port = usual == 0 ? 0 : usual + step * PORT_STEP;
          ports.put(path + ".port", port);
          free &= free(host, port) && !join.contains(new Endpoint(host, port).toString());
        }
      }
      if (free) {
        ports.put("tidemark.cassandra.embedded-server.native-port", 0);
        ports.put("tidemark.cassandra.embedded-server.storage-port", 0);
        return ports;
      }
    }
    throw new Refusal(
        ErrorCode.BUSY,
        "no set of ports is free in "
            + STEPS_MAX
            + " tries: set tidemark.http.port and the others in a file, and give it with --config");
  }

  private static boolean free(String host, int port) {
    try (ServerSocket probe = new ServerSocket()) {
      probe.setReuseAddress(true);
      probe.bind(new InetSocketAddress(host, port));
      return true;
    } catch (IOException | IllegalArgumentException taken) {
      return false;
    }
  }

  private static Config parse(Path file) {
    return ConfigFactory.parseFile(file.toFile());
  }

  private static void write(Path file, Config settings) {
    String text =
        "# Made by tidemark up; a file given with --config wins over it.\n"
            + settings
                .root()
                .render(ConfigRenderOptions.defaults().setOriginComments(false).setJson(false));
    try {
      Files.createDirectories(file.getParent());
      Path draft = file.resolveSibling(FILE + ".new");
      Files.writeString(draft, text);
      Files.move(draft, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.FAILED, "the settings " + file + " cannot be written: " + e.getMessage(), e);
    }
  }
}
