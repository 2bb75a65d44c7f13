package io.tidemark.hook;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;

/** A process that quiesces all applications of a file, says so, and goes on until it is killed. */
final class HolderMain {
  private HolderMain() {}

  public static void main(String[] args) throws Exception {
    ApplicationsFile file = ApplicationsFile.load(Path.of(args[0]));
    Applications applications = new Applications(file, Set.of());
    Duration limit = Duration.ofMinutes(1);
    for (HookResult result :
        applications.quiesce(1, List.of(), limit, limit).toCompletableFuture().get()) {
      System.out.println(result.outcome());
    }
    new CountDownLatch(1).await();
  }

  /** Starts it in a JVM of its own. */
  static Process start(Path log, Path file) throws Exception {
    return Host.start(
        log,
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-Xmx64m",
        "-cp",
        System.getProperty("java.class.path"),
        HolderMain.class.getName(),
        file.toString());
  }
}
