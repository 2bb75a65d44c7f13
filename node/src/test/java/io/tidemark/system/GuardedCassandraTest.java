package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.Row;
import com.fasterxml.jackson.databind.JsonNode;
import com.typesafe.config.ConfigFactory;
import io.tidemark.cassandra.CassandraSessions;
import io.tidemark.cassandra.CassandraSettings;
import io.tidemark.cassandra.GuardedCassandra;
import io.tidemark.cassandra.PrivateAuthority;
import io.tidemark.cassandra.Schema;
import io.tidemark.certs.CertsCommand;
import io.tidemark.nbd.client.NbdUri;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A node over a Cassandra that asks for TLS, a client certificate, a password and rights. */
@Tag("cluster")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class GuardedCassandraTest {
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final Path LIB =
      Path.of("../persistence/cassandra-runtime/target/cassandra-lib").toAbsolutePath().normalize();
  private static final String USER = "tidemark_site";
  private static final String PASSWORD = "Correct horse";

  @TempDir static Path directory;
  private int port;
  private PrivateAuthority authority;
  private PrivateAuthority stranger;
  private Path clientKeys;
  private GuardedCassandra cassandra;
  private CqlSession superuser;

  @BeforeAll
  @Timeout(value = 5, unit = TimeUnit.MINUTES)
  void start() throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    port = FreePorts.freePort();
    authority = new PrivateAuthority(directory.resolve("ours"));
    stranger = new PrivateAuthority(directory.resolve("strangers"));
    clientKeys = authority.keystore("node");
    cassandra =
        GuardedCassandra.start(
            directory.resolve("cassandra"), authority, LIB, port, FreePorts.freePort());
    superuser = cassandra.awaitSession(settings("cassandra", secret("cassandra"), tls()));
    superuser.execute(
        "CREATE ROLE %s WITH PASSWORD = '%s' AND LOGIN = true".formatted(USER, PASSWORD));
  }

  @AfterAll
  void stop() throws Exception {
    if (superuser != null) {
      superuser.close();
    }
    cassandra.close();
  }

  private static Path secret(String password) throws IOException {
    Path file = Files.createTempFile(directory, "secret", "");
    return Files.writeString(file, password + "\nnot this line\n");
  }

  private String section(String user, Path password, String tls) {
    return """
    tidemark.cassandra {
      embedded = off
      contact-points = ["127.0.0.1:%d"]
      username = %s
      password-file = "%s"
      %s
    }
    """
        .formatted(port, user, password, tls);
  }

  private String tls() throws Exception {
    return tls(authority, clientKeys);
  }

  private String tls(PrivateAuthority trusted, Path keys) throws Exception {
    return """
    tls {
      enabled = on
      truststore = "%s"
      truststore-password-file = "%s"
      keystore = "%s"
      keystore-password-file = "%s"
    }
    """
        .formatted(trusted.truststore(), trusted.passwordFile(), keys, authority.passwordFile());
  }

  private CassandraSettings settings(String user, Path password, String tls) {
    return CassandraSettings.of(
        ConfigFactory.parseString(section(user, password, tls))
            .withFallback(ConfigFactory.defaultReference())
            .resolve());
  }

  private static void refused(CassandraSettings settings, ErrorCode code, String... words) {
    long began = System.nanoTime();
    Refusal refusal = assertThrows(Refusal.class, () -> CassandraSessions.open(settings).close());
    System.out.println(refusal.code() + " " + refusal.getMessage());
    assertEquals(code, refusal.code(), refusal.getMessage());
    for (String word : words) {
      assertTrue(refusal.getMessage().contains(word), refusal.getMessage());
    }
    assertFalse(refusal.getMessage().contains(PASSWORD), refusal.getMessage());
    assertTrue(System.nanoTime() - began < LIMIT.toNanos(), "refused at once");
  }

  /** Each setting that does not fit has a code of its own and says which one it is. */
  @Test
  @Order(1)
  void shouldSayWhichSettingDoesNotFit() throws Exception {
    Path right = secret(PASSWORD);
    refused(
        settings(USER, secret("guessed"), tls()),
        ErrorCode.UNAUTHENTICATED,
        USER,
        "tidemark.cassandra.username and password-file");
    refused(settings("\"\"", right, tls()), ErrorCode.UNAUTHENTICATED, "asks for credentials");
    refused(
        settings(USER, right, tls(stranger, clientKeys)),
        ErrorCode.UNAUTHENTICATED,
        "tidemark.cassandra.tls.truststore");
    refused(
        settings(USER, right, tls().replaceAll("keystore.*", "")),
        ErrorCode.UNAUTHENTICATED,
        "tidemark.cassandra.tls.keystore");
    Path others = stranger.keystore("node");
    refused(settings(USER, right, tls(authority, others)), ErrorCode.UNAUTHENTICATED, "own trust");
    refused(settings(USER, right, ""), ErrorCode.INVALID, "tidemark.cassandra.tls.enabled = on");
  }

  /** The certificate names 127.0.0.1 only; whoever wants another name must say so. */
  @Test
  @Order(2)
  void shouldBelieveACertificateForItsOwnNameOnly() throws Exception {
    String elsewhere = section(USER, secret(PASSWORD), tls()).replace("127.0.0.1:", "localhost:");
    CassandraSettings settings =
        CassandraSettings.of(
            ConfigFactory.parseString(elsewhere)
                .withFallback(ConfigFactory.defaultReference())
                .resolve());
    refused(settings, ErrorCode.UNAUTHENTICATED, "verify-hostname");
    CassandraSettings lenient =
        CassandraSettings.of(
            ConfigFactory.parseString(elsewhere)
                .withFallback(
                    ConfigFactory.parseString("tidemark.cassandra.tls.verify-hostname = off"))
                .withFallback(ConfigFactory.defaultReference())
                .resolve());
    CassandraSessions.open(lenient).close();
  }

  /** What a person sees: one line with the code, the exit code of that code, no stack trace. */
  @Test
  @Order(3)
  void shouldRefuseToStartWithOneSentence() throws Exception {
    Path right = secret(PASSWORD);
    nodeRefuses(section(USER, secret("guessed"), tls()), 3, "UNAUTHENTICATED");
    nodeRefuses(section(USER, right, tls(stranger, clientKeys)), 3, "UNAUTHENTICATED");
    nodeRefuses(section(USER, right, ""), 2, "INVALID");
    nodeRefuses(section(USER, right, tls()), 3, "FORBIDDEN", "GRANT CREATE ON ALL KEYSPACES");
    Path open = secret(PASSWORD);
    Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rw-r--r--"));
    nodeRefuses(section(USER, open, tls()), 3, "FORBIDDEN", "chmod 600");
  }

  private void nodeRefuses(String section, int exitCode, String... words) throws Exception {
    Path home = Files.createTempDirectory(directory, "refused");
    TestSite site = new TestSite(home, section);
    try (site) {
      site.launch();
      assertEquals(exitCode, site.exitCode(60), site.output());
      String output = site.output();
      for (String word : words) {
        assertTrue(output.contains(word), output);
      }
      assertFalse(output.contains("\tat ") || output.contains("Exception:"), output);
      assertFalse(output.contains(PASSWORD), output);
    }
  }

  /**
   * Segments, index, fence, lease and events: all of it encrypted, as the user, and recovered.
   * Drills of such a site open their images although their tools have no certificate.
   */
  @Test
  @Order(4)
  void shouldJournalThroughTlsAsTheUser() throws Exception {
    superuser.execute("GRANT CREATE ON ALL KEYSPACES TO " + USER);
    Path backing = directory.resolve("guarded.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(Load.VOLUME_BYTES);
    }
    String section = section(USER, secret(PASSWORD), tls());
    try (TestSite site = new TestSite(directory.resolve("site"), section);
        TestSite.TestTap tap = encrypted(site).tap("guarded", backing);
        Load load = new Load("guarded", tap, SEED)) {
      site.start();
      site.client.createVolume("guarded", Load.VOLUME_BYTES);
      tap.start();
      load.begin(site);
      load.awaitMore(site, 100, LIMIT);
      site.kill();
      // A role with the keyspace alone is enough once its tables are there.
      superuser.execute("REVOKE CREATE ON ALL KEYSPACES FROM " + USER);
      site.start();
      load.awaitMore(site, 100, LIMIT);
      System.out.println(load.end(site) + " writes, every checked position holds");
      assertEncrypted();
      JsonNode image = site.client.openImage("guarded", "latest", false).orFail();
      assertTrue(NbdUri.parse(image.at("/uri").asText()).tls(), "clients' images are encrypted");
      site.client.closeImage(image.at("/name").asText());
      new DrillScenario(site, directory.resolve("drills")).onSchedule();
      assertEquals(200, site.client.get("/health/ready").status());
    }
  }

  /** Its links, images and messages too. */
  private static TestSite encrypted(TestSite site) throws IOException {
    Path own = directory.resolve("authority");
    assertEquals(0, CertsCommand.run(new String[] {"init", own.toString()}));
    site.encrypt(own);
    return site;
  }

  private void assertEncrypted() {
    List<Row> clients =
        superuser
            .execute("SELECT username, ssl_enabled, driver_name FROM system_views.clients")
            .all();
    Set<String> users =
        clients.stream().map(row -> row.getString("username")).collect(Collectors.toSet());
    assertTrue(users.contains(USER), users.toString());
    for (Row client : clients) {
      assertTrue(client.getBoolean("ssl_enabled"), client.getFormattedContents());
    }
    assertTrue(
        clients.stream().filter(row -> USER.equals(row.getString("username"))).count() >= 4,
        "the stores' and the journal's connections");
  }

  /** Rights that are missing are named, with the statement that gives them. */
  @Test
  @Order(5)
  void shouldNameTheRightsThatAreMissing() throws Exception {
    superuser.execute("CREATE ROLE nobody WITH PASSWORD = 'nothing' AND LOGIN = true");
    CassandraSettings settings = settings("nobody", secret("nothing"), tls());
    CassandraSettings other =
        CassandraSettings.of(
            ConfigFactory.parseString("tidemark.cassandra.keyspace = elsewhere")
                .withFallback(
                    ConfigFactory.parseString(section("nobody", secret("nothing"), tls())))
                .withFallback(ConfigFactory.defaultReference())
                .resolve());
    try (CqlSession session = CassandraSessions.open(settings)) {
      Refusal refusal = assertThrows(Refusal.class, () -> Schema.create(session, other));
      assertEquals(ErrorCode.FORBIDDEN, refusal.code());
      assertTrue(refusal.getMessage().contains("GRANT"), refusal.getMessage());
    }
  }
}
