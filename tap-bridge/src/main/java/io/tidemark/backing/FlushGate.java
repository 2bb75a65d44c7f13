package io.tidemark.backing;

import io.tidemark.capture.CaptureSink;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;

/**
 * Syncs the backing store one at a time (B4): whoever comes while a sync is under way is served,
 * with all others who came meanwhile, by the next one. Nobody waits in here but who runs a sync.
 */
final class FlushGate {
  /** What to do once a sync that began after the request is over. */
  interface Done {
    /**
     * @param failure why it could not be made durable, null when it was
     */
    void flushed(IOException failure);
  }

  private final BackingStore store;
  private final CaptureSink sink;
  private final Executor nextRounds;
  private List<Done> waiting = new ArrayList<>();
  private boolean busy;

  /**
   * @param nextRounds where the rounds after the first run, so that who came first may leave
   */
  FlushGate(BackingStore store, CaptureSink sink, Executor nextRounds) {
    this.store = store;
    this.sink = sink;
    this.nextRounds = nextRounds;
  }

  /** Makes durable what was written before the call; syncs on the calling thread if none does. */
  void flush(Done done) {
    synchronized (this) {
      waiting.add(done);
      if (busy) {
        return;
      }
      busy = true;
    }
    round();
  }

  private void round() {
    List<Done> served;
    synchronized (this) {
      served = waiting;
      waiting = new ArrayList<>();
    }
    IOException failure = sync();
    for (Done done : served) {
      done.flushed(failure);
    }
    synchronized (this) {
      if (waiting.isEmpty()) {
        busy = false;
        return;
      }
    }
    nextRounds.execute(this::round);
  }

  private IOException sync() {
    try {
      store.sync();
      sink.flushed();
      return null;
    } catch (IOException e) {
      return e;
    } catch (RuntimeException e) {
      return new IOException("the sync failed for an error in the tap", e);
    }
  }
}
