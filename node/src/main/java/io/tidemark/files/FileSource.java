package io.tidemark.files;

import io.tidemark.position.At;
import io.tidemark.position.VolumeName;

/** Whose files are asked for. */
public sealed interface FileSource {
  /** A volume at a recovery point. */
  record Point(VolumeName volume, At at) implements FileSource {}

  /** An open image, with what its clients wrote. */
  record Image(String name) implements FileSource {}
}
