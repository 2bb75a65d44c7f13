package io.tidemark.site;

import akka.actor.typed.ActorSystem;
import akka.persistence.cassandra.KeyspaceAndTableStatements;
import akka.persistence.cassandra.PluginSettings;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.ResultSet;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
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
   * @throws Refusal {@code NOT_ACKNOWLEDGED} when they do not agree in the driver's time
   */
  static void create(ActorSystem<?> system, CqlSession session) {
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
    for (String statement : statements) {
      ResultSet result = session.execute(statement);
      if (!result.getExecutionInfo().isSchemaInAgreement() && !session.checkSchemaAgreement()) {
        throw new Refusal(
            ErrorCode.NOT_ACKNOWLEDGED,
            "the Cassandra nodes do not agree on the journal's tables: see that all of them are up"
                + " and start this node again");
      }
    }
  }
}
