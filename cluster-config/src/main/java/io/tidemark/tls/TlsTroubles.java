package io.tidemark.tls;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whom this process did not let in, or did not trust, by their certificates: in words, for its log
 * and its status. One entry a certificate's subject, the latest; the oldest go first. Thread-safe.
 */
public final class TlsTroubles {
  /** Of this process: contexts are made in many places, some of them by libraries. */
  public static final TlsTroubles PROCESS = new TlsTroubles(Clock.systemUTC());

  private static final Logger LOG = LoggerFactory.getLogger(TlsTroubles.class);
  private static final int KEPT_MAX = 16;
  private static final Duration QUIET = Duration.ofMinutes(1);
  private static final Duration SHOWN = Duration.ofHours(1);

  /**
   * One handshake that was refused.
   *
   * @param code of it: {@code UNAUTHENTICATED}
   * @param message what was wrong and what to do
   */
  public record Trouble(Instant time, ErrorCode code, String message) {}

  private final Clock clock;
  private final Map<String, Trouble> bySubject = new LinkedHashMap<>();

  TlsTroubles(Clock clock) {
    this.clock = clock;
  }

  /** Those of the last hour, oldest first. */
  public synchronized List<Trouble> recent() {
    Instant from = clock.instant().minus(SHOWN);
    return new ArrayList<>(
        bySubject.values().stream().filter(one -> one.time().isAfter(from)).toList());
  }

  /** Logs it, at most once a minute for a subject. */
  synchronized void refused(X509Certificate certificate, String peer, Exception why) {
    String subject = certificate.getSubjectX500Principal().getName();
    Instant now = clock.instant();
    Trouble trouble =
        new Trouble(now, ErrorCode.UNAUTHENTICATED, sentence(certificate, subject, peer, now, why));
    Trouble before = bySubject.remove(subject);
    if (before != null && before.time().isAfter(now.minus(QUIET))) {
      bySubject.put(subject, before);
      return;
    }
    bySubject.put(subject, trouble);
    if (bySubject.size() > KEPT_MAX) {
      bySubject.remove(bySubject.keySet().iterator().next());
    }
    LOG.warn("{} ({})", trouble.message(), trouble.code());
  }

  private static String sentence(
      X509Certificate certificate, String subject, String peer, Instant now, Exception why) {
    String who = "the certificate '%s' that %s showed".formatted(Refusal.printable(subject), peer);
    Instant until = certificate.getNotAfter().toInstant();
    Instant from = certificate.getNotBefore().toInstant();
    if (now.isAfter(until)) {
      return who
          + " expired at %s: issue it another (tidemark certs issue) and restart it"
              .formatted(until);
    }
    if (now.isBefore(from)) {
      return who
          + " is valid from %s on: check the clocks of both machines, this one says %s"
              .formatted(from, now);
    }
    return who
        + " is not trusted here: it must be of the same authority and name the address that is"
        + " called ("
        + why.getMessage()
        + ")";
  }
}
