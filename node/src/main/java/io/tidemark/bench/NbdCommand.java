package io.tidemark.bench;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code tidemark bench nbd}: runs {@code node/bench/nbd.py}. */
@Command(
    name = "nbd",
    mixinStandardHelpOptions = true,
    description = {
      "fio against the tap without capture, the tap with capture, nbdkit and qemu-nbd in turn."
          + " Runs node/bench/nbd.py, which needs Python 3, fio with its nbd engine, nbdkit and"
          + " qemu-utils; options after -- are the script's."
    },
    footer = {
      "",
      "Examples:",
      "  tidemark bench nbd",
      "  tidemark bench nbd -- --servers tap-off,tap-on --reps 3 --only randwrite-4k-qd32",
      "  tidemark bench nbd -- --help",
    })
final class NbdCommand implements Callable<Integer> {
  private static final String LAUNCHER = "tidemark.launcher";

  @Parameters(arity = "0..*", paramLabel = "OPTION", description = "options of the script")
  private List<String> options = List.of();

  @Override
  public Integer call() throws IOException, InterruptedException {
    return runScript("nbd.py", options);
  }

  /** Runs a script of {@code node/bench}; gives its exit code. */
  static int runScript(String name, List<String> options) throws IOException, InterruptedException {
    String launcher = System.getProperty(LAUNCHER);
    String place = "node/bench/" + name;
    Path script = launcher == null ? Path.of(place) : Path.of(launcher).resolveSibling(place);
    if (!Files.isReadable(script)) {
      throw new Refusal(ErrorCode.NOT_FOUND, script + " is not there: run this from a source tree");
    }
    List<String> command = new ArrayList<>(List.of("python3", script.toString()));
    command.addAll(options);
    return new ProcessBuilder(command).inheritIO().start().waitFor();
  }
}
