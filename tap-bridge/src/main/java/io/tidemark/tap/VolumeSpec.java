package io.tidemark.tap;

import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.file.Path;

/**
 * A volume and what holds its bytes on this machine.
 *
 * @param backing a file or block device
 */
public record VolumeSpec(VolumeName name, Path backing) {
  /**
   * Reads {@code NAME=BACKING}.
   *
   * @throws Refusal INVALID for anything else
   */
  public static VolumeSpec parse(String text) {
    int equals = text.indexOf('=');
    if (equals < 1 || equals == text.length() - 1) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'" + Refusal.printable(text) + "' names no volume: give NAME=FILE or NAME=DEVICE");
    }
    return new VolumeSpec(
        new VolumeName(text.substring(0, equals)), Path.of(text.substring(equals + 1)));
  }
}
