package io.tidemark.rollback;

import io.tidemark.localfile.LocalFiles;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Properties;
import java.util.UUID;

/**
 * What has to be known to go on with a rollback after the node has ended (B4): a file of its own.
 *
 * @param run names it to the tap
 * @param at the target's seq
 * @param safety the seq that undoes it
 */
record RollbackRecord(
    VolumeName volume, VolumeId incarnation, long run, long at, long safety, boolean force) {
  static final String SUFFIX = ".rollback";

  /** Blocks. */
  void write(Path directory) throws IOException {
    Properties values = new Properties();
    values.setProperty("volume", volume.value());
    values.setProperty("incarnation", incarnation.value().toString());
    values.setProperty("run", Long.toString(run));
    values.setProperty("at", Long.toString(at));
    values.setProperty("safety", Long.toString(safety));
    values.setProperty("force", Boolean.toString(force));
    StringWriter text = new StringWriter();
    values.store(text, null);
    Path part = directory.resolve(volume.value() + ".part");
    try (FileChannel channel =
        FileChannel.open(
            part,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      LocalFiles.writeFully(channel, StandardCharsets.UTF_8.encode(text.toString()), 0);
      channel.force(true);
    }
    Files.move(part, file(directory), StandardCopyOption.ATOMIC_MOVE);
    LocalFiles.syncDirectory(directory);
  }

  Path file(Path directory) {
    return directory.resolve(volume.value() + SUFFIX);
  }

  /** Refuses with {@code CORRUPT} what is none. */
  static RollbackRecord read(Path file) throws IOException {
    Properties values = new Properties();
    try {
      values.load(new StringReader(Files.readString(file)));
      return new RollbackRecord(
          new VolumeName(values.getProperty("volume", "")),
          new VolumeId(UUID.fromString(values.getProperty("incarnation", ""))),
          Long.parseLong(values.getProperty("run")),
          Long.parseLong(values.getProperty("at")),
          Long.parseLong(values.getProperty("safety")),
          Boolean.parseBoolean(values.getProperty("force")));
    } catch (IllegalArgumentException | Refusal e) {
      throw new Refusal(ErrorCode.CORRUPT, "'" + file + "' is no record of a rollback", e);
    }
  }
}
