package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.internal.core.config.typesafe.DefaultDriverConfigLoader;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.tidemark.refusal.Refusal;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

/** Connections to Cassandra, made from the settings alone. */
public final class CassandraSessions {
  /** Driver profile of idempotent writes, at the configured consistency level. */
  public static final String WRITES = "tidemark-writes";

  /** Driver profile of reads of immutable rows, from the nearest replica. */
  public static final String READS = "tidemark-reads";

  /** Driver profile of reads that the nearest replica could not serve. */
  public static final String CAREFUL_READS = "tidemark-careful-reads";

  private static final String DRIVER = "datastax-java-driver";

  private CassandraSessions() {}

  /**
   * Connects; takes about a second. Blocks.
   *
   * @throws Refusal {@code UNAUTHENTICATED} when Cassandra does not accept the credentials or the
   *     client certificate, or is not who the truststore says; {@code INVALID} when the settings do
   *     not fit it, such as TLS on one side only; {@code FAILED} when no contact point answers
   */
  public static CqlSession open(CassandraSettings settings) {
    try {
      return openAsync(settings).toCompletableFuture().join();
    } catch (CompletionException e) {
      throw SessionRefusals.of(settings, e.getCause());
    }
  }

  /** As {@link #open}; fails with the driver's own exception. */
  public static CompletionStage<CqlSession> openAsync(CassandraSettings settings) {
    Config driver =
        driverConfig(settings)
            .withFallback(ConfigFactory.defaultReference().getConfig(DRIVER))
            .resolve();
    return CqlSession.builder()
        .withConfigLoader(new DefaultDriverConfigLoader(() -> driver, false))
        .buildAsync();
  }

  /**
   * What goes under {@code datastax-java-driver} in the configuration of anything else that opens
   * sessions, such as the journal plugin, so that it uses the same Cassandra in the same way.
   */
  public static Config driverConfig(CassandraSettings settings) {
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("basic.session-name", "tidemark");
    values.put("basic.contact-points", settings.contactPoints());
    values.put("basic.load-balancing-policy.local-datacenter", settings.localDatacenter());
    values.put("basic.request.timeout", settings.requestTimeout());
    values.put("basic.request.consistency", settings.consistency().name());
    // Chunks carry checksums of their own; version 5 would checksum every frame once more.
    values.put("advanced.protocol.version", "V4");
    values.put("advanced.connection.connect-timeout", "5 seconds");
    values.put("advanced.connection.init-query-timeout", "5 seconds");
    values.put("advanced.control-connection.timeout", "5 seconds");
    // What tables there are is looked up while many nodes may be starting.
    values.put("advanced.metadata.schema.request-timeout", settings.requestTimeout());
    // A table is made when the driver has seen it, which it waits a second for by default: twenty
    // tables would take a first start twenty seconds.
    values.put("advanced.metadata.schema.debouncer.window", "10 milliseconds");
    values.put("advanced.heartbeat.interval", "5 seconds");
    values.put("advanced.heartbeat.timeout", "5 seconds");
    // A Cassandra that was started again is to be noticed within a second or two.
    values.put("advanced.reconnection-policy.class", "ExponentialReconnectionPolicy");
    values.put("advanced.reconnection-policy.base-delay", "200 milliseconds");
    values.put("advanced.reconnection-policy.max-delay", "2 seconds");
    values.put("profiles." + WRITES + ".basic.request.default-idempotence", true);
    values.put(
        "profiles." + READS + ".basic.request.consistency", settings.readConsistency().name());
    values.put("profiles." + READS + ".basic.request.default-idempotence", true);
    values.put("profiles." + CAREFUL_READS + ".basic.request.default-idempotence", true);
    settings.credentials().ifPresent(credentials -> putCredentials(values, credentials));
    settings.tls().ifPresent(tls -> putTls(values, tls));
    return ConfigFactory.parseMap(values, "tidemark.cassandra");
  }

  private static void putCredentials(
      Map<String, Object> values, CassandraSettings.Credentials credentials) {
    values.put("advanced.auth-provider.class", "PlainTextAuthProvider");
    values.put("advanced.auth-provider.username", credentials.username());
    values.put("advanced.auth-provider.password", credentials.password());
  }

  private static void putTls(Map<String, Object> values, CassandraSettings.Tls tls) {
    String factory = "advanced.ssl-engine-factory.";
    values.put(factory + "class", "DefaultSslEngineFactory");
    values.put(factory + "hostname-validation", tls.verifyHostname());
    // A certificate is for what the settings name, not for what some DNS server makes of it.
    values.put(factory + "allow-dns-reverse-lookup-san", false);
    values.put(factory + "truststore-path", tls.truststore().path().toString());
    values.put(factory + "truststore-password", tls.truststore().password());
    tls.keystore()
        .ifPresent(
            store -> {
              values.put(factory + "keystore-path", store.path().toString());
              values.put(factory + "keystore-password", store.password());
            });
  }
}
