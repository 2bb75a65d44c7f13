package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.AllNodesFailedException;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import com.datastax.oss.driver.api.core.loadbalancing.NodeDistance;
import com.datastax.oss.driver.api.core.metadata.Node;
import com.datastax.oss.driver.api.core.metadata.NodeState;
import com.datastax.oss.driver.api.core.metadata.schema.KeyspaceMetadata;
import com.datastax.oss.driver.api.core.servererrors.UnauthorizedException;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Creates the keyspace and its tables where they are missing. Cassandra orders the changes of its
 * schema on one coordinator only: two that create the same table at once make two of it, and lose
 * one. So every node of a site sends its changes to the same coordinator (K5).
 */
public final class Schema {
  private static final String RESOURCE = "/tidemark-schema.cql";
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  /** Times that the driver waits for agreement, ten seconds each. */
  private static final int AGREEMENT_ATTEMPTS = 3;

  private static final Pattern CREATES =
      Pattern.compile(
          "\\s*CREATE\\s+(KEYSPACE|TABLE)\\s+IF\\s+NOT\\s+EXISTS\\s+(?:(\\w+)\\.)?(\\w+)\\b",
          Pattern.CASE_INSENSITIVE);

  private Schema() {}

  /**
   * Creates what is missing; safe to repeat, and for nodes that start together. Blocks.
   *
   * @throws Refusal as {@link #apply}
   */
  public static void create(CqlSession session, CassandraSettings settings) {
    apply(session, settings.keyspace(), statements(settings));
  }

  /**
   * Carries out changes of the schema that are safe to repeat, one after the other, and returns
   * once all nodes of Cassandra agree on them. What exists already is left alone and needs no right
   * to create it. Blocks.
   *
   * @throws Refusal {@code FORBIDDEN} when the user may not make them, {@code NOT_ACKNOWLEDGED}
   *     when the nodes do not agree within half a minute, {@code FAILED} with Cassandra's reason
   */
  public static void apply(CqlSession session, String keyspace, List<String> statements) {
    List<Node> coordinators = coordinators(session);
    for (String statement : statements) {
      if (!exists(session, statement)) {
        try {
          execute(session, coordinators, statement);
        } catch (UnauthorizedException e) {
          throw unauthorized(keyspace, e);
        } catch (DriverException e) {
          throw new Refusal(
              ErrorCode.FAILED,
              "the keyspace %s could not be prepared: %s".formatted(keyspace, e.getMessage()),
              e);
        }
      }
    }
    awaitAgreement(session);
  }

  private static boolean exists(CqlSession session, String statement) {
    Matcher matcher = CREATES.matcher(statement);
    if (!matcher.lookingAt()) {
      return false;
    }
    boolean table = matcher.group(1).equalsIgnoreCase("TABLE");
    String owner = table ? matcher.group(2) : matcher.group(3);
    Optional<KeyspaceMetadata> keyspace =
        owner == null ? Optional.empty() : session.getMetadata().getKeyspace(owner);
    return keyspace.isPresent()
        && (!table || keyspace.get().getTable(matcher.group(3)).isPresent());
  }

  /** The nodes that are up, the one that everybody is to ask first. */
  private static List<Node> coordinators(CqlSession session) {
    return session.getMetadata().getNodes().values().stream()
        .filter(node -> node.getState() == NodeState.UP && node.getHostId() != null)
        .filter(node -> node.getDistance() != NodeDistance.IGNORED)
        .sorted(Comparator.comparing(Node::getHostId))
        .toList();
  }

  private static void execute(CqlSession session, List<Node> coordinators, String statement) {
    SimpleStatement change = SimpleStatement.newInstance(statement).setTimeout(TIMEOUT);
    for (Node coordinator : coordinators) {
      try {
        session.execute(change.setNode(coordinator));
        return;
      } catch (AllNodesFailedException e) {
        // Not reached: the next one is asked once all that live know what this one has done.
        session.checkSchemaAgreement();
      }
    }
    session.execute(change);
  }

  private static void awaitAgreement(CqlSession session) {
    for (int i = 0; i < AGREEMENT_ATTEMPTS; i++) {
      if (session.checkSchemaAgreement()) {
        return;
      }
    }
    throw new Refusal(
        ErrorCode.NOT_ACKNOWLEDGED,
        "the nodes of Cassandra do not agree on the schema: see that all of them are up ('nodetool"
            + " describecluster') and start this node again");
  }

  private static Refusal unauthorized(String keyspace, UnauthorizedException e) {
    return new Refusal(
        ErrorCode.FORBIDDEN,
        "Cassandra does not let this user prepare the keyspace %1$s: %2$s; let an administrator"
                .formatted(keyspace, e.getMessage())
            + " GRANT CREATE ON ALL KEYSPACES to it, or create the keyspace and GRANT ALL ON"
            + " KEYSPACE "
            + keyspace,
        e);
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
