package io.tidemark.node;

import io.tidemark.config.NodeSettings;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * {@code tidemark up} and {@code tidemark node}: runs a node in the foreground until it is told to
 * stop.
 */
public final class NodeCommand {
  private NodeCommand() {}

  /**
   * Runs until SIGTERM or Ctrl-C, or until the node cannot go on.
   *
   * @param name {@code up} or {@code node}
   * @return the exit code
   */
  public static int run(String name, String[] args) {
    CommandLine commands = new CommandLine(name.equals("up") ? new Up() : new Node());
    commands.setExecutionExceptionHandler(
        (failure, command, parsed) -> {
          if (failure instanceof Refusal refusal) {
            System.err.println("tidemark: " + refusal.getMessage() + " (" + refusal.code() + ")");
            return refusal.code().exitCode();
          }
          System.err.println("tidemark: the node failed: " + failure);
          failure.printStackTrace(System.err);
          return ErrorCode.FAILED.exitCode();
        });
    return commands.execute(args);
  }

  @Command(
      name = "tidemark up",
      mixinStandardHelpOptions = true,
      description = {
        "Run a one-node site in the foreground: a node and, unless the settings name another, a"
            + " Cassandra of its own. Everything it keeps is below the data directory. Stop it with"
            + " Ctrl-C."
      },
      footer = {
        "",
        "Examples:",
        "  tidemark up",
        "  tidemark up --data /var/lib/tidemark",
        "  tidemark up --config site.conf",
      })
  private static final class Up implements Callable<Integer> {
    @Option(
        names = "--config",
        paramLabel = "FILE",
        description = "settings over the defaults; docs/operations.md lists them")
    private Path config;

    @Option(
        names = "--data",
        paramLabel = "DIR",
        description = "where everything is kept; default tidemark-data")
    private Path data;

    @Override
    public Integer call() throws Exception {
      return serve(Optional.ofNullable(config), Optional.ofNullable(data));
    }
  }

  @Command(
      name = "tidemark node",
      mixinStandardHelpOptions = true,
      description = {
        "Run a node of a site in the foreground, from a settings file that names the site, the"
            + " other nodes and the Cassandra cluster."
      },
      footer = {"", "Example:", "  tidemark node --config /etc/tidemark/node.conf"})
  private static final class Node implements Callable<Integer> {
    @Option(
        names = "--config",
        required = true,
        paramLabel = "FILE",
        description = "settings over the defaults; docs/operations.md lists them")
    private Path config;

    @Option(names = "--data", paramLabel = "DIR", description = "over the settings' data directory")
    private Path data;

    @Override
    public Integer call() throws Exception {
      return serve(Optional.of(config), Optional.ofNullable(data));
    }
  }

  private static int serve(Optional<Path> config, Optional<Path> data) throws Exception {
    Map<String, Object> overrides = new HashMap<>();
    data.ifPresent(path -> overrides.put("tidemark.data", path.toString()));
    NodeSettings settings = NodeSettings.load(config, overrides);
    Files.createDirectories(settings.data().resolve("log"));
    // Logback reads both when the first logger is made, which is below.
    System.setProperty("tidemark.log", settings.data().resolve("log").toString());
    System.setProperty("logback.configurationFile", "logback-node.xml");
    System.out.println("tidemark: starting; data and logs are in " + settings.data());
    return serve(settings, System.out);
  }

  private static int serve(NodeSettings settings, PrintStream out) throws Exception {
    NodeProcess node = NodeProcess.start(settings);
    Thread stop = new Thread(() -> stop(node, out), "stop");
    Runtime.getRuntime().addShutdownHook(stop);
    out.println("tidemark: ready");
    node.addresses().forEach((purpose, address) -> out.printf("  %-11s %s%n", purpose, address));
    out.flush();
    Refusal reason = node.ended().toCompletableFuture().join();
    System.err.println("tidemark: the node cannot go on: " + reason.getMessage());
    return reason.code().exitCode();
  }

  private static void stop(NodeProcess node, PrintStream out) {
    out.println("tidemark: stopping");
    node.close();
    out.println("tidemark: stopped");
    out.flush();
  }
}
