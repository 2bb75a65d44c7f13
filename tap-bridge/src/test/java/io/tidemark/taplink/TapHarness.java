package io.tidemark.taplink;

import io.tidemark.capture.ActivityLog;
import io.tidemark.capture.ActivityLogs;
import io.tidemark.capture.CaptureLimits;
import io.tidemark.capture.CaptureMemory;
import io.tidemark.capture.CrashingLogFile;
import io.tidemark.capture.ModelDisk;
import io.tidemark.capture.Resync;
import io.tidemark.capture.TestPayload;
import io.tidemark.capture.VolumeCapture;
import io.tidemark.journal.SessionGrant;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.taporder.OrderDesk;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** A tap of one volume over a model disk, and the record of what its clients wrote. */
final class TapHarness implements AutoCloseable {
  static final CaptureLimits LIMITS =
      new CaptureLimits(
          64 << 20,
          64 << 10,
          64,
          Duration.ofMillis(1),
          Duration.ofMillis(3),
          Duration.ofMillis(5),
          256 << 10,
          Duration.ofMillis(10));

  static final LinkSettings LINK =
      new LinkSettings(
          512 << 10,
          128 << 10,
          64,
          Duration.ofMillis(200),
          Duration.ofMillis(1500),
          Duration.ofSeconds(3),
          Duration.ofMillis(100),
          java.util.Optional.empty());

  /** A write of a client; {@code data} null for zeroes. */
  record Written(long offset, int length, byte[] data) {}

  final ModelDisk disk;
  final CrashingLogFile logFile;
  final ActivityLog activity;
  final CaptureMemory memory;
  final List<Written> written = new ArrayList<>();
  final List<Integer> states = new ArrayList<>();
  final AtomicInteger unanswered = new AtomicInteger();
  final TapLinkClient client;
  final OrderDesk orders = new OrderDesk();
  volatile VolumeCapture capture;
  private Resync resync;
  private final Path directory;
  private final CaptureLimits limits;
  private final ScheduledExecutorService watch = Executors.newScheduledThreadPool(1);
  private boolean keepStates = true;

  TapHarness(
      ModelDisk disk,
      CrashingLogFile logFile,
      Path directory,
      long memoryBytes,
      CaptureLimits limits,
      LinkSettings link,
      InetSocketAddress node)
      throws IOException {
    this(disk, logFile, directory, memoryBytes, limits, link, node, "v");
  }

  TapHarness(
      ModelDisk disk,
      CrashingLogFile logFile,
      Path directory,
      long memoryBytes,
      CaptureLimits limits,
      LinkSettings link,
      InetSocketAddress node,
      String volume)
      throws IOException {
    this(disk, logFile, directory, new CaptureMemory(memoryBytes), limits, link, node, volume);
  }

  /**
   * @param memory perhaps shared with other volumes
   */
  TapHarness(
      ModelDisk disk,
      CrashingLogFile logFile,
      Path directory,
      CaptureMemory memory,
      CaptureLimits limits,
      LinkSettings link,
      InetSocketAddress node,
      String volume)
      throws IOException {
    this.disk = disk;
    this.logFile = logFile;
    this.directory = directory;
    this.limits = limits;
    this.memory = memory;
    activity = ActivityLogs.open(logFile);
    if (activity.state().incarnation().isPresent()) {
      startCapture();
    }
    client =
        new TapLinkClient(
            List.of(node),
            new TapLinkClient.Identity(new VolumeName(volume), "test:1", disk.size()),
            activity,
            this::captureFor,
            link,
            orders,
            watch);
    if (capture != null) {
      resync = new Resync("v", capture, disk, client, disk.size());
    }
  }

  private void startCapture() throws IOException {
    capture =
        new VolumeCapture(
            "v", disk.size(), directory, activity, disk, memory, limits, MicroClock.system());
  }

  private synchronized VolumeCapture captureFor(SessionGrant grant) throws IOException {
    if (capture == null) {
      startCapture();
    }
    return capture;
  }

  TapHarness awaitAttached() throws Exception {
    client.firstGrant().get(20, TimeUnit.SECONDS);
    if (resync == null) {
      resync = new Resync("v", capture, disk, client, disk.size());
    }
    return this;
  }

  /** For volumes too large to hash after every write. */
  TapHarness withoutStates() {
    keepStates = false;
    return this;
  }

  /** A random write or zeroing; the disk's lock keeps the record in the disk's order. */
  void change(Random random, int lengthMax) throws IOException {
    int length = 512 * (1 + random.nextInt(lengthMax / 512));
    long offset = 512L * random.nextInt((disk.size() - length) / 512 + 1);
    if (random.nextInt(5) == 0) {
      zero(offset, length);
    } else {
      byte[] data = new byte[length];
      random.nextBytes(data);
      write(offset, data, random.nextInt(3) == 0 ? 1 << 20 : 0);
    }
  }

  synchronized void write(long offset, byte[] data, int held) throws IOException {
    TestPayload payload = new TestPayload(data, held);
    unanswered.incrementAndGet();
    try {
      disk.write(capture, offset, payload, unanswered::decrementAndGet);
    } finally {
      payload.release();
    }
    record(new Written(offset, data.length, data));
  }

  synchronized void zero(long offset, int length) throws IOException {
    unanswered.incrementAndGet();
    disk.zero(capture, offset, length, unanswered::decrementAndGet);
    record(new Written(offset, length, null));
  }

  private void record(Written write) {
    written.add(write);
    if (keepStates) {
      states.add(Arrays.hashCode(disk.copy()));
    }
  }

  boolean drain() throws InterruptedException {
    return capture.drain(Duration.ofSeconds(60));
  }

  /** The process dies: nothing more is written to the log or sent. Returns what the disk keeps. */
  CrashingLogFile crash(Random random, boolean tear) throws IOException {
    CrashingLogFile left = logFile.crash(random, tear);
    stop();
    return left;
  }

  private void stop() throws IOException {
    client.close();
    if (resync != null) {
      resync.close();
    }
    watch.shutdownNow();
    if (capture != null) {
      capture.close();
    } else {
      activity.close();
    }
  }

  @Override
  public void close() throws IOException {
    stop();
  }
}
