package io.tidemark.cassandra.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.ExecutionException;
import org.apache.cassandra.service.CassandraDaemon;
import org.apache.cassandra.service.StorageService;

/** Runs one Cassandra for as long as standard input stays open (R1). */
public final class CassandraMain {
  /** Exit status when the parent is gone. */
  static final int EXIT_PARENT_GONE = 70;

  /** Exit status when an orderly stop failed; the commit log still holds everything. */
  static final int EXIT_DRAIN_FAILED = 71;

  private static final int STOP = 's';

  private CassandraMain() {}

  public static void main(String[] args) {
    Thread watcher = new Thread(CassandraMain::watchParent, "parent-watch");
    watcher.setDaemon(true);
    watcher.start();
    // Ends the JVM by itself, with the reason in the log, when the start fails.
    CassandraDaemon.main(args);
    // Whoever asks for Cassandra's classes before it has started breaks its start, however slow.
    Reclaimer.start();
  }

  private static void watchParent() {
    InputStream in = System.in;
    try {
      int next = in.read();
      while (next != -1 && next != STOP) {
        next = in.read();
      }
      if (next == STOP) {
        Thread stopper = new Thread(CassandraMain::stop, "orderly-stop");
        stopper.start();
        while (next != -1) {
          next = in.read();
        }
      }
    } catch (IOException e) {
      System.err.println("standard input failed, which means that the node is gone: " + e);
    }
    // R1: no hooks, no draining; the commit log is what a crash leaves as well.
    Runtime.getRuntime().halt(EXIT_PARENT_GONE);
  }

  private static void stop() {
    try {
      StorageService.instance.drain();
    } catch (IOException | ExecutionException | RuntimeException e) {
      System.err.println("draining failed: " + e);
      Runtime.getRuntime().halt(EXIT_DRAIN_FAILED);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      Runtime.getRuntime().halt(EXIT_DRAIN_FAILED);
    }
    // Drained: nothing is left for the shutdown hooks to do.
    Runtime.getRuntime().halt(0);
  }
}
