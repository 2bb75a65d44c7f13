package io.tidemark.node;

import com.typesafe.config.Config;
import io.tidemark.config.Endpoint;
import io.tidemark.config.NodeSettings;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Looks at the ports before anything is started, so that a node which cannot have one says so at
 * once and names the setting.
 */
final class Ports {
  private Ports() {}

  /**
   * @throws Refusal {@code BUSY} for a port that another process has, {@code INVALID} for one that
   *     is configured twice or an address that is not this machine's
   */
  static void requireFree(NodeSettings settings) {
    Map<String, Endpoint> wanted = new LinkedHashMap<>();
    wanted.put("tidemark.http", settings.http());
    wanted.put("tidemark.tap-link", settings.tapLink());
    wanted.put("tidemark.images", settings.images());
    Config cluster = settings.config().getConfig("tidemark.cluster");
    wanted.put(
        "tidemark.cluster", new Endpoint(cluster.getString("address"), cluster.getInt("port")));
    settings.management().ifPresent(endpoint -> wanted.put("tidemark.management", endpoint));
    Map<Endpoint, String> seen = new LinkedHashMap<>();
    wanted.forEach(
        (setting, endpoint) -> {
          if (endpoint.port() == 0) {
            return;
          }
          String other = seen.put(endpoint, setting);
          if (other != null) {
            throw new Refusal(
                ErrorCode.INVALID,
                other + " and " + setting + " are both " + endpoint + ": give each its own port");
          }
          requireFree(setting, endpoint);
        });
  }

  private static void requireFree(String setting, Endpoint endpoint) {
    InetSocketAddress address = new InetSocketAddress(endpoint.host(), endpoint.port());
    try (ServerSocket probe = new ServerSocket()) {
      // What lingers of connections of an earlier process is in nobody's way.
      probe.setReuseAddress(true);
      probe.bind(address);
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.BUSY,
          setting
              + ".port: "
              + endpoint
              + " cannot be used ("
              + e.getMessage()
              + "); another node may be running: stop it, or set "
              + setting
              + ".port to a free port",
          e);
    }
  }
}
