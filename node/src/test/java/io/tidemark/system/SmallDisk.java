package io.tidemark.system;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A file system of its own, in a file, that can be filled up. Needs root. */
final class SmallDisk implements AutoCloseable {
  /** What is left when it is full. */
  private static final long LEFT_BYTES = 4L << 20;

  private final Path mount;
  private final Path ballast;

  /** A run that is ended by a signal leaves no mount either. */
  private final Thread atExit = new Thread(this::unmount);

  SmallDisk(Path image, Path mount, long bytes) throws IOException, InterruptedException {
    this.mount = Files.createDirectories(mount);
    this.ballast = mount.resolve("ballast");
    try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
      file.setLength(bytes);
    }
    Shell.run("mkfs.ext4", "-qF", image.toString()).orFail();
    Shell.run("mount", "-o", "loop", image.toString(), mount.toString()).orFail();
    Runtime.getRuntime().addShutdownHook(atExit);
  }

  void fillUp() throws IOException, InterruptedException {
    long bytes = Files.getFileStore(mount).getUsableSpace() - LEFT_BYTES;
    Shell.run("fallocate", "-l", Long.toString(bytes), ballast.toString()).orFail();
  }

  void makeRoom() throws IOException {
    Files.delete(ballast);
  }

  /** Whoever uses it has ended. */
  @Override
  public void close() {
    Runtime.getRuntime().removeShutdownHook(atExit);
    unmount();
  }

  private void unmount() {
    try {
      Shell.run("umount", "--lazy", mount.toString()).orFail();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while " + mount + " was unmounted", e);
    }
  }
}
