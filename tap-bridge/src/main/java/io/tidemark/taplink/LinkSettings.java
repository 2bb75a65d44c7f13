package io.tidemark.taplink;

import java.time.Duration;
import java.util.Optional;
import javax.net.ssl.SSLContext;

/**
 * How the ends of a tap link behave.
 *
 * @param windowBytes a tap begins no further frame for the journal while this many bytes of such
 *     frames are unacknowledged
 * @param segmentBytesMax data of a segment of several writes
 * @param segmentWritesMax writes of a segment
 * @param pingEvery how often each end asks for a sign of life
 * @param deadAfter silence after which an end gives the connection up
 * @param connectTimeout how long an attempt to connect, and one to attach, may take
 * @param backoffMax pause between attempts, at most; the first is a twentieth
 * @param tls both ends' certificates and trust, mutual; empty for plain TCP
 */
public record LinkSettings(
    int windowBytes,
    int segmentBytesMax,
    int segmentWritesMax,
    Duration pingEvery,
    Duration deadAfter,
    Duration connectTimeout,
    Duration backoffMax,
    Optional<SSLContext> tls) {
  /** Connections that a node serves at once. */
  public static final int CONNECTIONS_MAX = 4096;

  public static LinkSettings defaults() {
    return new LinkSettings(
        16 << 20,
        4 << 20,
        4096,
        Duration.ofSeconds(2),
        Duration.ofSeconds(10),
        Duration.ofSeconds(10),
        Duration.ofSeconds(2),
        Optional.empty());
  }

  public LinkSettings withTls(SSLContext context) {
    return new LinkSettings(
        windowBytes,
        segmentBytesMax,
        segmentWritesMax,
        pingEvery,
        deadAfter,
        connectTimeout,
        backoffMax,
        Optional.of(context));
  }
}
