package io.tidemark.tap;

import io.tidemark.position.VolumeName;
import io.tidemark.refusal.Refusal;
import java.io.PrintWriter;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/** A tap in the foreground, until SIGTERM or SIGINT. */
public final class TapProcess {
  private TapProcess() {}

  /**
   * Runs until the process is told to stop; prints a line for each volume once it is served.
   *
   * @return the exit code: 0 after a stop with everything journaled, 1 otherwise
   * @throws Refusal when the tap cannot start, or a volume may not be served
   */
  public static int run(TapSettings settings, PrintWriter out) throws InterruptedException {
    Tap tap = Tap.start(settings);
    Thread stop = new Thread(tap::stop, "tidemark-stop");
    Runtime.getRuntime().addShutdownHook(stop);
    try {
      tap.awaitReady();
    } catch (Refusal e) {
      tap.close();
      Runtime.getRuntime().removeShutdownHook(stop);
      throw e;
    }
    for (Map.Entry<VolumeName, String> volume : tap.uris().entrySet()) {
      boolean captured = tap.connected(volume.getKey());
      out.println(
          volume.getKey()
              + " is served at "
              + volume.getValue()
              + (settings.nodes().isEmpty()
                  ? ", not captured"
                  : captured ? ", captured" : ", no node is reached yet"));
    }
    out.flush();
    new CountDownLatch(1).await(); // the shutdown hook ends the process
    return tap.stop() ? 0 : 1;
  }
}
