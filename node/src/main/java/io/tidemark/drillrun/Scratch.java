package io.tidemark.drillrun;

import io.tidemark.localfile.LocalFiles;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The directories in which checks work: in the machine's directory for temporary files, since other
 * users than the node's have to get at them, with the node's name in theirs. Blocks.
 */
final class Scratch {
  private static final long UNDO_SECONDS_MAX = 20;
  private static final Path MOUNTS = Path.of("/proc/self/mounts");
  private static final Logger LOG = LoggerFactory.getLogger(Scratch.class);

  private final Path parent = Path.of(System.getProperty("java.io.tmpdir"));
  private final String prefix;

  Scratch(String node) {
    this.prefix = "tidemark-drill-" + node + "-";
  }

  /** An empty directory that others may pass through. */
  Path create() throws IOException {
    Path made = Files.createTempDirectory(parent, prefix);
    Files.setPosixFilePermissions(made, PosixFilePermissions.fromString("rwx--x--x"));
    return made;
  }

  /** Removes what a killed node has left: processes, mounts, devices, files (N2). */
  void removeLeftovers() throws IOException, InterruptedException {
    try (DirectoryStream<Path> found = Files.newDirectoryStream(parent, prefix + "*")) {
      for (Path left : found) {
        LOG.warn("removes {}, left by a drill that the end of the node cut short", left);
        remove(left);
      }
    }
  }

  /** Removes one directory and whatever still uses it. */
  void remove(Path directory) throws IOException, InterruptedException {
    if (!mountsBelow(directory).isEmpty()) {
      kill(directory, false);
      for (Path mounted : mountsBelow(directory)) {
        if (Files.isDirectory(mounted)) {
          run("umount", mounted.toString());
        }
      }
      Path disk = directory.resolve("disk");
      for (String line : run("losetup", "-n", "-O", "NAME", "-j", disk.toString()).split("\n")) {
        if (line.startsWith("/dev/loop")) {
          run("losetup", "-d", line.strip());
        }
      }
      run("fusermount3", "-u", disk.toString());
      kill(directory, true);
    }
    LocalFiles.deleteTree(directory);
  }

  /** Innermost first. */
  private static List<Path> mountsBelow(Path directory) throws IOException {
    List<Path> below = new ArrayList<>();
    if (Files.isReadable(MOUNTS)) {
      for (String line : Files.readAllLines(MOUNTS)) {
        String[] fields = line.split(" ");
        if (fields.length > 1 && fields[1].startsWith(directory + "/")) {
          below.add(Path.of(fields[1]));
        }
      }
    }
    Collections.reverse(below);
    return below;
  }

  private static void kill(Path directory, boolean fuse) {
    ProcessHandle.allProcesses()
        .filter(process -> process.info().commandLine().orElse("").contains(directory + "/"))
        .filter(process -> fuse || !process.info().command().orElse("").endsWith("nbdfuse"))
        .forEach(ProcessHandle::destroyForcibly);
  }

  private static String run(String program, String... arguments)
      throws IOException, InterruptedException {
    try {
      List<String> command = new ArrayList<>(List.of(Tool.find(program, program)));
      command.addAll(List.of(arguments));
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(UNDO_SECONDS_MAX);
      return Tool.run(command, Map.of(), deadline).output();
    } catch (CheckError | TimeoutException e) {
      LOG.warn("what a drill has left cannot be removed", e);
      return "";
    }
  }
}
