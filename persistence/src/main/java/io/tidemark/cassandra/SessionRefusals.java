package io.tidemark.cassandra;

import com.datastax.oss.driver.api.core.AllNodesFailedException;
import com.datastax.oss.driver.api.core.DriverException;
import com.datastax.oss.driver.api.core.auth.AuthenticationException;
import com.datastax.oss.driver.api.core.connection.ClosedConnectionException;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.channels.ClosedChannelException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import javax.net.ssl.SSLException;

/** Says why there is no session with Cassandra, and what to do about it. */
final class SessionRefusals {
  private static final int CAUSES_MAX = 16;

  private SessionRefusals() {}

  static Refusal of(CassandraSettings settings, Throwable failure) {
    if (failure instanceof Refusal refusal) {
      return refusal;
    }
    List<Throwable> reasons = reasons(failure);
    if (reasons.stream().anyMatch(AuthenticationException.class::isInstance)) {
      return new Refusal(ErrorCode.UNAUTHENTICATED, at(settings) + credentials(settings), failure);
    }
    Optional<SSLException> tls =
        reasons.stream()
            .filter(SSLException.class::isInstance)
            .map(SSLException.class::cast)
            .findFirst();
    if (tls.isPresent()) {
      return ofTls(settings, text(reasons), tls.get(), failure);
    }
    if (reasons.stream().anyMatch(SessionRefusals::hangsUp)) {
      return hungUp(settings, failure);
    }
    return new Refusal(
        failure instanceof DriverException ? ErrorCode.FAILED : ErrorCode.INVALID,
        "no session with Cassandra at %s, data centre %s: %s; see that it runs, and check"
                .formatted(settings.contactPoints(), settings.localDatacenter(), failure)
            + " tidemark.cassandra.contact-points and local-datacenter",
        failure);
  }

  private static String at(CassandraSettings settings) {
    return "Cassandra at " + settings.contactPoints();
  }

  private static String credentials(CassandraSettings settings) {
    return settings
        .credentials()
        .map(
            given ->
                " does not accept the user '%s' with the password of its file: correct"
                        .formatted(Refusal.printable(given.username()))
                    + " tidemark.cassandra.username and password-file")
        .orElse(
            " asks for credentials: set tidemark.cassandra.username and password-file (a file with"
                + " the password in its first line)");
  }

  private static Refusal ofTls(
      CassandraSettings settings, String text, SSLException reason, Throwable failure) {
    String what;
    ErrorCode code = ErrorCode.UNAUTHENTICATED;
    if (text.contains("not an ssl/tls record")) {
      code = ErrorCode.INVALID;
      what =
          " does not speak TLS: set tidemark.cassandra.tls.enabled = off, or switch on"
              + " client_encryption_options there";
    } else if (text.contains("no subject alternative") || text.contains("no name matching")) {
      what =
          " shows a certificate for another name (%s): name the nodes in contact-points as their"
                  .formatted(reason.getMessage())
              + " certificates do, or set tidemark.cassandra.tls.verify-hostname = off";
    } else if (text.contains("pkix")) {
      what =
          " shows a certificate that no authority in tidemark.cassandra.tls.truststore has signed"
              + " (%s): import the right authority's certificate there".formatted(tail(text));
    } else if (settings.tls().flatMap(CassandraSettings.Tls::keystore).isEmpty()) {
      what =
          " does not go on with TLS (%s); most likely it asks for a client certificate: set"
                  .formatted(reason.getMessage())
              + " tidemark.cassandra.tls.keystore and keystore-password-file";
    } else {
      what =
          " does not accept this node's certificate or TLS version (%s): see that its authority is"
                  .formatted(reason.getMessage())
              + " in Cassandra's own truststore";
    }
    return new Refusal(code, at(settings) + what, failure);
  }

  private static String tail(String text) {
    return text.contains("expired") ? "it has expired" : "PKIX path building failed";
  }

  /** A side that expects the other protocol hangs up without a word. */
  private static Refusal hungUp(CassandraSettings settings, Throwable failure) {
    return settings.tls().isEmpty()
        ? new Refusal(
            ErrorCode.INVALID,
            at(settings)
                + " hangs up on a connection without TLS: set tidemark.cassandra.tls.enabled = on"
                + " with a truststore, or correct contact-points if that is no port of Cassandra",
            failure)
        : new Refusal(
            ErrorCode.UNAUTHENTICATED,
            at(settings)
                + " hangs up during TLS; most likely it does not accept this node's certificate:"
                + " check tidemark.cassandra.tls.keystore and Cassandra's own truststore and log",
            failure);
  }

  private static boolean hangsUp(Throwable reason) {
    return reason instanceof ClosedConnectionException || reason instanceof ClosedChannelException;
  }

  /** What every node answered, with all causes. */
  private static List<Throwable> reasons(Throwable failure) {
    List<Throwable> all = new ArrayList<>();
    addCauses(failure, all);
    if (failure instanceof AllNodesFailedException nodes) {
      nodes.getAllErrors().values().forEach(errors -> errors.forEach(e -> addCauses(e, all)));
    }
    return all;
  }

  private static void addCauses(Throwable failure, List<Throwable> all) {
    Throwable next = failure;
    for (int i = 0; next != null && i < CAUSES_MAX; i++) {
      all.add(next);
      for (Throwable suppressed : next.getSuppressed()) {
        all.add(suppressed);
      }
      next = next.getCause();
    }
  }

  private static String text(List<Throwable> reasons) {
    StringBuilder text = new StringBuilder();
    reasons.forEach(reason -> text.append(reason.getMessage()).append('\n'));
    return text.toString().toLowerCase(Locale.ROOT);
  }
}
