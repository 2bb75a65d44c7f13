package io.tidemark.drillrun;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** An image as a file, by nbdfuse, until it is closed. Blocks. */
final class FuseDisk implements AutoCloseable {
  private static final long POLL_MILLIS = 20;
  private static final long END_SECONDS_MAX = 20;
  private static final Logger LOG = LoggerFactory.getLogger(FuseDisk.class);

  private final Path file;
  private final Process process;

  private FuseDisk(Path file, Process process) {
    this.file = file;
    this.process = process;
  }

  static FuseDisk of(Check.Disk disk)
      throws CheckError, IOException, InterruptedException, TimeoutException {
    String nbdfuse = Tool.find("nbdfuse", "libnbd-bin");
    Tool.find("fusermount3", "fuse3");
    Path file = Files.createFile(disk.scratch().resolve("disk"));
    Path log = disk.scratch().resolve("nbdfuse.log");
    Process process =
        new ProcessBuilder(List.of(nbdfuse, "-C", "4", file.toString(), disk.uri()))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    FuseDisk made = new FuseDisk(file, process);
    CountDownLatch never = new CountDownLatch(1);
    while (Files.size(file) == 0) {
      if (!process.isAlive() || System.nanoTime() > disk.deadlineNanos()) {
        made.close();
        throw new CheckError("nbdfuse does not show the image: " + Files.readString(log).strip());
      }
      never.await(POLL_MILLIS, TimeUnit.MILLISECONDS);
    }
    return made;
  }

  Path file() {
    return file;
  }

  @Override
  public void close() throws IOException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(END_SECONDS_MAX);
    try {
      Tool.run(
          List.of(Tool.find("fusermount3", "fuse3"), "-u", file.toString()), Map.of(), deadline);
      process.waitFor(END_SECONDS_MAX, TimeUnit.SECONDS);
    } catch (CheckError | TimeoutException e) {
      LOG.warn("{} is not unmounted", file, e);
    } catch (InterruptedException e) {
      LOG.warn("not waited until {} is unmounted", file);
      Thread.currentThread().interrupt();
    } finally {
      Tool.end(process);
    }
  }
}
