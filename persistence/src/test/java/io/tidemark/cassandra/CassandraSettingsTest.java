package io.tidemark.cassandra;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.DefaultConsistencyLevel;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.KeyStore;
import java.util.List;
import java.util.Map;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CassandraSettingsTest {
  @TempDir private Path directory;

  private static CassandraSettings settings(String text) {
    return CassandraSettings.of(
        ConfigFactory.parseString("tidemark.cassandra { " + text + " }")
            .withFallback(ConfigFactory.defaultReference())
            .resolve());
  }

  private static void assertRefuses(String text, String... words) {
    Refusal refusal = assertThrows(Refusal.class, () -> settings(text));
    assertEquals(ErrorCode.INVALID, refusal.code());
    for (String word : words) {
      assertTrue(refusal.getMessage().contains(word), refusal.getMessage());
    }
  }

  private Path password(String text) throws Exception {
    Path password = Files.writeString(directory.resolve("password"), text);
    return Files.setPosixFilePermissions(password, PosixFilePermissions.fromString("rw-------"));
  }

  /** With a certificate that the JDK itself trusts, and no key. */
  private Path truststore(String password) throws Exception {
    TrustManagerFactory known =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    known.init((KeyStore) null);
    X509TrustManager manager = (X509TrustManager) known.getTrustManagers()[0];
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry("authority", manager.getAcceptedIssuers()[0]);
    Path path = directory.resolve("truststore");
    try (OutputStream out = Files.newOutputStream(path)) {
      store.store(out, password.toCharArray());
    }
    return path;
  }

  /** What is acknowledged by default survives a power cut. */
  @Test
  void shouldSyncBeforeAcknowledgingByDefault() {
    CassandraSettings settings = settings("");
    assertTrue(settings.embedded());
    assertTrue(settings.server().commitLogSync() != CommitLogSync.PERIODIC);
    assertEquals(Map.of("datacenter1", 1), settings.replication());
  }

  @Test
  void shouldReadAClusterOfItsOwn() throws Exception {
    Path password = password("s3cret\nanother line\n");
    Path truststore = truststore("s3cret");
    CassandraSettings settings =
        settings(
            """
            embedded = off, contact-points = ["10.0.0.1:9042", "db.example:9142"]
            local-datacenter = east, keyspace = tm, replication { east = 3, west = 2 }
            consistency = local_quorum, username = tidemark, password-file = "%s"
            tls { enabled = on, truststore = "%s", truststore-password-file = "%s" }"""
                .formatted(password, truststore, password));
    assertEquals(DefaultConsistencyLevel.LOCAL_QUORUM, settings.consistency());
    assertEquals(Map.of("east", 3, "west", 2), settings.replication());
    assertFalse(settings.toString().contains("s3cret"), "a secret is shown");
    Config driver = CassandraSessions.driverConfig(settings);
    assertEquals(
        List.of("10.0.0.1:9042", "db.example:9142"), driver.getStringList("basic.contact-points"));
    assertEquals("s3cret", driver.getString("advanced.auth-provider.password"));
    assertEquals(
        truststore.toString(), driver.getString("advanced.ssl-engine-factory.truststore-path"));
    String create = Schema.statements(settings).get(0);
    assertTrue(create.contains("'class': 'NetworkTopologyStrategy', 'east': 3, 'west': 2"), create);
  }

  /** Stores that cannot be opened are found when the settings are read, not when TLS begins. */
  @Test
  void shouldRefuseStoresThatCannotBeUsed() throws Exception {
    String tls =
        """
        embedded = off, contact-points = ["10.0.0.1:9042"]
        tls { enabled = on, truststore = "%1$s", truststore-password-file = "%2$s"
          keystore = "%3$s", keystore-password-file = "%2$s" }""";
    Path truststore = truststore("s3cret");
    Path password = password("another\n");
    assertRefuses(
        tls.formatted(truststore, password, ""), "tls.truststore", "cannot be opened", "password");
    password("s3cret\n");
    assertRefuses(
        tls.formatted(truststore, password, truststore), "tls.keystore", "no private key");
    assertRefuses(tls.formatted(password, password, ""), "tls.truststore", "JKS or PKCS#12");
    Path open = Files.writeString(directory.resolve("open"), "s3cret\n");
    Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rw-r--r--"));
    Refusal refusal =
        assertThrows(
            Refusal.class, () -> settings("username = me, password-file = \"" + open + "\""));
    assertEquals(ErrorCode.FORBIDDEN, refusal.code(), refusal.getMessage());
  }

  @Test
  void shouldRefuseWhatItDoesNotUnderstand() {
    assertRefuses("heep = 3", "'tidemark.cassandra.heep'", "nearest");
    assertRefuses("embedded-server.memtabel = 3", "'tidemark.cassandra.embedded-server.memtable'");
    assertRefuses("embedded = off", "contact-points", "empty");
    assertRefuses("contact-points = [db]", "host:port");
    assertRefuses("keyspace = Drop-Table", "keyspace");
    assertRefuses("replication = 0", "copies");
    assertRefuses("replication { west = 3 }", "local-datacenter");
    assertRefuses("consistency = SOME", "local_quorum");
    assertRefuses("chunks-in-flight = 0", "chunks-in-flight");
    assertRefuses("embedded-server.commit-log-sync = never", "batch");
    assertRefuses("request-timeout = soon", "request-timeout");
    assertRefuses("tls.enabled = on", "embedded Cassandra", "tls.enabled");
    assertRefuses(
        "embedded = off, contact-points = [\"db:1\"], tls.enabled = on", "tls.truststore");
    assertRefuses("username = me, password-file = /nowhere/at/all", "password-file");
  }
}
