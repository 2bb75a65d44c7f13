package io.tidemark.demo;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tidemark demo}. */
@Command(
    name = "tidemark demo",
    mixinStandardHelpOptions = true,
    description = {
      "The whole story on this machine, in about a minute: a site starts, a volume with a real file"
          + " system and database is protected, somebody makes a mistake, processes are killed, and"
          + " the moment before the mistake comes back - each claim is checked. Needs e2fsprogs;"
          + " uses free ports and a temporary directory, and leaves nothing behind."
    },
    footer = {"", "Example:", "  tidemark demo && echo all claims held"})
public final class DemoCommand implements Callable<Integer> {
  @Option(
      names = "--seed",
      paramLabel = "N",
      description =
          "chooses the shop's orders and the writes that are looked at; default: the time")
  private Long seed;

  private DemoCommand() {}

  /** Runs the demonstration; returns the exit code (E1). */
  public static int run(String[] args) {
    CommandLine command = new CommandLine(new DemoCommand());
    command.setExecutionExceptionHandler(
        (failure, line, parsed) -> {
          if (failure instanceof Refusal refusal) {
            System.out.println();
            System.out.println("FAILED: " + refusal.getMessage());
            return refusal.code().exitCode();
          }
          System.out.println("FAILED: " + failure);
          failure.printStackTrace(System.out);
          return ErrorCode.FAILED.exitCode();
        });
    return command.execute(args);
  }

  @Override
  public Integer call() throws Exception {
    System.setProperty("logback.configurationFile", "logback-demo.xml");
    try (Stage stage = Stage.open()) {
      new Story(stage, seed == null ? System.nanoTime() : seed).tell();
    }
    System.out.println();
    System.out.println("All claims held. Nothing was left behind.");
    return 0;
  }
}
