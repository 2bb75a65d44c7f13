package io.tidemark.cli;

import java.util.Arrays;

/**
 * {@code tidemark}: the one entry point. The first word says which process this becomes; the
 * classes of the others are never loaded, so that a question to a node starts at once.
 */
public final class Main {
  private Main() {}

  public static void main(String[] args) {
    String command = args.length == 0 ? "" : args[0];
    String[] rest = args.length == 0 ? args : Arrays.copyOfRange(args, 1, args.length);
    switch (command) {
      case "up", "node" -> System.exit(io.tidemark.node.NodeCommand.run(command, rest));
      case "tap" -> System.exit(TapCommand.run(rest));
      case "demo" -> System.exit(io.tidemark.demo.DemoCommand.run(rest));
      case "certs" -> System.exit(io.tidemark.certs.CertsCommand.run(rest));
      case "bench" -> System.exit(io.tidemark.bench.BenchCommand.run(rest));
      default -> System.exit(TidemarkCli.commandLine().execute(args));
    }
  }
}
