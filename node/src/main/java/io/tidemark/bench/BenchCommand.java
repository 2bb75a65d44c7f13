package io.tidemark.bench;

import io.tidemark.bench.wan.WanCommand;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** {@code tidemark bench}. */
@Command(
    name = "tidemark bench",
    mixinStandardHelpOptions = true,
    description = {
      "Measure this build on this machine. Each benchmark starts a site of its own in a temporary"
          + " directory, on free ports, and leaves nothing behind; what is compared runs"
          + " alternately, so that the ratios mean something even on a machine that does other"
          + " work. Results are Markdown tables on standard output: median (smallest-largest).",
      "docs/benchmarks.md has the figures of the released build."
    },
    footer = {
      "",
      "Examples:",
      "  tidemark bench ingest --mode batch:direct:128:32 --mode group:direct:128:32",
      "  tidemark bench open --large",
      "  tidemark bench COMMAND --help",
    },
    subcommands = {
      IngestCommand.class,
      OpenCommand.class,
      ImageCommand.class,
      VolumesCommand.class,
      TagsCommand.class,
      NbdCommand.class,
      FilesCommand.class,
      SizingCommand.class,
      RetentionCommand.class,
      WanCommand.class
    })
public final class BenchCommand implements Runnable {
  @CommandLine.Spec private CommandLine.Model.CommandSpec spec;

  private BenchCommand() {}

  /** Runs a benchmark; gives the exit code. */
  public static int run(String[] args) {
    System.setProperty("logback.configurationFile", "logback-bench.xml");
    CommandLine command = new CommandLine(new BenchCommand());
    command.setCaseInsensitiveEnumValuesAllowed(true);
    command.setExecutionExceptionHandler(
        (failure, line, parsed) -> {
          Throwable cause = failure;
          while ((cause instanceof CompletionException || cause instanceof ExecutionException)
              && cause.getCause() != null) {
            cause = cause.getCause();
          }
          if (cause instanceof Refusal refusal) {
            System.err.println("tidemark: " + refusal.getMessage() + " (" + refusal.code() + ")");
            return refusal.code().exitCode();
          }
          System.err.println("tidemark: the benchmark failed: " + cause);
          cause.printStackTrace(System.err);
          return ErrorCode.FAILED.exitCode();
        });
    return command.execute(args);
  }

  @Override
  public void run() {
    throw new CommandLine.ParameterException(
        spec.commandLine(),
        "name a benchmark: ingest, open, image, volumes, tags, nbd, files, sizing,"
            + " retention or wan");
  }
}
