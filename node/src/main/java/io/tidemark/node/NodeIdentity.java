package io.tidemark.node;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.UUID;

/** The name under which a node's own things are kept in the journal, as lasting as its data. */
final class NodeIdentity {
  private static final String FILE = "node-id";
  private static final int BYTES_MAX = 100;

  private NodeIdentity() {}

  /**
   * Reads the name from the data directory, or makes one there at the first start.
   *
   * @throws Refusal {@code FAILED} when the directory cannot be written or the file is damaged
   */
  static String of(Path data) {
    Path file = data.resolve(FILE);
    try {
      if (!Files.exists(file)) {
        Path draft = data.resolve(FILE + ".new");
        Files.writeString(draft, "node-" + UUID.randomUUID() + "\n");
        Files.move(draft, file, StandardCopyOption.ATOMIC_MOVE);
      }
      if (Files.size(file) <= BYTES_MAX) {
        String name = Files.readString(file).strip();
        if (name.matches("node-[0-9a-f-]{36}")) {
          return name;
        }
      }
      throw new Refusal(
          ErrorCode.FAILED,
          file
              + " is damaged: it must hold the node's name, 'node-' and a UUID, as at the first"
              + " start");
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.FAILED, "the data directory " + data + " cannot be used: " + e.getMessage(), e);
    }
  }
}
