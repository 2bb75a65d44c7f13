package io.tidemark.site;

import akka.actor.typed.ActorSystem;
import akka.persistence.cassandra.KeyspaceAndTableStatements;
import akka.persistence.cassandra.PluginSettings;
import com.datastax.oss.driver.api.core.CqlSession;
import io.tidemark.cassandra.Schema;
import java.util.ArrayList;
import java.util.List;

/**
 * The tables of Akka's journal and snapshots, created before the first entity recovers: the plugin
 * would create them at first use, when a coordinator with several replicas may not know them yet.
 */
final class JournalTables {
  private static final String PLUGIN = "akka.persistence.cassandra";

  private JournalTables() {}

  /**
   * Creates what is missing and returns once all replicas agree on it; blocks.
   *
   * @throws io.tidemark.refusal.Refusal as {@link Schema#apply}
   */
  static void create(ActorSystem<?> system, String keyspace, CqlSession session) {
    KeyspaceAndTableStatements tables =
        new KeyspaceAndTableStatements(
            system,
            PLUGIN,
            PluginSettings.apply(
                system.classicSystem(), system.settings().config().getConfig(PLUGIN)));
    List<String> statements = new ArrayList<>();
    statements.add(tables.createJournalKeyspaceStatement());
    statements.addAll(tables.getCreateJournalTablesStatements());
    statements.addAll(tables.getCreateSnapshotTablesStatements());
    Schema.apply(session, keyspace, statements);
  }
}
