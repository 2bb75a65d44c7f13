package io.tidemark.http;

import akka.NotUsed;
import akka.stream.javadsl.Source;
import io.tidemark.compare.Comparisons;
import io.tidemark.export.Exports;
import io.tidemark.image.ImageSummary;
import io.tidemark.image.Images;
import io.tidemark.image.OpenImage;
import io.tidemark.image.VolumePoints;
import io.tidemark.job.JobSummary;
import io.tidemark.job.Jobs;
import io.tidemark.journal.TapStatus;
import io.tidemark.order.TapOrder;
import io.tidemark.point.DarkInterval;
import io.tidemark.point.HistoryView;
import io.tidemark.point.PointReader;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.ByteRange;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSites;
import io.tidemark.rollback.Rollbacks;
import io.tidemark.site.Site;
import io.tidemark.site.SiteEvent;
import io.tidemark.site.VolumeSummary;
import io.tidemark.verify.Verifications;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeoutException;

/**
 * A site in memory behind the interfaces of the admin interface: one write a second from {@link
 * #START} on, seq 11 to 20 dark.
 */
public final class FakeServices implements Site, VolumePoints, Images, Exports, Verifications {
  static final long START = MicroTime.of(Instant.parse("2026-01-31T12:00:00Z")).micros();
  static final long SECOND = 1_000_000;
  static final long HEAD = 100;
  static final long NOW = START + (HEAD + 10) * SECOND;
  private static final VolumeId ID = new VolumeId(new UUID(1, 2));
  private static final DarkInterval DARK =
      new DarkInterval(11, 20, START + 10 * SECOND, START + 21 * SECOND, "spill file full");

  private final Map<VolumeName, VolumeSummary> volumes = new ConcurrentSkipListMap<>();
  private final Map<String, ImageSummary> images = new ConcurrentSkipListMap<>();
  private final Map<String, JobSummary> jobs = new TreeMap<>();
  private final FakeFiles files = new FakeFiles();
  private final FakeGroups groups = new FakeGroups();
  private final FakeLinks links = new FakeLinks();
  volatile List<String> notReady = List.of();

  /** Names that make the site fail in a way of their own. */
  static final VolumeName SILENT = new VolumeName("silent");

  static final VolumeName STUCK = new VolumeName("stuck");

  static final VolumeName BROKEN = new VolumeName("broken");

  public AdminServices services() {
    return new AdminServices(
        this,
        new FakeRetention(this),
        groups,
        links,
        this,
        this,
        jobs(),
        this,
        this,
        this::size,
        recovery(),
        files,
        status(),
        () -> NOW);
  }

  private CompletionStage<JobSummary> size(VolumeName name, List<Long> windows, long capBytes) {
    return verify(name);
  }

  /** One sector in ten changed, whatever the points; a page a sector. */
  private RecoveryServices recovery() {
    return new RecoveryServices(
        request ->
            locate(request.volume(), request.from())
                .thenCombine(
                    locate(request.volume(), request.to()),
                    (from, to) -> {
                      long offset = (request.offset() + 5119) / 5120 * 5120;
                      long next = offset + 5120;
                      return new Comparisons.Page(
                          request.volume(),
                          from.point(),
                          to.point(),
                          to.sizeBytes(),
                          request.content(),
                          List.of(new ByteRange(offset, 512)),
                          512,
                          next < to.sizeBytes() ? OptionalLong.of(next) : OptionalLong.empty());
                    }),
        (volume, at, force) ->
            locate(volume, at)
                .thenCombine(
                    start("rollback-1", "rollback", volume),
                    (located, job) -> {
                      if (!force) {
                        throw new Refusal(ErrorCode.BUSY, "1 client is connected");
                      }
                      return new Rollbacks.Started(job, located.point(), point(HEAD));
                    }),
        new FakeDrills(this::volume));
  }

  /** Who holds what of a volume. */
  final Map<String, String> held = new ConcurrentHashMap<>();

  @Override
  public CompletionStage<Void> hold(
      Located located, String holder, boolean onward, Duration lease) {
    held.put(
        located.name().value(),
        "%s %s %s %s".formatted(holder, located.point().seq(), onward, lease));
    return CompletableFuture.completedStage(null);
  }

  @Override
  public CompletionStage<Void> release(VolumeName volume, String holder) {
    held.remove(volume.value());
    return CompletableFuture.completedStage(null);
  }

  private NodeStatus status() {
    return new NodeStatus() {
      @Override
      public CompletionStage<Optional<Disk>> disk() {
        return CompletableFuture.completedStage(Optional.of(new Disk(5 << 20, 3 << 20, 7L << 30)));
      }

      @Override
      public Overview overview() {
        return new Overview(
            "here",
            "1",
            new MicroTime(START),
            Map.of("http", "127.0.0.1:8470"),
            List.of(new Member("akka://tidemark@127.0.0.1:25520", "Up", "here", true)));
      }

      @Override
      public Security security() {
        return new Security(Optional.empty(), List.of());
      }

      @Override
      public RemoteSites sites() {
        return new FakeSites();
      }

      @Override
      public CompletionStage<List<String>> notReady() {
        return CompletableFuture.completedFuture(notReady);
      }
    };
  }

  @Override
  public CompletionStage<VolumeSummary> createVolume(
      VolumeName name, long sizeBytes, boolean synchronous) {
    if (name.equals(SILENT)) {
      return CompletableFuture.failedFuture(new TimeoutException("no answer"));
    }
    if (name.equals(STUCK)) {
      return new CompletableFuture<>();
    }
    if (name.equals(BROKEN)) {
      return CompletableFuture.failedFuture(new IllegalStateException("secret detail"));
    }
    VolumeSummary wanted = summary(name, sizeBytes, synchronous);
    VolumeSummary there = volumes.putIfAbsent(name, wanted);
    if (there != null && there.sizeBytes() != sizeBytes) {
      return refuse(ErrorCode.ALREADY_EXISTS, "volume " + name + " exists with another size");
    }
    return CompletableFuture.completedFuture(wanted);
  }

  private static VolumeSummary summary(VolumeName name, long sizeBytes, boolean synchronous) {
    return new VolumeSummary(
        name,
        ID,
        sizeBytes,
        "here",
        "Protected",
        "Primary",
        1,
        RecoveryPoint.MAIN_BRANCH,
        synchronous,
        point(HEAD),
        point(0),
        4_000,
        1_000,
        true,
        Optional.of("host:/run/x.sock"),
        Optional.of("akka://tidemark@127.0.0.1:25520"),
        Optional.of(new TapStatus(TapStatus.Mode.CONTINUOUS, 8_192, 2, NOW - SECOND / 2, 0, 0)),
        NOW,
        List.of(DARK));
  }

  private static RecoveryPoint point(long seq) {
    return new RecoveryPoint(
        new WriteSeq(seq), new MicroTime(START + seq * SECOND), RecoveryPoint.MAIN_BRANCH);
  }

  @Override
  public CompletionStage<List<VolumeSummary>> volumes() {
    return CompletableFuture.completedFuture(new ArrayList<>(volumes.values()));
  }

  @Override
  public CompletionStage<VolumeSummary> volume(VolumeName name) {
    VolumeSummary volume = volumes.get(name);
    return volume == null ? unknown(name) : CompletableFuture.completedFuture(volume);
  }

  private static <T> CompletionStage<T> unknown(VolumeName name) {
    return refuse(ErrorCode.NOT_FOUND, "there is no volume '" + name + "'");
  }

  private static <T> CompletionStage<T> refuse(ErrorCode code, String message) {
    return CompletableFuture.failedFuture(new Refusal(code, message));
  }

  @Override
  public CompletionStage<Void> deleteVolume(VolumeName name) {
    return volumes.remove(name) == null ? unknown(name) : CompletableFuture.completedFuture(null);
  }

  @Override
  public CompletionStage<byte[]> order(VolumeName name, TapOrder order) {
    return CompletableFuture.failedFuture(
        new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "no tap is attached"));
  }

  @Override
  public CompletionStage<HistoryView> history(VolumeName name) {
    return volume(name)
        .thenApply(
            volume ->
                new HistoryView(
                    ID,
                    "volume|" + name,
                    volume.sizeBytes(),
                    1,
                    HEAD,
                    START + HEAD * SECOND,
                    0,
                    START,
                    List.of(DARK),
                    List.of(),
                    1,
                    HEAD));
  }

  @Override
  public Source<SiteEvent, NotUsed> events() {
    SiteEvent event =
        new SiteEvent(new MicroTime(START), "tap-attached", new VolumeName("db"), "tap is here");
    return Source.single(event).concat(Source.maybe());
  }

  @Override
  public CompletionStage<Located> locate(VolumeName volume, At at) {
    return volume(volume)
        .thenApply(
            there -> {
              long seq;
              if (at instanceof At.Seq wanted) {
                seq = wanted.seq().value();
              } else if (at instanceof At.Time wanted) {
                seq = Math.floorDiv(wanted.time().micros() - START, SECOND);
              } else if (at instanceof At.Tag) {
                throw new Refusal(ErrorCode.NOT_FOUND, "there is no such tag");
              } else {
                seq = HEAD;
              }
              if (seq < 0) {
                throw new Refusal(ErrorCode.BEYOND_HORIZON, "older than the oldest point, seq 0");
              }
              if (seq > HEAD) {
                throw new Refusal(ErrorCode.BEYOND_HEAD, "newer than the newest point, seq 100");
              }
              if (seq >= DARK.fromSeq() && seq <= DARK.toSeq()) {
                throw new Refusal(
                    ErrorCode.DARK_INTERVAL, "no point inside; the nearest are seq 10 and seq 21");
              }
              return new Located(volume, ID, there.sizeBytes(), point(seq));
            });
  }

  @Override
  public CompletionStage<PointReader> open(Located located) {
    return refuse(ErrorCode.FAILED, "nothing reads in this test");
  }

  @Override
  public CompletionStage<ImageSummary> open(OpenImage request) {
    return locate(request.volume(), request.at())
        .thenApply(
            located -> {
              String name =
                  request.name().orElse(request.volume() + "-seq" + located.point().seq().value());
              ImageSummary image =
                  new ImageSummary(
                      name,
                      request.volume(),
                      "nbd://127.0.0.1:10809/" + name,
                      located.point(),
                      located.sizeBytes(),
                      request.writable(),
                      "Serving",
                      "node",
                      new MicroTime(NOW),
                      7,
                      0,
                      0,
                      0,
                      Optional.empty());
              if (images.putIfAbsent(name, image) != null) {
                throw new Refusal(ErrorCode.ALREADY_EXISTS, "image " + name + " is open");
              }
              return image;
            });
  }

  @Override
  public CompletionStage<List<ImageSummary>> list() {
    return CompletableFuture.completedFuture(new ArrayList<>(images.values()));
  }

  @Override
  public CompletionStage<ImageSummary> get(String name) {
    ImageSummary image = images.get(name);
    return image == null
        ? refuse(ErrorCode.NOT_FOUND, "there is no image '" + Refusal.printable(name) + "'")
        : CompletableFuture.completedFuture(image);
  }

  @Override
  public CompletionStage<Void> close(String name, boolean force) {
    if (name.equals("used") && !force) {
      return refuse(ErrorCode.BUSY, "image 'used' has a client");
    }
    return images.remove(name) == null
        ? refuse(ErrorCode.NOT_FOUND, "there is no image '" + Refusal.printable(name) + "'")
        : CompletableFuture.completedFuture(null);
  }

  /** The jobs of the site, whose interface clashes with that of images. */
  Jobs jobs() {
    return new Jobs() {
      @Override
      public List<JobSummary> list() {
        return new ArrayList<>(jobs.values());
      }

      @Override
      public Optional<JobSummary> get(String id) {
        return Optional.ofNullable(jobs.get(id));
      }

      @Override
      public JobSummary cancel(String id) {
        JobSummary job =
            get(id).orElseThrow(() -> new Refusal(ErrorCode.NOT_FOUND, "there is no such job"));
        JobSummary cancelled = job(job.id(), job.kind(), JobSummary.State.CANCELLED);
        jobs.put(id, cancelled);
        return cancelled;
      }
    };
  }

  private static JobSummary job(String id, String kind, JobSummary.State state) {
    return new JobSummary(
        id,
        kind,
        "volume db",
        state,
        0.25,
        256,
        1024,
        OptionalLong.of(3),
        new MicroTime(START),
        Optional.empty(),
        Optional.empty(),
        Map.of());
  }

  @Override
  public CompletionStage<JobSummary> export(ExportRequest request) {
    if (!request.format().equals("raw")) {
      return refuse(ErrorCode.INVALID, "there is no format '" + request.format() + "'");
    }
    return start("export-1", "export", request.volume());
  }

  @Override
  public CompletionStage<JobSummary> verify(VolumeName volume) {
    return start("verify-1", "verify", volume);
  }

  private CompletionStage<JobSummary> start(String id, String kind, VolumeName name) {
    return volume(name)
        .thenApply(
            there -> {
              JobSummary job = job(id, kind, JobSummary.State.RUNNING);
              jobs.put(id, job);
              return job;
            });
  }
}
