package io.tidemark.bench;

import io.tidemark.group.Groups;
import io.tidemark.group.Schedule;
import io.tidemark.group.TagRequest;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.tag.TagMark;
import io.tidemark.tag.TagSummary;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.taplink.TapLinkServer;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tidemark bench tags}. */
@Command(
    name = "tags",
    mixinStandardHelpOptions = true,
    description = {
      "How long volumes are held for a tag, and what a schedule of one second costs. Starts a node"
          + " inside this process, tap processes in front of files, and writers of random 4 KiB"
          + " blocks; holds are as the taps measure them."
    },
    footer = {"", "Example:", "  tidemark bench tags --volumes 1 --volumes 16 --tags 300"})
final class TagsCommand implements Callable<Integer> {
  private static final long VOLUME_BYTES = 64L << 20;
  private static final int BLOCK_BYTES = 4096;
  private static final int START_SECONDS_MAX = 60;

  @Option(
      names = "--volumes",
      description = "members of the group; may be repeated; default 1, 4 and 16")
  private List<Integer> counts = List.of(1, 4, 16);

  @Option(names = "--taps", description = "tap processes; default ${DEFAULT-VALUE}")
  private int tapCount = 4;

  @Option(names = "--tags", description = "tags taken of each group; default ${DEFAULT-VALUE}")
  private int tagCount = 200;

  @Option(
      names = "--every",
      description =
          "milliseconds from one tag's begin to the next one's; 0: without a rest; default"
              + " ${DEFAULT-VALUE}")
  private int everyMillis = 0;

  @Option(
      names = "--rate",
      description = "writes a second in all; 0: as many as go; default ${DEFAULT-VALUE}")
  private List<Integer> rates = List.of(0, 2_000);

  @Option(
      names = "--seconds",
      description = "of each run of the schedule; default ${DEFAULT-VALUE}")
  private int seconds = 15;

  @Option(names = "--rounds", description = "runs with and without; default ${DEFAULT-VALUE}")
  private int rounds = 5;

  @Option(
      names = "--warm-up",
      description =
          "seconds of writes at the last rate before anything is measured, for the compilers;"
              + " default ${DEFAULT-VALUE}")
  private int warmUpSeconds = 120;

  @Option(names = "--directory", description = "where the site is; default ${DEFAULT-VALUE}")
  private Path directory = Path.of(System.getProperty("java.io.tmpdir"));

  private final List<Process> processes = Collections.synchronizedList(new ArrayList<>());

  /** Writers of a run and what they saw. */
  private final class Writers implements AutoCloseable {
    private final List<Thread> threads = new ArrayList<>();
    private final List<Samples> latencies = new ArrayList<>();
    private final AtomicReference<Exception> failure = new AtomicReference<>();
    private volatile boolean stop;

    Writers(List<String> uris, int rate) {
      for (String uri : uris) {
        Samples mine = new Samples();
        latencies.add(mine);
        long everyNanos = rate == 0 ? 0 : 1_000_000_000L * uris.size() / rate;
        Thread thread = new Thread(() -> run(uri, everyNanos, mine), "writer");
        thread.start();
        threads.add(thread);
      }
    }

    private void run(String uri, long everyNanos, Samples micros) {
      Random random = new Random(uri.hashCode());
      try (NbdClient client = NbdClient.connect(NbdUri.parse(uri))) {
        byte[] block = new byte[BLOCK_BYTES];
        long due = System.nanoTime();
        while (!stop) {
          random.nextBytes(block);
          long offset = (long) BLOCK_BYTES * random.nextInt((int) (VOLUME_BYTES / BLOCK_BYTES));
          long begun = System.nanoTime();
          client.write(offset, ByteBuffer.wrap(block));
          micros.add((System.nanoTime() - begun) / 1e3);
          due += everyNanos;
          while (everyNanos > 0 && !stop && System.nanoTime() < due) {
            LockSupport.parkNanos(due - System.nanoTime());
          }
        }
      } catch (IOException e) {
        failure.compareAndSet(null, e);
      }
    }

    /** An interrupt leaves the writers to end by themselves: each sees {@code stop}. */
    @Override
    public void close() {
      stop = true;
      try {
        for (Thread thread : threads) {
          thread.join();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    Samples micros() {
      if (failure.get() != null) {
        throw new Refusal(ErrorCode.FAILED, "a writer failed: " + failure.get(), failure.get());
      }
      Samples all = new Samples();
      latencies.forEach(all::addAll);
      return all;
    }
  }

  @Override
  public Integer call() throws Exception {
    int most = Collections.max(counts);
    try (BenchSite site = BenchSite.start(directory, Map.of())) {
      TapLinkServer link =
          BenchSite.await(
              TapLinkServer.bind(
                  site.system().system(),
                  "127.0.0.1",
                  0,
                  site.system().journal(),
                  LinkSettings.defaults()));
      try {
        List<String> uris = startTaps(site, link.address().getPort(), most);
        warmUp(uris);
        holds(site.system().groups(), uris);
        schedule(site.system().groups(), uris.subList(0, most));
      } finally {
        stopTaps();
        BenchSite.await(link.close());
      }
    }
    return 0;
  }

  // ---- taps -----------------------------------------------------------------------------------

  private static String volume(int i) {
    return "v" + i;
  }

  /** Volume i is behind tap i modulo their number. */
  private List<String> startTaps(BenchSite site, int port, int volumes) throws Exception {
    for (int i = 0; i < volumes; i++) {
      try (RandomAccessFile file =
          new RandomAccessFile(site.directory().resolve(volume(i) + ".img").toFile(), "rw")) {
        file.setLength(VOLUME_BYTES);
      }
      BenchSite.await(site.site().createVolume(new VolumeName(volume(i)), VOLUME_BYTES, false));
    }
    for (int tap = 0; tap < Math.min(tapCount, volumes); tap++) {
      processes.add(startTap(site, port, tap, volumes));
    }
    List<String> uris = new ArrayList<>();
    for (int i = 0; i < volumes; i++) {
      Path socket = site.directory().resolve("tap" + i % tapCount + ".sock");
      String uri = "nbd+unix:///" + volume(i) + "?socket=" + socket;
      awaitServed(uri);
      uris.add(uri);
    }
    return uris;
  }

  private Process startTap(BenchSite site, int port, int tap, int volumes) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    // As the launcher starts a tap.
    command.addAll(List.of("-Xmx128m", "-XX:MaxDirectMemorySize=256m"));
    command.add("--add-opens=java.base/java.nio=ALL-UNNAMED");
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of("io.tidemark.cli.Main", "tap"));
    for (int i = tap; i < volumes; i += tapCount) {
      command.add("--volume");
      command.add(volume(i) + "=" + site.directory().resolve(volume(i) + ".img"));
    }
    command.addAll(List.of("--listen", "unix:" + site.directory().resolve("tap" + tap + ".sock")));
    command.addAll(List.of("--node", "127.0.0.1:" + port));
    Path log = site.directory().resolve("tap" + tap + ".log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
    return process;
  }

  private void awaitServed(String uri) throws InterruptedException {
    CountDownLatch never = new CountDownLatch(1);
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS_MAX);
    while (true) {
      try {
        NbdClient.connect(NbdUri.parse(uri)).close();
        return;
      } catch (IOException e) {
        if (System.nanoTime() > deadline) {
          throw new Refusal(ErrorCode.FAILED, "no tap serves " + uri + ": " + e, e);
        }
      }
      boolean counted = never.await(50, TimeUnit.MILLISECONDS);
      assert !counted;
    }
  }

  private void stopTaps() throws InterruptedException {
    processes.forEach(Process::destroy);
    for (Process process : processes) {
      if (!process.waitFor(START_SECONDS_MAX, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    }
  }

  private void warmUp(List<String> uris) throws InterruptedException {
    try (Writers writers = new Writers(uris, rates.get(rates.size() - 1))) {
      boolean counted = new CountDownLatch(1).await(warmUpSeconds, TimeUnit.SECONDS);
      assert !counted && writers.failure.get() == null : writers.failure.get();
    }
  }

  // ---- holds ----------------------------------------------------------------------------------

  private void holds(Groups groups, List<String> uris) throws Exception {
    System.out.println(
        "| volumes | taps | writes/s | tags | hold of the group, ms: p50 | p99 | max | of a volume,"
            + " ms: p50 | p99 | tag taken in, ms: p50 | p99 | failed |");
    System.out.println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (int count : counts) {
      List<VolumeName> members = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        members.add(new VolumeName(volume(i)));
      }
      String group = "g" + count;
      BenchSite.await(groups.create(group, members));
      for (int rate : rates) {
        holds(groups, group, uris.subList(0, count), rate);
      }
    }
  }

  private void holds(Groups groups, String group, List<String> uris, int rate) throws Exception {
    Samples whole = new Samples();
    Samples each = new Samples();
    Samples taken = new Samples();
    int failed = 0;
    long begun = System.nanoTime();
    Writers writers = new Writers(uris, rate);
    try (writers) {
      long due = begun;
      for (int i = 0; i < tagCount; i++) {
        while (System.nanoTime() < due) {
          LockSupport.parkNanos(due - System.nanoTime());
        }
        due += TimeUnit.MILLISECONDS.toNanos(everyMillis);
        String name = "t-" + rate + "-" + i;
        long asked = System.nanoTime();
        TagSummary tag =
            BenchSite.await(groups.take(group, new TagRequest(name, false, List.of(), "", 0)));
        if (!tag.committed()) {
          failed++;
          continue;
        }
        taken.add((System.nanoTime() - asked) / 1e6);
        whole.add(tag.holdMicros() / 1e3);
        for (TagMark mark : tag.marks()) {
          each.add(mark.holdMicros() / 1e3);
        }
      }
    }
    double elapsed = (System.nanoTime() - begun) / 1e9;
    System.out.printf(
        "| %d | %d | %.0f | %d | %s | %s | %s | %s | %s | %s | %s | %d |%n",
        uris.size(),
        Math.min(tapCount, uris.size()),
        writers.micros().count() / elapsed,
        whole.count(),
        Samples.number(whole.quantile(0.5), 1),
        Samples.number(whole.quantile(0.99), 1),
        Samples.number(whole.max(), 1),
        Samples.number(each.quantile(0.5), 1),
        Samples.number(each.quantile(0.99), 1),
        Samples.number(taken.quantile(0.5), 0),
        Samples.number(taken.quantile(0.99), 0),
        failed);
  }

  // ---- a schedule of one second ---------------------------------------------------------------

  private void schedule(Groups groups, List<String> uris) throws Exception {
    String group = "g" + uris.size();
    System.out.println();
    System.out.println(
        "| schedule | rate asked | writes/s | latency, us: p50 | p99 | p99.9 | max |");
    System.out.println("| --- | --- | --- | --- | --- | --- | --- |");
    for (int rate : rates) {
      Samples[][] seen = {row(), row()};
      for (int round = 0; round < rounds; round++) {
        for (int on = 0; on < 2; on++) {
          if (on == 1) {
            BenchSite.await(
                groups.setSchedule(group, new Schedule("s", 1, 60, "s-{time}", false, List.of())));
          }
          measure(uris, rate, seen[on]);
          if (on == 1) {
            BenchSite.await(groups.removeSchedule(group, "s"));
          }
        }
      }
      print("none", rate, seen[0]);
      print("every second", rate, seen[1]);
    }
  }

  private static Samples[] row() {
    return new Samples[] {
      new Samples(), new Samples(), new Samples(), new Samples(), new Samples()
    };
  }

  private void measure(List<String> uris, int rate, Samples[] into) throws Exception {
    Writers writers = new Writers(uris, rate);
    try (writers) {
      boolean never = new CountDownLatch(1).await(seconds, TimeUnit.SECONDS);
      assert !never;
    }
    Samples micros = writers.micros();
    into[0].add(micros.count() / (double) seconds);
    into[1].add(micros.quantile(0.5));
    into[2].add(micros.quantile(0.99));
    into[3].add(micros.quantile(0.999));
    into[4].add(micros.max());
  }

  private static void print(String schedule, int rate, Samples[] row) {
    System.out.printf(
        "| %s | %s | %s | %s | %s | %s | %s |%n",
        schedule,
        rate == 0 ? "as many as go" : Integer.toString(rate),
        row[0].text(0),
        row[1].text(0),
        row[2].text(0),
        row[3].text(0),
        row[4].text(0));
  }
}
