package io.tidemark.bench;

import io.tidemark.nbd.client.NbdClient;
import io.tidemark.position.At;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tidemark bench open}. */
@Command(
    name = "open",
    mixinStandardHelpOptions = true,
    description = {
      "From the wish for a recovery point to its first 4 KiB over NBD, at volumes of ever longer"
          + " history: random points, half of them named by time, half by seq, a random block of"
          + " each. The caches of the node are empty every time; those of Cassandra and of the"
          + " kernel are not. Then the next 4 KiB elsewhere on the same image."
    },
    footer = {
      "",
      "Examples:",
      "  tidemark bench open",
      "  tidemark bench open --large --opens 101",
    })
final class OpenCommand implements Callable<Integer> {
  private static final long[] WRITES = {10_000, 100_000, 1_000_000};
  private static final long WRITES_LARGE = 10_000_000;
  private static final int SEGMENT_WRITES = 4096;
  private static final int READ_BYTES = 4096;

  @Option(names = "--large", description = "also 10 000 000 writes, which takes minutes")
  private boolean large;

  @Option(names = "--opens", description = "of each volume; default ${DEFAULT-VALUE}")
  private int opens = 51;

  @Option(names = "--write-bytes", description = "length of a write; default ${DEFAULT-VALUE}")
  private int writeBytes = 512;

  @Option(names = "--chunk-kib", description = "of stored chunks; default ${DEFAULT-VALUE}")
  private int chunkKib = 128;

  @Option(names = "--size-mib", description = "of each volume; default ${DEFAULT-VALUE}")
  private long sizeMib = 4096;

  @Option(names = "--seed", description = "chooses blocks and points; default ${DEFAULT-VALUE}")
  private long seed = 1;

  @Option(names = "--directory", description = "where the site is; default ${DEFAULT-VALUE}")
  private Path directory = Path.of(System.getProperty("java.io.tmpdir"));

  private final Random random = new Random();

  /** A moment of a volume's history. */
  private record Moment(long seq, long micros) {}

  @Override
  public Integer call() throws Exception {
    random.setSeed(seed);
    System.out.printf(
        "Writes of %d bytes, volumes of %d MiB, seed %d%n%n", writeBytes, sizeMib, seed);
    System.out.println(
        "| journaled writes | loaded at writes/s | segments not yet indexed | open to first 4 KiB:"
            + " median ms | p95 ms | max ms | next 4 KiB: median ms | max ms |");
    System.out.println("| --- | --- | --- | --- | --- | --- | --- | --- |");
    try (BenchSite site = BenchSite.start(directory, Map.of());
        ImageDesk desk = new ImageDesk(site)) {
      for (long writes : WRITES) {
        measure(site, desk, writes);
      }
      if (large) {
        measure(site, desk, WRITES_LARGE);
      }
    }
    return 0;
  }

  private void measure(BenchSite site, ImageDesk desk, long writes)
      throws IOException, InterruptedException {
    VolumeName volume = new VolumeName("open-" + writes);
    long begin = System.nanoTime();
    List<Moment> moments = load(site, volume, writes);
    double seconds = (System.nanoTime() - begin) / 1e9;
    var view = BenchSite.await(site.site().history(volume));
    long tail = view.tailToEventNr() - view.tailFromEventNr() + 1;
    Samples first = new Samples();
    Samples next = new Samples();
    for (int i = -1; i < opens; i++) {
      Moment moment = moments.get(random.nextInt(moments.size()));
      At at =
          i % 2 == 0
              ? new At.Time(new MicroTime(moment.micros()))
              : new At.Seq(new WriteSeq(1 + (long) (random.nextDouble() * moment.seq())));
      open(desk, volume, at, i < 0 ? new Samples() : first, i < 0 ? new Samples() : next);
    }
    System.out.printf(
        "| %d | %.0f | %d | %.1f | %.1f | %.1f | %.1f | %.1f |%n",
        view.headSeq(),
        view.headSeq() / seconds,
        tail,
        first.median(),
        first.quantile(0.95),
        first.max(),
        next.median(),
        next.max());
  }

  private void open(ImageDesk desk, VolumeName volume, At at, Samples first, Samples next)
      throws IOException {
    long begin = System.nanoTime();
    desk.open("image", volume, at);
    try (NbdClient client = desk.connect("image")) {
      client.read(block() * READ_BYTES, READ_BYTES);
      long opened = System.nanoTime();
      first.add((opened - begin) / 1e6);
      client.read(block() * READ_BYTES, READ_BYTES);
      next.add((System.nanoTime() - opened) / 1e6);
    } finally {
      desk.close("image");
    }
  }

  private long block() {
    return random.nextInt((int) ((sizeMib << 20) / READ_BYTES));
  }

  private List<Moment> load(BenchSite site, VolumeName volume, long writes)
      throws InterruptedException {
    Content content =
        new Content(
            Content.Kind.PLAIN, writeBytes, writeBytes * SEGMENT_WRITES, chunkKib << 10, seed);
    var session = site.attach(volume, sizeMib << 20);
    Appender appender = new Appender(session, site.clock(), content, 16 << 20);
    int places = (int) ((sizeMib << 20) / writeBytes);
    List<Moment> moments = new ArrayList<>();
    while (appender.seq() < writes) {
      Content.Segment segment =
          appender.append(content, () -> (long) random.nextInt(places) * writeBytes);
      moments.add(new Moment(segment.meta().lastSeq().value(), segment.meta().lastTime().micros()));
    }
    appender.drain();
    BenchSite.await(session.detach());
    return moments;
  }
}
