package io.tidemark.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.image.ImageSummary;
import io.tidemark.job.JobSummary;
import io.tidemark.journal.TapStatus;
import io.tidemark.point.DarkInterval;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.site.SiteEvent;
import io.tidemark.site.VolumeSummary;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** The JSON of each thing; field names are a contract, only added to. */
final class Views {
  private static final double MICROS_PER_SECOND = 1e6;

  private Views() {}

  static ObjectNode site(
      NodeStatus.Overview overview, List<VolumeSummary> volumes, Optional<NodeStatus.Disk> disk) {
    ObjectNode json = Json.object();
    json.put("name", overview.site());
    json.put("version", overview.version());
    json.put("started", overview.started().toString());
    json.put("volumes", volumes.size());
    ObjectNode storage = json.putObject("storage");
    storage.put("journalBytes", volumes.stream().mapToLong(VolumeSummary::storedBytes).sum());
    storage.put("tablesBytes", disk.map(NodeStatus.Disk::tablesBytes).orElse(null));
    storage.put("commitLogBytes", disk.map(NodeStatus.Disk::commitLogBytes).orElse(null));
    storage.put("freeBytes", disk.map(NodeStatus.Disk::freeBytes).orElse(null));
    ObjectNode addresses = json.putObject("addresses");
    overview.addresses().forEach(addresses::put);
    ArrayNode members = json.putArray("members");
    for (NodeStatus.Member member : overview.members()) {
      ObjectNode node = members.addObject();
      node.put("address", member.address());
      node.put("status", member.status());
      node.put("site", member.site());
      node.put("reachable", member.reachable());
    }
    return json;
  }

  static ObjectNode volume(VolumeSummary volume, long nowMicros) {
    ObjectNode json = Json.object();
    json.put("name", volume.name().value());
    json.put("id", volume.id().toString());
    json.put("sizeBytes", volume.sizeBytes());
    json.put("site", volume.site());
    json.put("state", volume.state());
    json.put("role", volume.role());
    json.put("epoch", volume.epoch());
    json.put("branch", volume.branch());
    json.put("synchronous", volume.synchronous());
    json.set("head", position(volume.head()));
    json.set("horizon", position(volume.horizon()));
    json.putObject("journal")
        .put("rawBytes", volume.rawBytes())
        .put("storedBytes", volume.storedBytes());
    json.set("retention", retention(volume));
    json.set("rpo", rpo(Rpo.of(volume, nowMicros)));
    ObjectNode tap = json.putObject("tap");
    tap.put("connected", volume.tapConnected());
    tap.put("address", volume.tapAddress().orElse(null));
    tap.put("node", volume.tapNode().orElse(null));
    tap.put("mode", volume.tapStatus().map(s -> mode(s.mode())).orElse(null));
    volume
        .tapStatus()
        .filter(status -> status.syncTotalBytes() > 0)
        .ifPresent(
            status ->
                tap.putObject("sync")
                    .put("doneBytes", status.syncDoneBytes())
                    .put("totalBytes", status.syncTotalBytes()));
    json.set("dark", dark(volume.dark()));
    return json;
  }

  private static ObjectNode retention(VolumeSummary volume) {
    return Json.object()
        .put("windowSeconds", volume.retention().windowMicros() / 1_000_000)
        .put("capBytes", volume.retention().capBytes())
        .put("hardCapBytes", volume.retention().hardCapBytes())
        .put("holds", volume.pins())
        .put("tags", volume.keptTags())
        .put("lostHolds", volume.lostHolds())
        .put("overCap", volume.overCap())
        .put("overHardCap", volume.overHardCap());
  }

  static String mode(TapStatus.Mode mode) {
    return mode.name().toLowerCase(Locale.ROOT);
  }

  private static ObjectNode rpo(Rpo rpo) {
    ObjectNode json = Json.object();
    if (rpo.seconds().isPresent()) {
      json.put("seconds", rpo.seconds().getAsDouble());
    } else {
      json.putNull("seconds");
    }
    if (rpo.bytes().isPresent()) {
      json.put("bytes", rpo.bytes().getAsLong());
    } else {
      json.putNull("bytes");
    }
    if (rpo.writes().isPresent()) {
      json.put("writes", rpo.writes().getAsLong());
    } else {
      json.putNull("writes");
    }
    if (rpo.asOfMicros().isPresent()) {
      json.put("asOf", new MicroTime(rpo.asOfMicros().getAsLong()).toString());
    } else {
      json.putNull("asOf");
    }
    return json;
  }

  private static ObjectNode position(RecoveryPoint point) {
    return Json.object().put("seq", point.seq().value()).put("time", point.time().toString());
  }

  static ObjectNode point(RecoveryPoint point) {
    return position(point).put("branch", point.branch());
  }

  /** An open interval has no end: {@code toSeq} and {@code toTime} are null. */
  static ArrayNode dark(List<DarkInterval> intervals) {
    ArrayNode json = Json.array();
    for (DarkInterval interval : intervals) {
      ObjectNode node = json.addObject();
      node.put("fromSeq", interval.fromSeq());
      node.put("toSeq", interval.open() ? null : (Long) interval.toSeq());
      node.put("fromTime", new MicroTime(interval.fromTimeMicros()).toString());
      node.put("toTime", interval.open() ? null : time(interval.toTimeMicros()));
      node.put("reason", interval.reason());
    }
    return json;
  }

  private static String time(long micros) {
    return micros == Long.MAX_VALUE ? null : new MicroTime(micros).toString();
  }

  static ObjectNode image(ImageSummary image) {
    ObjectNode json = Json.object();
    json.put("name", image.name());
    json.put("volume", image.volume().value());
    json.put("uri", image.uri());
    json.set("at", point(image.at()));
    json.put("sizeBytes", image.sizeBytes());
    json.put("writable", image.writable());
    json.put("state", image.state());
    json.put("node", image.node());
    json.put("opened", image.opened().toString());
    json.put("openMillis", image.openMillis());
    json.put("overlayBytes", image.overlayBytes());
    json.put("clients", image.clients());
    json.put("failedReads", image.failedReads());
    json.put("problem", image.problem().orElse(null));
    return json;
  }

  static ObjectNode job(JobSummary job) {
    ObjectNode json = Json.object();
    json.put("id", job.id());
    json.put("kind", job.kind());
    json.put("subject", job.subject());
    json.put("state", job.state().name().toLowerCase(Locale.ROOT));
    json.put("fraction", job.fraction());
    json.putObject("bytes").put("done", job.bytesDone()).put("total", job.bytesTotal());
    json.put("etaSeconds", job.etaSeconds().isPresent() ? job.etaSeconds().getAsLong() : null);
    json.put("started", job.started().toString());
    json.put("ended", job.ended().map(MicroTime::toString).orElse(null));
    Optional<JobSummary.Failure> error = job.error();
    if (error.isPresent()) {
      json.putObject("error")
          .put("code", error.get().code().name())
          .put("message", error.get().message());
    } else {
      json.putNull("error");
    }
    ObjectNode result = json.putObject("result");
    job.result().forEach(result::put);
    return json;
  }

  static ObjectNode event(SiteEvent event) {
    return Json.object()
        .put("time", event.time().toString())
        .put("type", event.type())
        .put("volume", event.volume().map(VolumeName::value).orElse(null))
        .put("group", event.group().orElse(null))
        .put("message", event.message());
  }

  static double seconds(long micros) {
    return micros / MICROS_PER_SECOND;
  }
}
