package io.tidemark.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.files.FileHistory;
import io.tidemark.files.FileListing;
import io.tidemark.filesystem.FileEntry;
import io.tidemark.filesystem.FilePath;
import io.tidemark.filesystem.Partition;
import java.util.Locale;

/** The JSON of files. */
final class FileViews {
  private FileViews() {}

  static ObjectNode listing(FileListing listing, FilePath path) {
    ObjectNode json = Json.object();
    json.put("volume", listing.volume().value());
    json.set("at", Views.point(listing.at()));
    json.put("path", path.shown());
    json.put("encodedPath", path.encoded());
    ArrayNode partitions = json.putArray("partitions");
    listing.partitions().forEach(partition -> partitions.add(partition(partition)));
    if (listing.found().isEmpty()) {
      json.putNull("fileSystem").putNull("entry").putArray("entries");
      json.putNull("next");
      return json;
    }
    FileListing.Found found = listing.found().get();
    json.putObject("fileSystem")
        .put("partition", found.partition().number())
        .put("type", found.partition().type())
        .put("label", found.partition().label())
        .put("uuid", found.partition().uuid())
        .put("journal", found.journal().word());
    json.set("entry", entry(found.entry()));
    ArrayNode entries = json.putArray("entries");
    found.entries().forEach(entry -> entries.add(entry(entry)));
    json.put(
        "next",
        found.more()
            ? FilePath.encoded(found.entries().get(found.entries().size() - 1).name())
            : null);
    return json;
  }

  private static ObjectNode partition(Partition partition) {
    return Json.object()
        .put("number", partition.number())
        .put("offset", partition.offset())
        .put("sizeBytes", partition.length())
        .put("type", partition.type().isEmpty() ? null : partition.type())
        .put("label", partition.label())
        .put("readable", partition.readable());
  }

  static ObjectNode entry(FileEntry entry) {
    ObjectNode json = Json.object();
    json.put("name", FilePath.shown(entry.name()));
    json.put("encodedName", FilePath.encoded(entry.name()));
    json.put("type", entry.type().word());
    json.put("sizeBytes", entry.size());
    json.put("modified", entry.modified().toString());
    json.put(
        "mode",
        entry.mode().isPresent()
            ? String.format(Locale.ROOT, "%04o", entry.mode().getAsInt())
            : null);
    json.put("uid", entry.uid().orElse(null));
    json.put("gid", entry.gid().orElse(null));
    json.put("inode", entry.inode());
    json.put("target", entry.target().map(FilePath::shown).orElse(null));
    return json;
  }

  static ObjectNode history(FileHistory history) {
    ObjectNode json = Json.object();
    json.put("points", history.points());
    ArrayNode versions = json.putArray("versions");
    for (FileHistory.Version version : history.versions()) {
      ObjectNode row = versions.addObject();
      row.set("first", Views.point(version.first()));
      row.set("last", Views.point(version.last()));
      row.put("points", version.points());
      row.put("exists", version.entry().isPresent());
      row.set("entry", version.entry().map(FileViews::entry).orElse(null));
      row.put("sha256", version.sha256().orElse(null));
    }
    ArrayNode skipped = json.putArray("skipped");
    for (FileHistory.Skipped point : history.skipped()) {
      skipped
          .addObject()
          .put("at", point.at())
          .put("code", point.code().name())
          .put("detail", point.message());
    }
    return json;
  }
}
