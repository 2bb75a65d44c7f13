package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Creates the keyspace and its tables where they are missing. */
public final class Schema {
  private static final String RESOURCE = "/tidemark-schema.cql";
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  private Schema() {}

  /**
   * Creates what is missing; safe to repeat. Nodes that start together should leave this to one of
   * them: Cassandra does not order concurrent changes of its schema. Blocks.
   *
   * @throws Refusal {@code FAILED} with Cassandra's reason
   */
  public static void create(CqlSession session, CassandraSettings settings) {
    for (String statement : statements(settings)) {
      try {
        session.execute(SimpleStatement.newInstance(statement).setTimeout(TIMEOUT));
      } catch (DriverException e) {
        throw new Refusal(
            ErrorCode.FAILED,
            "the keyspace %s could not be prepared: %s"
                .formatted(settings.keyspace(), e.getMessage()),
            e);
      }
    }
    if (!session.checkSchemaAgreement()) {
      throw new Refusal(
          ErrorCode.FAILED,
          "the nodes of Cassandra do not agree on the schema; see 'nodetool describecluster'");
    }
  }

  static List<String> statements(CassandraSettings settings) {
    String text =
        text()
            .replaceAll("(?m)--.*$", "")
            .replace("${keyspace}", settings.keyspace())
            .replace("${replication}", replication(settings.replication()));
    List<String> statements = new ArrayList<>();
    for (String statement : text.split(";", -1)) {
      if (!statement.isBlank()) {
        statements.add(statement.strip());
      }
    }
    return statements;
  }

  private static String replication(Map<String, Integer> replicas) {
    return new TreeMap<>(replicas)
        .entrySet().stream()
            .map(entry -> "'%s': %d".formatted(entry.getKey().replace("'", "''"), entry.getValue()))
            .collect(Collectors.joining(", ", "{'class': 'NetworkTopologyStrategy', ", "}"));
  }

  private static String text() {
    try (InputStream in = Schema.class.getResourceAsStream(RESOURCE)) {
      if (in == null) {
        throw new IllegalStateException("the class path has no " + RESOURCE);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
