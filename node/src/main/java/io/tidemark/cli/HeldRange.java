package io.tidemark.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.PrintWriter;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * Has the node hold a point of a volume, and all points from it on, against retention until it is
 * closed; should this process die, for ten minutes.
 */
final class HeldRange implements AutoCloseable {
  private static final long LEASE_SECONDS = 600;
  private static final long RENEWAL_SECONDS = 120;

  /** A horizon that moves again and again while it is to be held is asked for so often. */
  private static final int HORIZONS_MAX = 5;

  private final NodeClient client;
  private final String volume;
  private final PrintWriter err;
  private final String first;
  private final String rest;
  private final long firstSeq;
  private final long restSeq;
  private final ScheduledExecutorService renewals =
      Executors.newSingleThreadScheduledExecutor(
          work -> {
            Thread thread = new Thread(work, "held-range");
            thread.setDaemon(true);
            return thread;
          });

  /**
   * @param purpose begins the holder's name
   * @throws Refusal {@code BEYOND_HORIZON} when the point is gone
   */
  HeldRange(NodeClient client, String volume, long firstSeq, String purpose, PrintWriter err) {
    this.client = client;
    this.volume = volume;
    this.err = err;
    this.firstSeq = firstSeq;
    this.first = purpose + "-" + UUID.randomUUID();
    this.rest = first + "-on";
    put(first, firstSeq, false);
    this.restSeq = holdOn(HORIZONS_MAX);
    renewals.scheduleWithFixedDelay(
        this::renew, RENEWAL_SECONDS, RENEWAL_SECONDS, TimeUnit.SECONDS);
  }

  /** A kept tag may lie before the horizon: from there on there is nothing more to hold. */
  private long holdOn(int tries) {
    long horizon = client.get("/volumes/" + NodeClient.escaped(volume)).at("/horizon/seq").asLong();
    try {
      put(rest, Math.max(horizon, firstSeq), true);
      return Math.max(horizon, firstSeq);
    } catch (Refusal e) {
      if (e.code() != ErrorCode.BEYOND_HORIZON || tries == 1) {
        throw e;
      }
      return holdOn(tries - 1);
    }
  }

  private void put(String holder, long seq, boolean onward) {
    ObjectNode body =
        NodeClient.object()
            .put("at", "seq:" + seq)
            .put("onward", onward)
            .put("seconds", LEASE_SECONDS);
    client.put(path(holder), body);
  }

  private String path(String holder) {
    return "/volumes/" + NodeClient.escaped(volume) + "/holds/" + NodeClient.escaped(holder);
  }

  private void renew() {
    try {
      put(first, firstSeq, false);
      put(rest, restSeq, true);
    } catch (Refusal e) {
      err.println("the points are not held any more: " + e.getMessage());
      err.flush();
    }
  }

  @Override
  public void close() {
    renewals.shutdownNow();
    try {
      client.delete(path(first));
      client.delete(path(rest));
    } catch (Refusal e) {
      err.println("the points stay held for ten minutes: " + e.getMessage());
      err.flush();
    }
  }
}
