package io.tidemark.bench;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code tidemark bench files}: runs {@code node/bench/files.py}. */
@Command(
    name = "files",
    mixinStandardHelpOptions = true,
    description = {
      "Browsing a directory of 10 000 entries and fetching files of recovery points, over HTTP,"
          + " for each kind of file system. Runs node/bench/files.py, which needs Python 3, nbdcopy,"
          + " the tools of files.md and those that make the file systems; options after -- are the"
          + " script's."
    },
    footer = {
      "",
      "Examples:",
      "  tidemark bench files",
      "  tidemark bench files -- --only ext4,xfs --reps 3",
    })
final class FilesCommand implements Callable<Integer> {
  @Parameters(arity = "0..*", paramLabel = "OPTION", description = "options of the script")
  private List<String> options = List.of();

  @Override
  public Integer call() throws IOException, InterruptedException {
    return NbdCommand.runScript("files.py", options);
  }
}
