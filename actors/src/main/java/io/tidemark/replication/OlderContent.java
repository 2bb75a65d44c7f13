package io.tidemark.replication;

import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletionStage;

/** What a volume's journal held before: packed segments are unpacked with it. */
@FunctionalInterface
public interface OlderContent {
  /**
   * The bytes of {@code [offset, offset + length)} as of {@code seq}, which may lie in a dark
   * interval: it is compared with what the source's journal held at the same position.
   *
   * @param incarnation the one that the session appends to
   * @return exactly {@code length} bytes; fails with a refusal when the position is not journaled
   *     or no longer recoverable, or lies past the end
   */
  CompletionStage<ByteBuffer> read(
      VolumeName volume, VolumeId incarnation, long seq, long offset, int length);
}
