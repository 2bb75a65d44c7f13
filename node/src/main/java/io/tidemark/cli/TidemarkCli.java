package io.tidemark.cli;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code tidemark}: every command that asks a running node. */
@Command(
    name = "tidemark",
    mixinStandardHelpOptions = true,
    versionProvider = TidemarkCli.Version.class,
    synopsisSubcommandLabel = "COMMAND",
    description = {
      "Continuous data protection for block volumes: every write is a recovery point.",
      "",
      "@|bold Processes|@ (each has its own --help)",
      "  up        Run a one-node site with its own Cassandra, in the foreground",
      "  node      Run a node of a site, from a configuration file",
      "  tap       Serve volumes over NBD and capture every write",
      "  demo      The whole story on this machine, proving each claim",
      "  certs     Make a certificate authority and certificates for nodes and taps",
      "  bench     Measure this build on this machine",
      "  test      Install what the tests need where that is allowed, then run them all",
      "",
    },
    commandListHeading = "%n@|bold Asking a running node|@%n",
    footerHeading = "%n@|bold A first session|@%n",
    footer = {
      "  tidemark up --data site &                          a site on this machine",
      "  tidemark volume create db --size 1GiB              a volume to protect",
      "  tidemark tap --volume db=db.img --listen unix:db.sock &",
      "                                                     serve it, capture every write",
      "  tidemark timeline db                               when it was written to",
      "  tidemark image open db --at time:2026-01-31T12:00:00Z",
      "                                                     that moment, as a disk",
      "",
      "Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 not found, 5 unreachable.",
    },
    subcommands = {
      VolumeCommands.class,
      RetentionCommands.class,
      TimelineCommand.class,
      GroupCommands.class,
      TagCommands.class,
      LinkCommands.class,
      ImageCommands.class,
      FileCommands.class,
      CompareCommand.class,
      BisectCommand.class,
      RollbackCommand.class,
      DrillCommands.class,
      JobCommands.class,
      VerifyCommand.class,
      StatusCommand.class,
      SiteCommands.class,
      EventsCommand.class,
      CommandLine.HelpCommand.class,
    })
final class TidemarkCli implements Runnable {
  @Spec private CommandSpec spec;

  /** The commands, with exit codes and error messages as they are for people. */
  static CommandLine commandLine() {
    CommandLine commands = new CommandLine(new TidemarkCli());
    commands.setExecutionExceptionHandler(
        (failure, command, parsed) -> report(command.getErr(), failure));
    commands.setParameterExceptionHandler((wrong, args) -> usage(wrong));
    commands.setUsageHelpAutoWidth(false);
    commands.setUsageHelpWidth(100);
    return commands;
  }

  private static int usage(ParameterException wrong) {
    CommandLine command = wrong.getCommandLine();
    PrintWriter err = command.getErr();
    err.println("tidemark: " + wrong.getMessage());
    CommandLine.UnmatchedArgumentException.printSuggestions(wrong, err);
    err.println(
        "See '" + command.getCommandSpec().qualifiedName(" ") + " --help' for how to use it.");
    err.flush();
    return ErrorCode.INVALID.exitCode();
  }

  private static int report(PrintWriter err, Exception failure) {
    if (failure instanceof Refusal refusal) {
      err.println("tidemark: " + refusal.getMessage() + " (" + refusal.code() + ")");
      err.flush();
      return refusal.code().exitCode();
    }
    err.println("tidemark: unexpected failure: " + failure);
    failure.printStackTrace(err);
    err.flush();
    return ErrorCode.FAILED.exitCode();
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "say what to do: name a command");
  }

  /** The version that the build put into the jar. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = TidemarkCli.class.getPackage().getImplementationVersion();
      return new String[] {"tidemark " + (version == null ? "(not packaged)" : version)};
    }
  }
}
