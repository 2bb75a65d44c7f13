package io.tidemark.certs;

import io.tidemark.refusal.Refusal;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tidemark certs}: works on files alone and asks no node. */
@Command(
    name = "tidemark certs",
    mixinStandardHelpOptions = true,
    description = {
      "Make a private certificate authority and certificates for nodes and taps. Keep the"
          + " authority's directory off the machines that it issues for: whoever has its key can be"
          + " any node."
    },
    footer = {
      "",
      "Examples:",
      "  tidemark certs init /root/tidemark-ca",
      "  tidemark certs issue /root/tidemark-ca node1 --host node1.example.org --host 10.0.0.1"
          + " --to node1",
      "",
      "Then copy the directory node1 to that machine, and name its files in its settings:",
      "  tidemark.tls { authority = /etc/tidemark/ca.pem, certificate = /etc/tidemark/cert.pem,",
      "                 key = /etc/tidemark/key.pem }",
      "A tap takes the directory: tidemark tap --tls DIR ..."
    },
    subcommands = {CertsCommand.Init.class, CertsCommand.Issue.class})
public final class CertsCommand implements Runnable {
  private static final int DAYS = 825;

  @Spec private CommandSpec spec;

  private final Clock clock;

  CertsCommand(Clock clock) {
    this.clock = clock;
  }

  /** Carries the command line out; gives the exit code. */
  public static int run(String[] args) {
    return commandLine(Clock.systemUTC()).execute(args);
  }

  static CommandLine commandLine(Clock clock) {
    CommandLine line = new CommandLine(new CertsCommand(clock));
    line.setExecutionExceptionHandler(
        (failure, command, parsed) -> {
          if (failure instanceof Refusal refusal) {
            command
                .getErr()
                .println("tidemark: " + refusal.getMessage() + " (" + refusal.code() + ")");
            return refusal.code().exitCode();
          }
          throw failure;
        });
    return line;
  }

  @Override
  public void run() {
    throw new CommandLine.ParameterException(spec.commandLine(), "use init or issue");
  }

  /** {@code tidemark certs init}. */
  @Command(
      name = "init",
      mixinStandardHelpOptions = true,
      description = "Make an authority: ca.pem, which everybody gets, and ca-key.pem, a secret.")
  static final class Init implements Runnable {
    @CommandLine.ParentCommand private CertsCommand parent;
    @Spec private CommandSpec spec;

    @Parameters(paramLabel = "DIR", description = "where; made if it is missing")
    private Path directory;

    @Option(names = "--name", description = "of the authority; default ${DEFAULT-VALUE}")
    private String name = "tidemark-ca";

    @Override
    public void run() {
      Path made = new CertificateAuthority(directory, parent.clock.instant()).init(name);
      PrintWriter out = spec.commandLine().getOut();
      out.println("made " + made + " and " + directory.resolve(CertificateAuthority.KEY_FILE));
      out.flush();
    }
  }

  /** {@code tidemark certs issue}. */
  @Command(
      name = "issue",
      mixinStandardHelpOptions = true,
      description =
          "Issue a certificate: ca.pem, cert.pem and key.pem in a directory of their own.")
  static final class Issue implements Runnable {
    @CommandLine.ParentCommand private CertsCommand parent;
    @Spec private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "DIR", description = "of the authority")
    private Path directory;

    @Parameters(index = "1", paramLabel = "NAME", description = "of the node or tap")
    private String name;

    @Option(
        names = "--host",
        paramLabel = "HOST",
        required = true,
        description = "a name or address it is reached at; may be repeated")
    private List<String> hosts;

    @Option(names = "--days", description = "how long it lasts; default ${DEFAULT-VALUE}")
    private int days = DAYS;

    @Option(
        names = "--to",
        paramLabel = "DIR",
        description = "where to put it; default: NAME below the authority's directory")
    private Path to;

    @Override
    public void run() {
      Path into = to == null ? directory.resolve(name) : to;
      new CertificateAuthority(directory, parent.clock.instant()).issue(name, hosts, days, into);
      PrintWriter out = spec.commandLine().getOut();
      out.println("issued " + into + " (ca.pem, cert.pem, key.pem)");
      out.flush();
    }
  }
}
