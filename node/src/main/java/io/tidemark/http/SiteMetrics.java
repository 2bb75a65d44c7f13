package io.tidemark.http;

import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.instrumentation.jvm.JvmMetrics;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.ClassicHistogramBuckets;
import io.prometheus.metrics.model.snapshots.CounterSnapshot;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot;
import io.prometheus.metrics.model.snapshots.HistogramSnapshot;
import io.prometheus.metrics.model.snapshots.Labels;
import io.prometheus.metrics.model.snapshots.MetricSnapshot;
import io.prometheus.metrics.model.snapshots.MetricSnapshots;
import io.tidemark.image.ImageSummary;
import io.tidemark.point.DarkInterval;
import io.tidemark.site.VolumeSummary;
import io.tidemark.tag.HoldTimes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/** Metrics in Prometheus' text format: the site's volumes and images, this node's JVM and HTTP. */
final class SiteMetrics {
  static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final Counter answers;

  SiteMetrics() {
    JvmMetrics.builder().register(registry);
    answers =
        Counter.builder()
            .name("tidemark_http_responses_total")
            .help("Answers of the admin interface by HTTP status")
            .labelNames("status")
            .register(registry);
  }

  void answered(int status) {
    answers.labelValues(Integer.toString(status)).inc();
  }

  /** What the site has. */
  record Things(List<VolumeSummary> volumes, List<ImageSummary> images) {}

  byte[] text(
      Things things, Optional<NodeStatus.Disk> disk, HoldTimes.Snapshot holds, long nowMicros) {
    List<VolumeSummary> volumes = things.volumes();
    List<ImageSummary> images = things.images();
    List<MetricSnapshot> all = new ArrayList<>();
    registry.scrape().forEach(all::add);
    all.add(
        perVolume(
            volumes, "tidemark_volume_size_bytes", "Size of the volume", VolumeSummary::sizeBytes));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_head_seq",
            "Newest journaled write",
            volume -> volume.head().seq().value()));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_head_time_seconds",
            "Timestamp of the newest journaled write",
            volume -> Views.seconds(volume.head().time().micros())));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_horizon_seq",
            "Oldest recoverable write",
            volume -> volume.horizon().seq().value()));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_journal_raw_bytes",
            "Data that the journal holds, before compression",
            VolumeSummary::rawBytes));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_journal_stored_bytes",
            "Data that the journal holds, after compression",
            VolumeSummary::storedBytes));
    all.addAll(retention(volumes));
    disk.ifPresent(now -> all.addAll(disk(now)));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_tap_connected",
            "1 while a tap is attached",
            volume -> volume.tapConnected() ? 1 : 0));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_protected",
            "1 while every write becomes a recovery point",
            volume -> volume.state().equals("Protected") ? 1 : 0));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_dark_intervals",
            "Spans of the history without recovery points",
            volume -> volume.dark().size()));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_dark_open",
            "1 while capture is lost and not yet resynchronised",
            volume -> volume.dark().stream().anyMatch(DarkInterval::open) ? 1 : 0));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_rpo_seconds",
            "Age of the oldest write that would be lost now; NaN when not known",
            volume -> Rpo.of(volume, nowMicros).seconds().orElse(Double.NaN)));
    all.add(
        perVolume(
            volumes,
            "tidemark_volume_rpo_bytes",
            "Captured and not journaled; NaN when the tap cannot be asked",
            volume -> {
              var bytes = Rpo.of(volume, nowMicros).bytes();
              return bytes.isPresent() ? bytes.getAsLong() : Double.NaN;
            }));
    all.add(
        gauge(
            "tidemark_images_open",
            "Images that the site serves",
            images.stream().filter(image -> image.state().equals("Serving")).count()));
    all.add(holds(holds));
    all.add(
        CounterSnapshot.builder()
            .name("tidemark_tags")
            .help("Tags that this node took, by how they ended")
            .dataPoint(tags("committed", holds.committed()))
            .dataPoint(tags("failed", holds.failed()))
            .build());
    all.add(gauge("tidemark_volumes", "Protected volumes of the site", volumes.size()));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      PrometheusTextFormatWriter.create().write(out, new MetricSnapshots(all));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  private static List<MetricSnapshot> disk(NodeStatus.Disk disk) {
    return List.of(
        gauge(
            "tidemark_cassandra_tables_bytes",
            "Files of the tables of this node's Cassandra",
            disk.tablesBytes()),
        gauge(
            "tidemark_cassandra_commit_log_bytes",
            "Files of the commit log of this node's Cassandra",
            disk.commitLogBytes()),
        gauge(
            "tidemark_cassandra_free_bytes",
            "What is left on the file system of this node's Cassandra",
            disk.freeBytes()));
  }

  private static List<MetricSnapshot> retention(List<VolumeSummary> volumes) {
    return List.of(
        perVolume(
            volumes,
            "tidemark_volume_history_seconds",
            "Time from the oldest recoverable write to the newest",
            volume ->
                Views.seconds(volume.head().time().micros() - volume.horizon().time().micros())),
        perVolume(
            volumes,
            "tidemark_volume_retention_window_seconds",
            "How much history is kept; 0 for all",
            volume -> Views.seconds(volume.retention().windowMicros())),
        perVolume(
            volumes,
            "tidemark_volume_retention_cap_bytes",
            "What the journal may store before the horizon moves inside the window; 0 for no cap",
            volume -> volume.retention().capBytes()),
        perVolume(
            volumes,
            "tidemark_volume_retention_hard_cap_bytes",
            "What the journal may store before held points are given up; 0 for no cap",
            volume -> volume.retention().hardCapBytes()),
        perVolume(
            volumes,
            "tidemark_volume_held_points",
            "Points that images, exports and links hold",
            VolumeSummary::pins),
        perVolume(
            volumes,
            "tidemark_volume_kept_tags",
            "Tags whose points outlive the window",
            VolumeSummary::keptTags),
        perVolume(
            volumes,
            "tidemark_volume_lost_holds",
            "Held points and kept tags that the hard cap has ended so far",
            VolumeSummary::lostHolds),
        perVolume(
            volumes,
            "tidemark_volume_over_cap",
            "0 while the journal is within its caps, 1 above the cap, 2 above the hard cap",
            volume -> volume.overHardCap() ? 2 : volume.overCap() ? 1 : 0));
  }

  private static MetricSnapshot holds(HoldTimes.Snapshot holds) {
    double[] bounds = new double[holds.counts().length];
    for (int i = 0; i < holds.boundMicros().length; i++) {
      bounds[i] = Views.seconds(holds.boundMicros()[i]);
    }
    bounds[bounds.length - 1] = Double.POSITIVE_INFINITY;
    return HistogramSnapshot.builder()
        .name("tidemark_tag_hold_seconds")
        .help("How long the taps withheld replies for tags that this node took, by volume")
        .dataPoint(
            HistogramSnapshot.HistogramDataPointSnapshot.builder()
                .classicHistogramBuckets(ClassicHistogramBuckets.of(bounds, holds.counts()))
                .sum(Views.seconds(holds.sumMicros()))
                .build())
        .build();
  }

  private static CounterSnapshot.CounterDataPointSnapshot tags(String result, long count) {
    return CounterSnapshot.CounterDataPointSnapshot.builder()
        .labels(Labels.of("result", result))
        .value(count)
        .build();
  }

  private static MetricSnapshot gauge(String name, String help, double value) {
    return GaugeSnapshot.builder()
        .name(name)
        .help(help)
        .dataPoint(GaugeSnapshot.GaugeDataPointSnapshot.builder().value(value).build())
        .build();
  }

  private static MetricSnapshot perVolume(
      List<VolumeSummary> volumes,
      String name,
      String help,
      ToDoubleFunction<VolumeSummary> value) {
    GaugeSnapshot.Builder gauge = GaugeSnapshot.builder().name(name).help(help);
    for (VolumeSummary volume : volumes) {
      gauge.dataPoint(
          GaugeSnapshot.GaugeDataPointSnapshot.builder()
              .labels(Labels.of("volume", volume.name().value()))
              .value(value.applyAsDouble(volume))
              .build());
    }
    return gauge.build();
  }
}
