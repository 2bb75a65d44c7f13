package io.tidemark.nbd;

import java.util.Optional;

/**
 * Limits and ways of an NBD server.
 *
 * @param clientsMax connections at once; one more is closed at once
 * @param inFlightRequestsMax requests of one connection without a reply; past it the server stops
 *     reading from that connection
 * @param inFlightBytesMax the same in bytes of payload and data to be read
 * @param memoryBytesMax payload and data of all connections in flight together
 * @param pooledBytesMax free buffers kept for reuse
 * @param workers threads for flushes and for whatever the page cache cannot answer
 * @param handshakeMillis how long a handshake may take
 * @param stallMillis how long a client may stop in the middle of a request or leave its replies
 *     unread while other clients wait for the memory it keeps
 * @param closeMillis how long {@link NbdServer#close} lets requests in flight finish
 * @param tls empty for none: STARTTLS is refused by policy
 */
public record NbdServerSettings(
    int clientsMax,
    int inFlightRequestsMax,
    long inFlightBytesMax,
    long memoryBytesMax,
    long pooledBytesMax,
    int workers,
    long handshakeMillis,
    long stallMillis,
    long closeMillis,
    Optional<NbdTls> tls) {
  public static final int CLIENTS_MAX = 128;
  public static final int IN_FLIGHT_REQUESTS_MAX = 256;
  public static final long IN_FLIGHT_BYTES_MAX = 32L << 20;
  public static final long MEMORY_BYTES_MAX = 64L << 20;
  public static final long POOLED_BYTES_MAX = 32L << 20;
  public static final int WORKERS = 16;
  public static final long HANDSHAKE_MILLIS = 30_000;
  public static final long STALL_MILLIS = 60_000;
  public static final long CLOSE_MILLIS = 5_000;

  public NbdServerSettings {
    if (clientsMax < 1
        || inFlightRequestsMax < 1
        || inFlightBytesMax < 1
        || memoryBytesMax < 1
        || pooledBytesMax < 0
        || workers < 1
        || handshakeMillis < 1
        || stallMillis < 1
        || closeMillis < 1) {
      throw new IllegalArgumentException("NBD server limits are at least 1");
    }
  }

  public static NbdServerSettings defaults() {
    return new NbdServerSettings(
        CLIENTS_MAX,
        IN_FLIGHT_REQUESTS_MAX,
        IN_FLIGHT_BYTES_MAX,
        MEMORY_BYTES_MAX,
        POOLED_BYTES_MAX,
        WORKERS,
        HANDSHAKE_MILLIS,
        STALL_MILLIS,
        CLOSE_MILLIS,
        Optional.empty());
  }

  public NbdServerSettings withTls(NbdTls newTls) {
    return new NbdServerSettings(
        clientsMax,
        inFlightRequestsMax,
        inFlightBytesMax,
        memoryBytesMax,
        pooledBytesMax,
        workers,
        handshakeMillis,
        stallMillis,
        closeMillis,
        Optional.of(newTls));
  }

  public NbdServerSettings withClientsMax(int newClientsMax) {
    return new NbdServerSettings(
        newClientsMax,
        inFlightRequestsMax,
        inFlightBytesMax,
        memoryBytesMax,
        pooledBytesMax,
        workers,
        handshakeMillis,
        stallMillis,
        closeMillis,
        tls);
  }

  public NbdServerSettings withInFlight(int newRequestsMax, long newBytesMax) {
    return new NbdServerSettings(
        clientsMax,
        newRequestsMax,
        newBytesMax,
        memoryBytesMax,
        pooledBytesMax,
        workers,
        handshakeMillis,
        stallMillis,
        closeMillis,
        tls);
  }

  public NbdServerSettings withMemory(long newMemoryBytesMax, long newPooledBytesMax) {
    return new NbdServerSettings(
        clientsMax,
        inFlightRequestsMax,
        inFlightBytesMax,
        newMemoryBytesMax,
        newPooledBytesMax,
        workers,
        handshakeMillis,
        stallMillis,
        closeMillis,
        tls);
  }

  public NbdServerSettings withTimes(long newHandshake, long newStall, long newClose) {
    return new NbdServerSettings(
        clientsMax,
        inFlightRequestsMax,
        inFlightBytesMax,
        memoryBytesMax,
        pooledBytesMax,
        workers,
        newHandshake,
        newStall,
        newClose,
        tls);
  }
}
