package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.ConsistencyLevel;
import com.datastax.oss.driver.api.core.DefaultConsistencyLevel;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigException;
import com.typesafe.config.ConfigValue;
import com.typesafe.config.ConfigValueType;
import io.tidemark.config.Choice;
import io.tidemark.config.KnownKeys;
import io.tidemark.config.SecretFile;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.segment.ChunkCodec;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * How this site uses its Cassandra; the reference file documents each setting.
 *
 * @param embedded whether the node starts its own
 * @param contactPoints {@code host:port}
 * @param replication copies per data centre
 * @param consistency of writes, and of reads that the first replica could not serve
 * @param requestTimeout of one attempt
 * @param writeDeadline of all attempts together
 * @param chunkCacheBytes for decompressed chunks
 */
public record CassandraSettings(
    boolean embedded,
    List<String> contactPoints,
    String localDatacenter,
    String keyspace,
    Map<String, Integer> replication,
    ConsistencyLevel consistency,
    ConsistencyLevel readConsistency,
    Optional<Credentials> credentials,
    Optional<Tls> tls,
    Duration requestTimeout,
    Duration writeDeadline,
    int chunksInFlight,
    int readsInFlight,
    ChunkCodec.Compression compression,
    long chunkCacheBytes,
    EmbeddedCassandraSettings server) {

  /** Path of the section in the configuration. */
  public static final String SECTION = "tidemark.cassandra";

  private static final Pattern KEYSPACE = Pattern.compile("[a-z][a-z0-9_]{0,47}");
  private static final Pattern CONTACT_POINT = Pattern.compile("[^\\s:]+:\\d{1,5}");
  private static final int REPLICAS_MAX = 64;
  private static final int IN_FLIGHT_MAX = 1024;
  private static final String KEYSTORE = "tls.keystore";

  /** Who the node is to Cassandra; never shown. */
  public record Credentials(String username, String password) {
    @Override
    public String toString() {
      return "Credentials[" + username + "]";
    }
  }

  /** A store of keys or certificates and the password that opens it; never shown. */
  public record Store(Path path, String password) {
    @Override
    public String toString() {
      return "Store[" + path + "]";
    }
  }

  /** Encryption of the connections to Cassandra. */
  public record Tls(Store truststore, Optional<Store> keystore, boolean verifyHostname) {}

  /**
   * Reads the section {@code tidemark.cassandra}.
   *
   * @param config the whole resolved configuration, with the reference files
   * @throws Refusal {@code INVALID} that names the setting and what it should be
   */
  public static CassandraSettings of(Config config) {
    KnownKeys.check(config, SECTION);
    try {
      return read(config.getConfig(SECTION));
    } catch (ConfigException e) {
      throw new Refusal(ErrorCode.INVALID, "configuration: " + e.getMessage(), e);
    }
  }

  private static CassandraSettings read(Config config) {
    boolean embedded = config.getBoolean("embedded");
    List<String> contactPoints = List.copyOf(config.getStringList("contact-points"));
    if (!embedded && contactPoints.isEmpty()) {
      throw invalid("contact-points", "is empty while embedded = off: name host:port of a node");
    }
    if (embedded && config.getBoolean("tls.enabled")) {
      throw invalid(
          "tls.enabled",
          "is on, but the embedded Cassandra listens on loopback without TLS: switch it off");
    }
    for (String point : contactPoints) {
      if (!CONTACT_POINT.matcher(point).matches()) {
        throw invalid("contact-points", "'%s' is not host:port".formatted(point));
      }
    }
    String keyspace = config.getString("keyspace");
    if (!KEYSPACE.matcher(keyspace).matches()) {
      throw invalid(
          "keyspace", "is 1 to 48 small letters, digits and '_', beginning with a letter");
    }
    String datacenter = config.getString("local-datacenter");
    return new CassandraSettings(
        embedded,
        contactPoints,
        datacenter,
        keyspace,
        replication(config.getValue("replication"), datacenter),
        Choice.of(config, "consistency", DefaultConsistencyLevel.class),
        Choice.of(config, "read-consistency", DefaultConsistencyLevel.class),
        credentials(config),
        config.getBoolean("tls.enabled") ? Optional.of(tls(config)) : Optional.empty(),
        config.getDuration("request-timeout"),
        config.getDuration("write-deadline"),
        bounded(config, "chunks-in-flight"),
        bounded(config, "reads-in-flight"),
        Choice.of(config, "compression", ChunkCodec.Compression.class),
        config.getBytes("chunk-cache"),
        EmbeddedCassandraSettings.of(config.getConfig("embedded-server")));
  }

  private static Map<String, Integer> replication(ConfigValue value, String datacenter) {
    Map<String, Integer> replicas = new TreeMap<>();
    if (value.valueType() == ConfigValueType.OBJECT) {
      ((Map<?, ?>) value.unwrapped())
          .forEach((name, number) -> replicas.put(name.toString(), replicas(number)));
      if (!replicas.containsKey(datacenter)) {
        throw invalid("replication", "does not name local-datacenter '%s'".formatted(datacenter));
      }
    } else {
      replicas.put(datacenter, replicas(value.unwrapped()));
    }
    return Map.copyOf(replicas);
  }

  private static int replicas(Object number) {
    String text = String.valueOf(number);
    if (!text.matches("\\d{1,3}")
        || Integer.parseInt(text) < 1
        || Integer.parseInt(text) > REPLICAS_MAX) {
      throw invalid("replication", "'%s' is no number of copies, 1 to 64".formatted(text));
    }
    return Integer.parseInt(text);
  }

  private static int bounded(Config config, String key) {
    int value = config.getInt(key);
    if (value < 1 || value > IN_FLIGHT_MAX) {
      throw invalid(key, "is %d, but 1 to %d is possible".formatted(value, IN_FLIGHT_MAX));
    }
    return value;
  }

  private static Optional<Credentials> credentials(Config config) {
    String username = config.getString("username");
    if (username.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(new Credentials(username, secret(config, "password-file")));
  }

  private static Tls tls(Config config) {
    Optional<Store> keystore =
        config.getString(KEYSTORE).isEmpty()
            ? Optional.empty()
            : Optional.of(store(config, KEYSTORE));
    return new Tls(
        store(config, "tls.truststore"), keystore, config.getBoolean("tls.verify-hostname"));
  }

  private static Store store(Config config, String key) {
    Path path = Path.of(config.getString(key));
    if (!Files.isReadable(path) || Files.isDirectory(path)) {
      throw invalid(key, "'%s' cannot be read".formatted(path));
    }
    Store store = new Store(path, secret(config, key + "-password-file"));
    StoreCheck.require(store, SECTION + "." + key, key.equals(KEYSTORE));
    return store;
  }

  private static String secret(Config config, String key) {
    return SecretFile.firstLine(Path.of(config.getString(key)), SECTION + "." + key);
  }

  private static Refusal invalid(String key, String what) {
    return new Refusal(
        ErrorCode.INVALID, "%s.%s %s".formatted(SECTION, key, Refusal.printable(what)));
  }

  /** These settings for the Cassandra at an address, such as the embedded one's. */
  public CassandraSettings withContactPoint(InetSocketAddress address) {
    return new CassandraSettings(
        embedded,
        List.of(address.getHostString() + ":" + address.getPort()),
        localDatacenter,
        keyspace,
        replication,
        consistency,
        readConsistency,
        credentials,
        tls,
        requestTimeout,
        writeDeadline,
        chunksInFlight,
        readsInFlight,
        compression,
        chunkCacheBytes,
        server);
  }
}
