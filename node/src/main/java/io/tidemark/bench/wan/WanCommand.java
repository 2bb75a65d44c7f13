package io.tidemark.bench.wan;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.wan.PackCounts;
import io.tidemark.wan.PieceKind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tidemark bench wan}. */
@Command(
    name = "wan",
    mixinStandardHelpOptions = true,
    description = {
      "What it takes to bring the writes of real programs to another site: this build's packing,"
          + " gzip and zstd of the same writes, changed blocks and rsync at intervals.",
      "Each workload's writes are recorded once, by a tap in front of a file system on a loop"
          + " device; needs root, nbdfuse and e2fsprogs, and PostgreSQL with pgbench, MariaDB with"
          + " sysbench, git and javac, or fio with its nbd engine. What rsync takes is measured"
          + " with rsync. The figures do not depend on what else the machine does."
    },
    footer = {
      "",
      "Examples:",
      "  tidemark bench wan --workload pgbench --seconds 60",
      "  tidemark bench wan --traces /var/tmp/traces --interval 1s --interval 60s",
    })
public final class WanCommand implements Callable<Integer> {
  private static final String LAUNCHER = "tidemark.launcher";
  private static final double MIB = 1 << 20;

  /** What a segment takes from being packed to being acknowledged, for the packing's model. */
  private static final long ACK_MICROS = 150_000;

  @Option(
      names = "--workload",
      paramLabel = "NAME",
      description =
          "pgbench, pgbench-plain (without full-page writes), mariadb, files, copies (of a tree"
              + " that the volume holds in an older version) or random; may be repeated")
  private List<String> workloads = List.of("pgbench", "mariadb", "files", "copies", "random");

  @Option(names = "--seconds", description = "of load where that has no end; default: 60")
  private int seconds = 60;

  @Option(names = "--size-mib", description = "of the volume; default: 512")
  private int sizeMib = 512;

  @Option(
      names = "--traces",
      paramLabel = "DIR",
      description = "keeps the records there, and uses those that are there already")
  private Path traces;

  @Option(
      names = "--interval",
      paramLabel = "TIME",
      description = "of changed blocks and of rsync, such as 10s; may be repeated; default: 10s")
  private List<String> intervals = List.of("10s");

  @Option(names = "--level", description = "of zstd in the packing; default: 3")
  private int level = 3;

  @Option(names = "--known-blocks", description = "that a link remembers; default: 65536")
  private int knownBlocks = 65_536;

  @Option(names = "--only-packing", description = "leaves out what it is compared with")
  private boolean onlyPacking;

  private WanCommand() {}

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path scratch = Path.of(System.getProperty("java.io.tmpdir"));
    Path kept = traces == null ? Files.createTempDirectory(scratch, "tidemark-traces-") : traces;
    Files.createDirectories(kept);
    for (String workload : workloads) {
      Path file = kept.resolve(workload + ".trace");
      if (!Files.exists(file)) {
        System.err.println("recording " + workload);
        Recorder.record(script(workload), file, scratch, (long) sizeMib << 20);
      }
      measure(workload, Trace.open(file), scratch);
      if (traces == null) {
        Files.delete(file);
      }
    }
    if (traces == null) {
      Files.delete(kept);
    }
    return 0;
  }

  private List<String> script(String workload) {
    String launcher = System.getProperty(LAUNCHER);
    String place = "node/bench/wan-workload.sh";
    Path script = launcher == null ? Path.of(place) : Path.of(launcher).resolveSibling(place);
    if (!Files.isReadable(script)) {
      throw new Refusal(ErrorCode.NOT_FOUND, script + " is not there: run this from a source tree");
    }
    return List.of("bash", script.toString(), workload, Integer.toString(seconds));
  }

  private void measure(String workload, Trace trace, Path scratch) throws IOException {
    long raw = Streams.raw(trace);
    PackingRun.Result packed = new PackingRun(level, knownBlocks, 250_000, ACK_MICROS).run(trace);
    System.out.printf(
        Locale.ROOT,
        "%n### %s%n%n%d writes, %.1f MiB in %d segments.%n%n"
            + "| sent as | bytes | raw / bytes | states kept |%n| --- | --- | --- | --- |%n",
        workload,
        packed.writes(),
        raw / MIB,
        packed.segments());
    row("raw", raw, raw, "every write");
    row("this link", packed.lineBytes(), raw, "every write");
    if (!onlyPacking) {
      row("gzip -6 of the writes, one stream", Streams.gzip(trace), raw, "every write");
      row("zstd -3 --long=27, one stream", Streams.zstd(trace, 3), raw, "every write");
      for (String interval : intervals) {
        intervals(trace, raw, interval, scratch);
      }
    }
    kinds(packed, raw);
  }

  private static void intervals(Trace trace, long raw, String interval, Path scratch)
      throws IOException {
    Duration every = Duration.parse("PT" + interval);
    Intervals states = new Intervals(trace, every.toNanos() / 1_000);
    String kept = "one in " + interval;
    Intervals.Blocks blocks = states.blocks(3);
    row("changed 4 KiB blocks", blocks.plain(), raw, kept);
    row("changed 4 KiB blocks, zstd -3", blocks.zstd(), raw, kept);
    row("rsync, its own block size", states.rsync(scratch, List.of()), raw, kept);
    row("rsync -z", states.rsync(scratch, List.of("-z")), raw, kept);
  }

  private static void row(String what, long bytes, long raw, String states) {
    System.out.printf(
        Locale.ROOT, "| %s | %d | %.2f | %s |%n", what, bytes, (double) raw / bytes, states);
  }

  private static void kinds(PackingRun.Result packed, long raw) {
    PackCounts counts = packed.counts();
    System.out.printf("%n| piece sent as | pieces | MiB of data | MiB on the line |%n");
    System.out.printf("| --- | --- | --- | --- |%n");
    for (PieceKind kind : PieceKind.values()) {
      System.out.printf(
          Locale.ROOT,
          "| %s | %d | %.1f | %.2f |%n",
          kind,
          counts.pieces(kind),
          counts.dataBytes(kind) / MIB,
          counts.lineBytes(kind) / MIB);
    }
    System.out.printf(
        Locale.ROOT,
        "%nHead %d bytes (%.1f a write). Packing %.1f ms CPU a MiB, unpacking %.1f.%n",
        counts.headBytes(),
        (double) counts.headBytes() / packed.writes(),
        packed.packSeconds() * 1e3 / (raw / MIB),
        packed.unpackSeconds() * 1e3 / (raw / MIB));
  }
}
