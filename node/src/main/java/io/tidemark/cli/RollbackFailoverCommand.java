package io.tidemark.cli;

import picocli.CommandLine.Command;

/** {@code tidemark rollback-failover}: a failover or a test is undone. */
@Command(
    name = "rollback-failover",
    mixinStandardHelpOptions = true,
    description = {
      "Undo a failover that is not committed, or clean up after a test.",
      "Volumes go on where they were; what was written meanwhile is kept as a branch.",
    })
final class RollbackFailoverCommand extends PlanOrderCommand {
  RollbackFailoverCommand() {
    super("rollback");
  }
}
