package io.tidemark.bench;

import io.tidemark.journal.JournalSession;
import io.tidemark.position.VolumeName;
import java.lang.management.ManagementFactory;
import java.lang.management.OperatingSystemMXBean;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tidemark bench volumes}. */
@Command(
    name = "volumes",
    mixinStandardHelpOptions = true,
    description = {
      "What volumes cost that nobody writes to: creates them at a node inside this process and"
          + " looks at the heap after a full collection, with all of them in memory, with a tap"
          + " attached to each, and after the idle ones have left memory (passivation)."
    },
    footer = {"", "Example:", "  tidemark bench volumes --count 1000 --count 10000"})
final class VolumesCommand implements Callable<Integer> {
  private static final long VOLUME_BYTES = 1L << 30;
  private static final int AT_ONCE = 64;
  private static final int COLLECTIONS = 3;
  private static final int LOOK_SECONDS = 10;

  @Option(
      names = "--count",
      description = "volumes, ascending; may be repeated; default 1000 and 10000")
  private List<Integer> counts = List.of(1_000, 10_000);

  @Option(
      names = "--passivate-seconds",
      description = "volume.passivate-after of the second site; default ${DEFAULT-VALUE}")
  private int passivateSeconds = 20;

  @Option(names = "--no-taps", description = "do not attach taps")
  private boolean noTaps;

  @Option(names = "--directory", description = "where the sites are; default ${DEFAULT-VALUE}")
  private Path directory = Path.of(System.getProperty("java.io.tmpdir"));

  @Override
  public Integer call() throws Exception {
    System.out.println(
        "| volumes | state | heap used MiB | more than an empty node, KiB a volume | node's CPU, %"
            + " of a core | to get there, s |");
    System.out.println("| --- | --- | --- | --- | --- | --- |");
    awake();
    passivated();
    return 0;
  }

  private void awake() throws Exception {
    try (BenchSite site =
        BenchSite.start(directory, Map.of("tidemark.volume.passivate-after", "10 hours"))) {
      long empty = heapBytes();
      row(0, "a node without volumes", empty, empty, 0);
      int made = 0;
      for (int count : counts) {
        long begin = System.nanoTime();
        create(site, made, count);
        made = count;
        row(count, "in memory, no tap", empty, heapBytes(), begin);
        if (!noTaps) {
          begin = System.nanoTime();
          List<JournalSession> taps = attach(site, count);
          row(count, "in memory, a tap attached to each", empty, heapBytes(), begin);
          each(taps.size(), i -> taps.get(i).detach());
        }
      }
    }
  }

  private void passivated() throws Exception {
    try (BenchSite site =
        BenchSite.start(
            directory, Map.of("tidemark.volume.passivate-after", passivateSeconds + " s"))) {
      long empty = heapBytes();
      int made = 0;
      for (int count : counts) {
        long begin = System.nanoTime();
        create(site, made, count);
        made = count;
        pause(2 * passivateSeconds);
        row(count, "idle for longer than volume.passivate-after", empty, heapBytes(), begin);
        begin = System.nanoTime();
        int listed = site.site().volumes().toCompletableFuture().join().size();
        long done = System.nanoTime();
        row(listed, "listed just now", empty, heapBytes(), begin);
        System.out.printf("(the list took %.1f s)%n", (done - begin) / 1e9);
        pause(2 * passivateSeconds);
      }
    }
  }

  private static void row(int volumes, String state, long empty, long heap, long begin)
      throws InterruptedException {
    double seconds = begin == 0 ? 0 : (System.nanoTime() - begin) / 1e9;
    long cpu = cpuNanos();
    pause(LOOK_SECONDS);
    double percent = (cpuNanos() - cpu) / 1e7 / LOOK_SECONDS;
    System.out.printf(
        "| %d | %s | %.0f | %s | %.0f | %.0f |%n",
        volumes,
        state,
        heap / (double) (1 << 20),
        volumes == 0 ? "" : Samples.number((heap - empty) / 1024.0 / volumes, 1),
        percent,
        seconds);
  }

  private interface Step {
    java.util.concurrent.CompletionStage<?> begin(int i);
  }

  private static VolumeName name(int i) {
    return new VolumeName("idle-" + i);
  }

  private static void create(BenchSite site, int from, int to) throws InterruptedException {
    each(to - from, i -> site.site().createVolume(name(from + i), VOLUME_BYTES, false));
  }

  private static List<JournalSession> attach(BenchSite site, int count)
      throws InterruptedException {
    List<CompletableFuture<JournalSession>> taps = new ArrayList<>();
    each(
        count,
        i -> {
          CompletableFuture<JournalSession> tap =
              site.tap(name(i), VOLUME_BYTES).toCompletableFuture();
          taps.add(tap);
          return tap;
        });
    return taps.stream().map(CompletableFuture::join).toList();
  }

  /** Does something to each, some at once. */
  private static void each(int count, Step step) throws InterruptedException {
    Semaphore slots = new Semaphore(AT_ONCE);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    for (int i = 0; i < count && failure.get() == null; i++) {
      slots.acquire();
      step.begin(i)
          .whenComplete(
              (done, refusal) -> {
                if (refusal != null) {
                  failure.compareAndSet(null, refusal);
                }
                slots.release();
              });
    }
    slots.acquire(AT_ONCE);
    if (failure.get() != null) {
      throw new IllegalStateException("a volume failed", failure.get());
    }
  }

  private static void pause(int seconds) throws InterruptedException {
    // Nothing counts it down: passivation and heartbeats show only in time.
    boolean never = new CountDownLatch(1).await(seconds, TimeUnit.SECONDS);
    assert !never;
  }

  private static long heapBytes() {
    long least = Long.MAX_VALUE;
    for (int i = 0; i < COLLECTIONS; i++) {
      System.gc();
      least = Math.min(least, ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
    }
    return least;
  }

  private static long cpuNanos() {
    OperatingSystemMXBean system = ManagementFactory.getOperatingSystemMXBean();
    return ((com.sun.management.OperatingSystemMXBean) system).getProcessCpuTime();
  }
}
