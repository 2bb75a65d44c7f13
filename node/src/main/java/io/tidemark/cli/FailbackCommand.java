package io.tidemark.cli;

import picocli.CommandLine.Command;

/** {@code tidemark failback}: volumes go home. */
@Command(
    name = "failback",
    mixinStandardHelpOptions = true,
    description = {
      "Take volumes back to the source of a committed plan, without loss.",
      "It is a planned failover the other way; then the source replicates to the target again.",
    })
final class FailbackCommand extends PlanOrderCommand {
  FailbackCommand() {
    super("failback");
  }
}
