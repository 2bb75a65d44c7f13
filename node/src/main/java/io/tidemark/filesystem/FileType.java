package io.tidemark.filesystem;

import java.util.Locale;

/** What a name stands for. */
public enum FileType {
  FILE,
  DIRECTORY,
  SYMLINK,
  FIFO,
  SOCKET,
  CHARACTER_DEVICE,
  BLOCK_DEVICE,
  OTHER;

  private static final int FORMAT_MASK = 0170000;

  /** Of the mode that Unix file systems store. */
  static FileType ofMode(int mode) {
    return switch (mode & FORMAT_MASK) {
      case 0100000 -> FILE;
      case 0040000 -> DIRECTORY;
      case 0120000 -> SYMLINK;
      case 0010000 -> FIFO;
      case 0140000 -> SOCKET;
      case 0020000 -> CHARACTER_DEVICE;
      case 0060000 -> BLOCK_DEVICE;
      default -> OTHER;
    };
  }

  /** Such as {@code characterDevice}. */
  public String word() {
    return switch (this) {
      case CHARACTER_DEVICE -> "characterDevice";
      case BLOCK_DEVICE -> "blockDevice";
      default -> name().toLowerCase(Locale.ROOT);
    };
  }
}
