package io.tidemark.system;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * An NBD export as a mounted file system: nbdfuse, a loop device, mount; undone in reverse order.
 */
final class MountedExport implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofSeconds(20);
  private final Path disk;
  private final Path mountPoint;
  private final Process fuse;
  private String loop = "";
  private boolean mounted;

  /** Attaches the export to a loop device without mounting it. */
  MountedExport(Path directory, String name, String uri) throws Exception {
    disk = Files.createFile(directory.resolve(name + ".disk"));
    mountPoint = Files.createDirectory(directory.resolve(name));
    List<String> command = new ArrayList<>(List.of("nbdfuse", "-C", "4", disk.toString()));
    command.add(uri);
    fuse =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve(name + ".fuse.log").toFile())
            .start();
    Await.until("nbdfuse serves " + uri, LIMIT, () -> Files.size(disk) > 0);
    loop = Shell.read("losetup", "-f", "--show", "--direct-io=on", disk.toString());
  }

  String device() {
    return loop;
  }

  Path mountPoint() {
    return mountPoint;
  }

  void mount() throws Exception {
    Shell.run("mount", "-o", "discard", loop, mountPoint.toString()).orFail();
    mounted = true;
  }

  void unmount() throws Exception {
    Shell.run("umount", mountPoint.toString()).orFail();
    mounted = false;
  }

  @Override
  public void close() throws IOException {
    try {
      if (mounted) {
        Shell.run("umount", mountPoint.toString()).orFail();
      }
      if (!loop.isEmpty()) {
        Shell.run("losetup", "-d", loop).orFail();
      }
      Shell.run("fusermount3", "-u", disk.toString()).orFail();
      if (!fuse.waitFor(20, TimeUnit.SECONDS)) {
        fuse.destroyForcibly();
        throw new IOException("nbdfuse did not end");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while unmounting", e);
    }
  }
}
