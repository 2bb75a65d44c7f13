package io.tidemark.node;

import io.tidemark.config.NodeSettings;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicReference;
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
        "  tidemark up --site munich --join 127.0.0.1:25520     a second site beside the first",
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

    @Option(
        names = "--site",
        paramLabel = "NAME",
        description = {
          "the site's name; for its own data directory (default tidemark-data-NAME), with ports"
              + " that are free, both kept for later starts"
        })
    private String site;

    @Option(
        names = "--join",
        paramLabel = "HOST:PORT",
        description = {
          "another site, by what one of its nodes prints as artery: the two become one cluster, each"
              + " with its own data; remembered for later starts"
        })
    private List<String> join = List.of();

    @Override
    public Integer call() throws Exception {
      Optional<Path> given = Optional.ofNullable(config);
      Optional<Path> directory = Optional.ofNullable(data);
      if (given.isEmpty() && directory.isEmpty() && site != null) {
        directory = Optional.of(Path.of("tidemark-data-" + Refusal.printable(site)));
      }
      if (site != null || !join.isEmpty()) {
        OwnSettings.settle(
            settings(given, directory),
            Optional.ofNullable(site),
            join.stream().map(NodeCommand::hostPort).toList());
      }
      return serve(given, directory);
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

  /** People copy the whole address that a node prints. */
  private static String hostPort(String address) {
    return address.replaceFirst("^akka://tidemark@", "");
  }

  /** A directory's own settings are below the user's, and say what holds where they do not. */
  private static NodeSettings settings(Optional<Path> config, Optional<Path> data) {
    Map<String, Object> overrides = new HashMap<>();
    data.ifPresent(path -> overrides.put("tidemark.data", path.toString()));
    List<Path> files = new ArrayList<>(config.stream().toList());
    NodeSettings settings = NodeSettings.load(files, overrides);
    Optional<Path> own = OwnSettings.of(settings.data());
    if (own.isEmpty()) {
      return settings;
    }
    files.add(own.get());
    overrides.put("tidemark.data", settings.data().toString());
    return NodeSettings.load(files, overrides);
  }

  private static int serve(Optional<Path> config, Optional<Path> data) throws Exception {
    NodeSettings settings = settings(config, data);
    Files.createDirectories(settings.data().resolve("log"));
    // Logback reads both when the first logger is made, which is below.
    System.setProperty("tidemark.log", settings.data().resolve("log").toString());
    System.setProperty("logback.configurationFile", "logback-node.xml");
    System.out.println("tidemark: starting; data and logs are in " + settings.data());
    return serve(settings, System.out);
  }

  private static int serve(NodeSettings settings, PrintStream out) throws Exception {
    AtomicReference<NodeProcess> running = new AtomicReference<>(NodeProcess.start(settings));
    Thread stop = new Thread(() -> stop(running.get(), out), "stop");
    Runtime.getRuntime().addShutdownHook(stop);
    while (true) {
      NodeProcess node = running.get();
      tellReady(node, out);
      NodeProcess.End end = node.ended().toCompletableFuture().join();
      if (!end.again()) {
        System.err.println("tidemark: the node cannot go on: " + end.reason().getMessage());
        return end.reason().code().exitCode();
      }
      out.println("tidemark: starting again: " + end.reason().getMessage());
      out.flush();
      node.close();
      running.set(NodeProcess.start(settings));
    }
  }

  private static void tellReady(NodeProcess node, PrintStream out) {
    out.println("tidemark: ready");
    node.addresses().forEach((purpose, address) -> out.printf("  %-11s %s%n", purpose, address));
    out.flush();
  }

  private static void stop(NodeProcess node, PrintStream out) {
    out.println("tidemark: stopping");
    node.close();
    out.println("tidemark: stopped");
    out.flush();
  }
}
