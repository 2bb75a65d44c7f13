package io.tidemark.system;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.Row;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A node over an external Cassandra cluster of three, with three copies of everything. */
@Tag("cluster")
@Timeout(value = 8, unit = TimeUnit.MINUTES)
class ThreeCopiesTest {
  private static final long SEED =
      Long.getLong("tidemark.test.seed", System.nanoTime() & 0xffff_ffffL);
  private static final Duration LIMIT = Duration.ofSeconds(60);

  /** J4: one Cassandra is killed under load; then it comes back and another one is killed. */
  @Test
  void shouldJournalOnWhileOneOfThreeCassandrasIsDead(@TempDir Path directory) throws Exception {
    System.out.println("seed " + SEED + " (-Dtidemark.test.seed=" + SEED + ")");
    Path backing = directory.resolve("copies.img");
    try (RandomAccessFile file = new RandomAccessFile(backing.toFile(), "rw")) {
      file.setLength(Load.VOLUME_BYTES);
    }
    try (ExternalCassandra cassandra = new ExternalCassandra(directory, 3);
        TestSite site = new TestSite(directory.resolve("site"), cassandra.nodeSettings());
        TestSite.TestTap tap = site.tap("copies", backing);
        Load load = new Load("copies", tap, SEED)) {
      site.start();
      site.client.createVolume("copies", Load.VOLUME_BYTES);
      tap.start();
      load.begin(site);
      load.awaitMore(site, 300, LIMIT);
      cassandra.kill(0);
      long resumed = load.awaitMore(site, 300, LIMIT);
      System.out.printf("300 more writes were journaled %d ms after the kill%n", resumed);
      System.out.println(load.end(site) + " writes, every checked position holds");
      checkReplication(cassandra, site);
    }
  }

  /** Segments, index, events and snapshots alike: one keyspace with three copies. */
  private static void checkReplication(ExternalCassandra cassandra, TestSite site)
      throws Exception {
    cassandra.restart(0);
    try (CqlSession session = cassandra.session()) {
      Row keyspace =
          session
              .execute(
                  "SELECT replication FROM system_schema.keyspaces"
                      + " WHERE keyspace_name = 'tidemark'")
              .one();
      assertEquals(
          "3",
          keyspace.getMap("replication", String.class, String.class).get("datacenter1"),
          "copies of the keyspace");
      long elsewhere =
          session.execute("SELECT keyspace_name FROM system_schema.tables").all().stream()
              .map(row -> row.getString("keyspace_name"))
              .filter(name -> !name.startsWith("system") && !name.equals("tidemark"))
              .count();
      assertEquals(0, elsewhere, "tables outside the site's keyspace");
    }
    assertEquals(200, site.client.get("/health/ready").status());
  }
}
