package io.tidemark.drillrun;

import io.tidemark.image.ImageSummary;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeoutException;

/**
 * A program of the operator's (N3): 0 is good, 125 is no answer, all else is bad. It finds the
 * image in its environment.
 */
final class CommandCheck implements Check {
  private static final int EXIT_NO_ANSWER = 125;
  private final Path directory;
  private final List<String> arguments;

  /**
   * @param directory where the programs are
   * @param arguments the name of one, and what to give it
   */
  CommandCheck(Path directory, List<String> arguments) {
    this.directory = directory;
    this.arguments = arguments;
  }

  @Override
  public Finding run(Disk disk)
      throws CheckError, IOException, InterruptedException, TimeoutException {
    Path program = directory.resolve(arguments.get(0)).normalize();
    if (!directory.equals(program.getParent()) || !Files.isExecutable(program)) {
      throw new CheckError(
          "there is no program '%s' in %s on this node"
              .formatted(Refusal.printable(arguments.get(0)), directory));
    }
    List<String> command = new ArrayList<>(arguments);
    command.set(0, program.toString());
    Tool.Ended ended = Tool.run(command, environment(disk), disk.deadlineNanos());
    if (ended.exitCode() == EXIT_NO_ANSWER) {
      throw new CheckError("the program gave no answer: " + ended.output());
    }
    return new Finding(
        ended.exitCode() == 0, "exit code " + ended.exitCode() + ": " + ended.output());
  }

  private static Map<String, String> environment(Disk disk) {
    ImageSummary image = disk.image();
    return Map.of(
        "TIDEMARK_IMAGE_URI", disk.uri(),
        "TIDEMARK_IMAGE", image.name(),
        "TIDEMARK_VOLUME", image.volume().value(),
        "TIDEMARK_SEQ", image.at().seq().toString(),
        "TIDEMARK_TIME", image.at().time().toString(),
        "TIDEMARK_SCRATCH", disk.scratch().toString());
  }
}
