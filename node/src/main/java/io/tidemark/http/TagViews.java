package io.tidemark.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.group.GroupSummary;
import io.tidemark.group.Schedule;
import io.tidemark.order.ApplicationResult;
import io.tidemark.position.MicroTime;
import io.tidemark.tag.TagMark;
import io.tidemark.tag.TagSummary;
import java.util.List;

/** The JSON of groups and tags; field names are a contract, only added to. */
final class TagViews {
  private TagViews() {}

  static ObjectNode group(GroupSummary group) {
    ObjectNode json = Json.object();
    json.put("name", group.name());
    json.put("id", group.id().toString());
    json.put("state", group.state());
    json.put("created", new MicroTime(group.createdMicros()).toString());
    ArrayNode volumes = json.putArray("volumes");
    group.volumes().forEach(volume -> volumes.add(volume.value()));
    ArrayNode schedules = json.putArray("schedules");
    group.schedules().forEach(schedule -> schedules.add(schedule(schedule)));
    strings(json.putArray("tagging"), group.running());
    strings(json.putArray("locked"), List.copyOf(group.locked().keySet()));
    return json;
  }

  private static ObjectNode schedule(Schedule schedule) {
    ObjectNode json = Json.object();
    json.put("name", schedule.name());
    json.put("everySeconds", schedule.everySeconds());
    json.put("keepSeconds", schedule.keepSeconds() == 0 ? null : (Long) schedule.keepSeconds());
    json.put("pattern", schedule.pattern());
    json.put("consistency", schedule.application() ? "application" : "crash");
    strings(json.putArray("applications"), schedule.applications());
    return json;
  }

  private static void strings(ArrayNode into, List<String> values) {
    values.forEach(into::add);
  }

  static ObjectNode tag(TagSummary tag) {
    ObjectNode json = Json.object();
    json.put("group", tag.spec().group());
    json.put("name", tag.spec().name());
    json.put("state", tag.state());
    json.put("time", new MicroTime(tag.timeMicros()).toString());
    json.put("consistency", tag.applicationConsistent() ? "application" : "crash");
    json.put(
        "downgraded", tag.committed() && tag.spec().application() != tag.applicationConsistent());
    json.put("holdMicros", tag.holdMicros());
    ArrayNode points = json.putArray("points");
    for (TagMark mark : tag.marks()) {
      ObjectNode point = points.addObject();
      point.put("volume", mark.volume().value());
      point.put("seq", mark.seq());
      point.put("time", new MicroTime(mark.timeMicros()).toString());
      point.put("holdMicros", mark.holdMicros());
    }
    ArrayNode applications = json.putArray("applications");
    for (ApplicationResult result : tag.applications()) {
      ObjectNode application = applications.addObject();
      application.put("name", result.application());
      application.put("succeeded", result.succeeded());
      application.put("exitCode", result.exitCode());
      application.put("millis", result.millis());
      application.put("output", result.output());
    }
    json.put("schedule", tag.spec().schedule().isEmpty() ? null : tag.spec().schedule());
    json.put("notes", tag.spec().notes());
    json.put("requested", new MicroTime(tag.spec().requestedMicros()).toString());
    long expires = tag.spec().expiresMicros();
    json.put("expires", expires == 0 ? null : new MicroTime(expires).toString());
    json.put("locked", tag.locked());
    if (tag.code().isPresent()) {
      json.putObject("error").put("code", tag.code().get().name()).put("message", tag.reason());
    } else {
      json.putNull("error");
    }
    return json;
  }
}
