package io.tidemark.filesystem;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tidemark.sandbox.Tools;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a disk holds: one file system, or partitions; found by blkid and sfdisk. */
public final class DiskLayout {
  public static final int PARTITIONS_MAX = 128;
  private static final int ANSWER_MAX = 1 << 20;
  private static final int NOTHING_FOUND = 2;
  private static final Duration LIMIT = Duration.ofSeconds(60);

  /** Parts of an MBR that only hold other parts. */
  private static final Set<String> CONTAINERS = Set.of("5", "f", "85");

  private static final Pattern NUMBER = Pattern.compile(".*?([0-9]{1,4})");
  private static final ObjectMapper JSON = new ObjectMapper();

  private DiskLayout() {}

  /**
   * Reads the layout; blocks.
   *
   * @return one partition of number 0 for a disk without a partition table
   */
  public static List<Partition> read(Tools tools, long sizeBytes) throws IOException {
    Map<String, String> whole = probe(tools, List.of());
    boolean table = whole.containsKey("PTTYPE") && !whole.containsKey("TYPE");
    return table ? partitions(tools, sizeBytes) : List.of(partition(0, 0, sizeBytes, whole));
  }

  private static Partition partition(int number, long offset, long length, Map<String, String> on) {
    return new Partition(
        number,
        offset,
        length,
        on.getOrDefault("TYPE", ""),
        on.getOrDefault("LABEL", ""),
        on.getOrDefault("UUID", ""));
  }

  private static Map<String, String> probe(Tools tools, List<String> where) throws IOException {
    List<String> command = new ArrayList<>(List.of("blkid", "-p", "-o", "export"));
    command.addAll(where);
    command.add(Tools.DISK);
    Tools.Answer answer = tools.run(command, "", ANSWER_MAX);
    Map<String, String> found = new HashMap<>();
    if (answer.exitCode() == NOTHING_FOUND) {
      return found;
    }
    if (answer.exitCode() != 0) {
      throw Unreadable.said("blkid", answer);
    }
    for (String line : answer.output().split("\n")) {
      int equals = line.indexOf('=');
      if (equals > 0) {
        String value =
            new String(
                line.substring(equals + 1).getBytes(StandardCharsets.ISO_8859_1),
                StandardCharsets.UTF_8);
        found.put(line.substring(0, equals), value.replaceAll("\\\\(.)", "$1"));
      }
    }
    return found;
  }

  private static List<Partition> partitions(Tools tools, long sizeBytes) throws IOException {
    Tools.Answer answer = tools.run(List.of("sfdisk", "--json", Tools.DISK), "", ANSWER_MAX);
    if (answer.exitCode() != 0) {
      throw Unreadable.said("sfdisk", answer);
    }
    JsonNode table;
    try {
      table = JSON.readTree(answer.output()).path("partitiontable");
    } catch (JsonProcessingException e) {
      throw Unreadable.garbled("sfdisk");
    }
    long sector = table.path("sectorsize").asLong(512);
    List<Partition> partitions = new ArrayList<>();
    long began = System.nanoTime();
    for (JsonNode row : table.path("partitions")) {
      if (CONTAINERS.contains(row.path("type").asText())) {
        continue;
      }
      if (partitions.size() == PARTITIONS_MAX) {
        throw Unreadable.tooLarge("the number of partitions", PARTITIONS_MAX);
      }
      if (System.nanoTime() - began > LIMIT.toNanos()) {
        throw Unreadable.tooLarge(
            "the time it takes to look at all partitions, in seconds,", LIMIT.toSeconds());
      }
      Matcher number = NUMBER.matcher(row.path("node").asText());
      long offset = row.path("start").asLong() * sector;
      long length = Math.min(row.path("size").asLong() * sector, sizeBytes - offset);
      if (!number.matches() || offset < 0 || length <= 0) {
        continue; // it lies past the disk's end
      }
      List<String> where = List.of("-O", Long.toString(offset), "-S", Long.toString(length));
      partitions.add(
          partition(Integer.parseInt(number.group(1)), offset, length, probe(tools, where)));
    }
    return partitions;
  }
}
