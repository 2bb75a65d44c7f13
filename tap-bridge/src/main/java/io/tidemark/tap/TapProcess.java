package io.tidemark.tap;

import io.tidemark.position.VolumeName;
import io.tidemark.refusal.Refusal;
import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;

/** A tap in the foreground, until SIGTERM or SIGINT. */
public final class TapProcess {
  /** A node that lives has let a tap in by then. */
  private static final long READY_SECONDS = 5;

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
      awaitReady(tap, settings, out);
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

  /** A volume that no node has ever let in cannot be served before one does: says so and waits. */
  private static void awaitReady(Tap tap, TapSettings settings, PrintWriter out)
      throws InterruptedException {
    try {
      tap.ready().get(READY_SECONDS, TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      List<VolumeName> idle = tap.standingBy();
      if (!idle.isEmpty()) {
        out.printf(
            "standing by: %s may not be written at this site now; served the moment it may%n",
            idle.stream().map(VolumeName::value).collect(Collectors.joining(", ")));
        out.flush();
        tap.awaitReady();
        return;
      }
      out.printf(
          "waiting: no node at %s has answered; a volume that was never attached is served once one"
              + " lets the tap in, which is tried again and again%n",
          settings.nodes().stream()
              .map(node -> node.getHostString() + ":" + node.getPort())
              .collect(Collectors.joining(", ")));
      out.flush();
    } catch (ExecutionException e) {
      // Thrown below, as the Refusal that it is.
    }
    tap.awaitReady();
  }
}
