package io.tidemark.backing;

import com.sun.jna.LastErrorException;
import com.sun.jna.Native;
import io.tidemark.nbd.NbdError;
import java.io.Closeable;
import java.io.IOException;

/**
 * The system calls of Linux that Java has no words for, on a descriptor of their own: fallocate(2),
 * lseek(2) for data and holes, posix_fadvise(2).
 */
final class LinuxFile implements Closeable {
  static final int ENXIO = 6;
  static final int EINVAL = 22;
  static final int ENOSPC = 28;
  static final int EFBIG = 27;
  static final int ENOSYS = 38;
  static final int EOPNOTSUPP = 95;
  static final int EDQUOT = 122;

  static final int KEEP_SIZE = 1;
  static final int PUNCH_HOLE = 2;
  static final int ZERO_RANGE = 16;

  private static final int O_RDONLY = 0;
  private static final int O_RDWR = 2;
  private static final int O_CLOEXEC = 0x80000;
  private static final int SEEK_END = 2;
  private static final int SEEK_DATA = 3;
  private static final int SEEK_HOLE = 4;
  private static final int WILLNEED = 3;

  /** libc, bound once. */
  private static final class Libc {
    static {
      Native.register(Libc.class, "c");
    }

    private Libc() {}

    static native int open(String path, int flags, int mode) throws LastErrorException;

    static native int close(int fd) throws LastErrorException;

    static native int fallocate(int fd, int mode, long offset, long length)
        throws LastErrorException;

    static native long lseek(int fd, long offset, int whence) throws LastErrorException;

    static native int posix_fadvise(int fd, long offset, long length, int advice);
  }

  private final int fd;

  LinuxFile(String path, boolean readOnly) throws BackingException {
    try {
      fd = Libc.open(path, (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC, 0);
    } catch (LastErrorException e) {
      throw refused("open", e);
    }
  }

  /** Bytes to the end; of a block device too. */
  long size() throws BackingException {
    try {
      return Libc.lseek(fd, 0, SEEK_END);
    } catch (LastErrorException e) {
      throw refused("lseek", e);
    }
  }

  /**
   * fallocate(2).
   *
   * @return false when this file does not support the mode there
   */
  boolean allocate(int mode, long offset, long length) throws BackingException {
    try {
      Libc.fallocate(fd, mode, offset, length);
      return true;
    } catch (LastErrorException e) {
      int errno = e.getErrorCode();
      if (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS) {
        return false;
      }
      throw refused("fallocate", e);
    }
  }

  /** The first byte of data at or after the offset; {@code end} when there is none. */
  long data(long offset, long end) throws BackingException {
    return seek(offset, end, SEEK_DATA, end, offset);
  }

  /** The first byte of a hole at or after the offset; {@code end} when there is none. */
  long hole(long offset, long end) throws BackingException {
    return seek(offset, end, SEEK_HOLE, end, end);
  }

  private long seek(long offset, long end, int whence, long none, long unsupported)
      throws BackingException {
    try {
      return Math.min(Libc.lseek(fd, offset, whence), end);
    } catch (LastErrorException e) {
      if (e.getErrorCode() == ENXIO) {
        return none;
      }
      if (e.getErrorCode() == EINVAL || e.getErrorCode() == EOPNOTSUPP) {
        return unsupported; // a device or file system without holes: all of it is data
      }
      throw refused("lseek", e);
    }
  }

  void willNeed(long offset, long length) {
    Libc.posix_fadvise(fd, offset, length, WILLNEED); // a hint: what it returns changes nothing
  }

  @Override
  public void close() throws IOException {
    try {
      Libc.close(fd);
    } catch (LastErrorException e) {
      throw refused("close", e);
    }
  }

  private static BackingException refused(String call, LastErrorException e) {
    int errno = e.getErrorCode();
    NbdError error =
        switch (errno) {
          case ENOSPC, EDQUOT, EFBIG -> NbdError.ENOSPC;
          case 1, 13, 30 -> NbdError.EPERM; // EPERM, EACCES, EROFS
          case 12 -> NbdError.ENOMEM;
          default -> NbdError.EIO;
        };
    return new BackingException(error, call + ": " + e.getMessage(), e);
  }
}
