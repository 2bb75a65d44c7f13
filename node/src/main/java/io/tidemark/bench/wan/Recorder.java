package io.tidemark.bench.wan;

import akka.actor.ActorSystem;
import com.typesafe.config.ConfigFactory;
import io.tidemark.capture.CaptureLimits;
import io.tidemark.journal.TapStatus;
import io.tidemark.localfile.LocalFiles;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.tap.Tap;
import io.tidemark.tap.TapSettings;
import io.tidemark.tap.VolumeSpec;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.taplink.TapLinkServer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Records a program's writes: a tap as it is, with a {@link RecordingJournal} at the other end of
 * its link, and a script that runs the program on the tap's export. The script prints {@code mark}
 * when it is about to begin with what is measured, and goes on when it reads a line.
 */
final class Recorder {
  private static final VolumeName VOLUME = new VolumeName("wan");
  private static final long DRAIN_SECONDS_MAX = 120;
  private static final long POLL_MILLIS = 20;

  private Recorder() {}

  /**
   * Records. Blocks.
   *
   * @param script with its arguments; the socket, the scratch directory and the size of the volume
   *     in MiB are in its environment as SOCKET, SCRATCH and SIZE_MIB
   * @param file where to; there is none unless all went well
   */
  static void record(List<String> script, Path file, Path scratch, long sizeBytes)
      throws IOException, InterruptedException {
    Path own = Files.createTempDirectory(scratch, "tidemark-wan-");
    Path unfinished = own.resolve("trace");
    ActorSystem system =
        ActorSystem.create(
            "wan-recorder",
            ConfigFactory.parseString(
                "akka { loglevel = WARNING, logger-startup-timeout = 120 s, coordinated-shutdown"
                    + ".run-by-jvm-shutdown-hook = off }"));
    try {
      try (TraceWriter trace = new TraceWriter(unfinished, sizeBytes)) {
        RecordingJournal journal = new RecordingJournal(trace, sizeBytes);
        TapLinkServer server =
            TapLinkServer.bind(system, "127.0.0.1", 0, journal, LinkSettings.defaults())
                .toCompletableFuture()
                .join();
        Path backing = own.resolve("backing");
        try (RandomAccessFile disk = new RandomAccessFile(backing.toFile(), "rw")) {
          disk.setLength(sizeBytes);
        }
        Path socket = own.resolve("s");
        TapSettings settings =
            TapSettings.of(
                    List.of(new VolumeSpec(VOLUME, backing)),
                    List.of(NbdListenAddress.parse("unix:" + socket)),
                    List.of(TapSettings.node("127.0.0.1:" + server.address().getPort())))
                .withBounds(256L << 20, CaptureLimits.defaults().spillBytesMax());
        try (Tap tap = Tap.start(settings)) {
          tap.awaitReady();
          run(script, own, socket, sizeBytes, tap, journal);
          drain(tap);
        }
      }
      Files.move(unfinished, file);
    } finally {
      system.terminate();
      LocalFiles.deleteTree(own);
    }
  }

  private static void run(
      List<String> script, Path own, Path socket, long size, Tap tap, RecordingJournal journal)
      throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(script);
    builder.environment().put("SOCKET", socket.toString());
    builder.environment().put("SCRATCH", own.toString());
    builder.environment().put("SIZE_MIB", Long.toString(size >> 20));
    builder.redirectError(ProcessBuilder.Redirect.INHERIT);
    Process process = builder.start();
    try (BufferedReader said = process.inputReader(StandardCharsets.UTF_8);
        OutputStream told = process.getOutputStream()) {
      for (String line = said.readLine(); line != null; line = said.readLine()) {
        if (line.equals("mark")) {
          drain(tap);
          journal.mark();
          System.err.printf(
              "prepared with %d writes, %d MiB; measured from here%n",
              journal.head(), journal.rawBytes() >> 20);
          told.write('\n');
          told.flush();
        } else {
          System.err.println(line);
        }
      }
    }
    int status = process.waitFor();
    if (status != 0) {
      throw new Refusal(ErrorCode.FAILED, String.join(" ", script) + " ended with " + status);
    }
  }

  /** Waits until everything captured has arrived. */
  private static void drain(Tap tap) throws InterruptedException {
    CountDownLatch never = new CountDownLatch(1);
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(DRAIN_SECONDS_MAX);
    while (true) {
      TapStatus status = tap.status(VOLUME).orElseThrow();
      if (status.mode() != TapStatus.Mode.CONTINUOUS && status.mode() != TapStatus.Mode.SPILLING) {
        throw new Refusal(ErrorCode.FAILED, "the tap lost writes: it is " + status.mode());
      }
      if (status.pendingWrites() == 0) {
        return;
      }
      if (System.nanoTime() > deadline) {
        throw new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the tap does not come to an end");
      }
      boolean counted = never.await(POLL_MILLIS, TimeUnit.MILLISECONDS);
      assert !counted;
    }
  }
}
