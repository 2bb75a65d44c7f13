package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.net.URI;
import java.util.function.Consumer;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options of every command that asks a node, and how it shows the answer. */
final class Asking {
  private static final ObjectMapper PRETTY =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  @Option(
      names = "--node",
      paramLabel = "URL",
      defaultValue = "${env:TIDEMARK_NODE:-http://127.0.0.1:8470}",
      description = "the node to ask; default $TIDEMARK_NODE, else http://127.0.0.1:8470")
  private String node;

  @Option(names = "--json", description = "print the node's answer as JSON, for programs")
  private boolean json;

  NodeClient client() {
    try {
      URI uri = URI.create(node.contains("://") ? node : "http://" + node);
      if (uri.getHost() != null
          && ("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))) {
        return new NodeClient(uri);
      }
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), wrongNode(), e);
    }
    throw new ParameterException(spec.commandLine(), wrongNode());
  }

  private String wrongNode() {
    return "'" + node + "' is no address of a node: use one such as http://127.0.0.1:8470";
  }

  boolean json() {
    return json;
  }

  PrintWriter out() {
    return spec.commandLine().getOut();
  }

  PrintWriter err() {
    return spec.commandLine().getErr();
  }

  /** Prints the answer as JSON when asked to, in words otherwise. */
  void show(JsonNode answer, Consumer<PrintWriter> words) {
    if (json) {
      try {
        out().println(PRETTY.writeValueAsString(answer));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    } else {
      words.accept(out());
    }
    out().flush();
  }
}
