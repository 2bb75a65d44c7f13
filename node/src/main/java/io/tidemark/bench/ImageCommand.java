package io.tidemark.bench;

import io.tidemark.backing.FileBackingStore;
import io.tidemark.backing.TapExport;
import io.tidemark.capture.CaptureSink;
import io.tidemark.journal.JournalSession;
import io.tidemark.localfile.LocalFiles;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tidemark bench image}. */
@Command(
    name = "image",
    mixinStandardHelpOptions = true,
    description = {
      "Reads of an image of a volume's newest point against reads of a file with the same bytes,"
          + " both through this build's NBD server: random 4 KiB and sequential 1 MiB. The volume"
          + " is filled once in order and a quarter of it is overwritten at random. Caches of the"
          + " node are empty at the start of every measurement. The contents are compared first."
    },
    footer = {
      "",
      "Examples:",
      "  tidemark bench image",
      "  tidemark bench image --chunk-kib 64 --chunk-kib 128 --chunk-kib 256",
    })
final class ImageCommand implements Callable<Integer> {
  private static final int RANDOM_BYTES = 4096;
  private static final int SEQUENTIAL_BYTES = 1 << 20;
  private static final int WINDOW_BYTES = 16 << 20;
  private static final int FILL_BYTES = 64 << 10;
  private static final int SEGMENT_BYTES = 2 << 20;
  private static final String RAW = "raw";

  @Option(
      names = "--chunk-kib",
      description = "of stored chunks, a volume for each; may be repeated; default 128")
  private List<Integer> chunksKib = List.of(128);

  @Option(names = "--size-mib", description = "of each volume; default ${DEFAULT-VALUE}")
  private long sizeMib = 512;

  @Option(names = "--data", description = "${COMPLETION-CANDIDATES}; default ${DEFAULT-VALUE}")
  private Content.Kind data = Content.Kind.HALF;

  @Option(names = "--seconds", description = "of one measurement; default ${DEFAULT-VALUE}")
  private int seconds = 4;

  @Option(names = "--reps", description = "measurements of each; default ${DEFAULT-VALUE}")
  private int reps = 5;

  @Option(names = "--clients", description = "of the random reads; default ${DEFAULT-VALUE}")
  private int clients = 16;

  @Option(names = "--directory", description = "where the site is; default ${DEFAULT-VALUE}")
  private Path directory = Path.of(System.getProperty("java.io.tmpdir"));

  private final ExecutorService threads = Executors.newCachedThreadPool();

  /** One kind of access. */
  private record Job(String name, int clients, int bytes, boolean sequential) {}

  private record Figures(double rate, double medianMillis, double p99Millis) {}

  private static final class Column {
    final Samples rate = new Samples();
    final Samples ratio = new Samples();
    final Samples median = new Samples();
    final Samples p99 = new Samples();
  }

  @Override
  public Integer call() throws Exception {
    try (BenchSite site = BenchSite.start(directory, Map.of());
        ImageDesk desk = new ImageDesk(site)) {
      Path raw = site.directory().resolve("raw.img");
      List<VolumeName> volumes = new ArrayList<>();
      for (int chunkKib : chunksKib) {
        VolumeName volume = new VolumeName("chunks-" + chunkKib + "k");
        volumes.add(volume);
        load(site, volume, chunkKib << 10, raw);
      }
      try (TapExport file =
          new TapExport(
              RAW,
              "the same bytes in a file",
              sizeMib << 20,
              true,
              FileBackingStore.open(raw, sizeMib << 20, true),
              CaptureSink.none())) {
        desk.offer(file);
        for (VolumeName volume : volumes) {
          compare(desk, volume);
        }
        run(desk, volumes);
      }
    } finally {
      threads.shutdownNow();
    }
    return 0;
  }

  private void run(ImageDesk desk, List<VolumeName> volumes) throws Exception {
    System.out.printf("Volumes of %d MiB, data %s, %d x %d s%n%n", sizeMib, data, reps, seconds);
    System.out.println("| reads | of | MB/s | of the file's | median ms | p99 ms |");
    System.out.println("| --- | --- | --- | --- | --- | --- |");
    for (Job job :
        List.of(
            new Job("random 4 KiB, 1 client", 1, RANDOM_BYTES, false),
            new Job("random 4 KiB, " + clients + " clients", clients, RANDOM_BYTES, false),
            new Job("sequential 1 MiB, 1 client", 1, SEQUENTIAL_BYTES, true))) {
      Map<String, Column> columns = new LinkedHashMap<>();
      columns.put(RAW, new Column());
      volumes.forEach(volume -> columns.put(volume.value(), new Column()));
      for (int i = -1; i < reps; i++) {
        double file = 0;
        for (Map.Entry<String, Column> entry : columns.entrySet()) {
          Figures figures = measure(desk, entry.getKey(), job, i);
          file = entry.getKey().equals(RAW) ? figures.rate() : file;
          if (i >= 0) {
            entry.getValue().rate.add(figures.rate());
            entry.getValue().ratio.add(figures.rate() / file);
            entry.getValue().median.add(figures.medianMillis());
            entry.getValue().p99.add(figures.p99Millis());
          }
        }
      }
      columns.forEach(
          (of, column) ->
              System.out.printf(
                  "| %s | %s | %s | %s | %.2f | %.2f |%n",
                  job.name(),
                  of,
                  column.rate.text(1),
                  column.ratio.text(3),
                  column.median.median(),
                  column.p99.median()));
    }
  }

  private Figures measure(ImageDesk desk, String export, Job job, int repetition) throws Exception {
    boolean image = !export.equals(RAW);
    if (image) {
      desk.open(export, new VolumeName(export), new At.Latest());
    }
    try {
      LongAdder bytes = new LongAdder();
      Samples millis = new Samples();
      long begin = System.nanoTime();
      long end = begin + TimeUnit.SECONDS.toNanos(seconds);
      List<Future<Void>> readers = new ArrayList<>();
      for (int c = 0; c < job.clients(); c++) {
        Random random = new Random(1000L * repetition + c);
        readers.add(
            threads.submit(
                () -> {
                  read(desk, export, job, random, end, bytes, millis);
                  return null;
                }));
      }
      for (Future<Void> reader : readers) {
        reader.get();
      }
      double elapsed = (System.nanoTime() - begin) / 1e9;
      return new Figures(bytes.sum() / 1e6 / elapsed, millis.median(), millis.quantile(0.99));
    } finally {
      if (image) {
        desk.close(export);
      }
    }
  }

  private void read(
      ImageDesk desk,
      String export,
      Job job,
      Random random,
      long end,
      LongAdder bytes,
      Samples millis)
      throws IOException {
    ByteBuffer into = ByteBuffer.allocateDirect(job.bytes());
    int places = (int) ((sizeMib << 20) / job.bytes());
    List<Double> taken = new ArrayList<>();
    try (NbdClient client = desk.connect(export)) {
      for (int i = 0; System.nanoTime() < end; i++) {
        long place = job.sequential() ? i % places : random.nextInt(places);
        long begin = System.nanoTime();
        client.read(place * job.bytes(), into.clear());
        taken.add((System.nanoTime() - begin) / 1e6);
        bytes.add(job.bytes());
      }
    }
    synchronized (millis) {
      taken.forEach(millis::add);
    }
  }

  /** The same writes for every volume and for the file. */
  private void load(BenchSite site, VolumeName volume, int chunkBytes, Path raw)
      throws IOException, InterruptedException {
    long size = sizeMib << 20;
    Random random = new Random(1);
    Content fill = new Content(data, FILL_BYTES, SEGMENT_BYTES, chunkBytes, 1);
    Content change = new Content(data, RANDOM_BYTES, SEGMENT_BYTES, chunkBytes, 2);
    JournalSession session = site.attach(volume, size);
    Appender appender = new Appender(session, site.clock(), fill, WINDOW_BYTES);
    long[] place = new long[1];
    try (FileChannel file =
        FileChannel.open(raw, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      for (long at = 0; at < size; at += SEGMENT_BYTES) {
        copy(
            appender.append(
                fill,
                () -> {
                  place[0] += FILL_BYTES;
                  return place[0] - FILL_BYTES;
                }),
            file);
      }
      for (long at = 0; at < size / 4; at += SEGMENT_BYTES) {
        copy(
            appender.append(
                change, () -> (long) random.nextInt((int) (size / RANDOM_BYTES)) * RANDOM_BYTES),
            file);
      }
      file.force(false);
    }
    appender.drain();
    BenchSite.await(session.detach());
  }

  private static void copy(Content.Segment segment, FileChannel file) throws IOException {
    for (int i = 0; i < segment.meta().count(); i++) {
      int from = (int) segment.meta().dataPosition(i);
      LocalFiles.writeFully(
          file,
          segment.data().slice(from, (int) segment.meta().length(i)),
          segment.meta().offset(i));
    }
  }

  /** N3 */
  private void compare(ImageDesk desk, VolumeName volume) throws IOException {
    desk.open(volume.value(), volume, new At.Latest());
    ByteBuffer one = ByteBuffer.allocate(SEQUENTIAL_BYTES);
    ByteBuffer other = ByteBuffer.allocate(SEQUENTIAL_BYTES);
    try (NbdClient image = desk.connect(volume.value());
        NbdClient file = desk.connect(RAW)) {
      for (long at = 0; at < sizeMib << 20; at += SEQUENTIAL_BYTES) {
        image.read(at, one.clear());
        file.read(at, other.clear());
        if (!one.flip().equals(other.flip())) {
          throw new Refusal(
              ErrorCode.CORRUPT,
              "the image of " + volume + " differs from what was written, near offset " + at);
        }
      }
    } finally {
      desk.close(volume.value());
    }
  }
}
