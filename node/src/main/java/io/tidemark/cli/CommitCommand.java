package io.tidemark.cli;

import picocli.CommandLine.Command;

/** {@code tidemark commit}: a failover stays. */
@Command(
    name = "commit",
    mixinStandardHelpOptions = true,
    description = {
      "Commit a failover: the old site follows from now on.",
      "What it had beyond the promoted point is kept there as a branch.",
    })
final class CommitCommand extends PlanOrderCommand {
  CommitCommand() {
    super("commit");
  }
}
