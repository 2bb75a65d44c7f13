package io.tidemark.cli;

import io.tidemark.hook.ApplicationsFile;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.nbd.NbdTls;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.tap.TapProcess;
import io.tidemark.tap.TapSettings;
import io.tidemark.tap.VolumeSpec;
import io.tidemark.taplink.LinkSettings;
import io.tidemark.tls.TlsFiles;
import java.io.PrintWriter;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import javax.net.ssl.SSLContext;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tidemark tap}: a data tap in the foreground, until SIGTERM or Ctrl-C. */
@Command(
    name = "tidemark tap",
    mixinStandardHelpOptions = true,
    description = {
      "Serve volumes over NBD and capture every write. The export's name is the volume's; the"
          + " volume must have been created at a node. Beside each backing file the tap keeps a"
          + " directory FILE.tidemark with what it needs after a crash: keep the two together."
    },
    footer = {
      "",
      "Examples:",
      "  tidemark tap --volume db=/srv/db.img --listen unix:/run/db.sock",
      "  tidemark tap --volume db=/dev/vg/db --state /var/lib/tidemark --listen 127.0.0.1:10810",
    })
final class TapCommand implements Callable<Integer> {
  private static final String DEFAULT_NODE = "127.0.0.1:" + TapSettings.LINK_PORT;

  @Option(
      names = "--volume",
      required = true,
      paramLabel = "NAME=BACKING",
      description = "a volume and the file or block device that holds it; may be repeated")
  private List<String> volumes;

  @Option(
      names = "--listen",
      required = true,
      paramLabel = "ADDRESS",
      description = "unix:PATH or HOST:PORT for NBD clients; may be repeated")
  private List<String> listen;

  @Option(
      names = "--node",
      paramLabel = "HOST:PORT",
      description =
          "tap link of a node; may be repeated, the first that answers is used; default "
              + DEFAULT_NODE)
  private List<String> nodes = List.of(DEFAULT_NODE);

  @Option(
      names = "--no-capture",
      description = "serve without protection, to measure what capture costs")
  private boolean noCapture;

  @Option(
      names = "--state",
      paramLabel = "DIR",
      description = "where the tap keeps its state; needed for block devices")
  private Path state;

  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      description = "unjournaled writes held in memory before they are spilled; default 64MiB")
  private String memory = "64MiB";

  @Option(
      names = "--spill",
      paramLabel = "SIZE",
      description = "spill file of each volume before capture collapses; default 1GiB")
  private String spill = "1GiB";

  @Option(
      names = "--drain",
      paramLabel = "SECONDS",
      description = "how long a stop waits for the journal; default 10")
  private int drainSeconds = (int) TapSettings.DRAIN.toSeconds();

  @Option(
      names = "--fill-rate",
      paramLabel = "SIZE",
      description =
          "content compared or fetched each second at most while a backing store is filled after a promotion;"
              + " default 200MiB, 0B for no limit")
  private String fillRate = "200MiB";

  @Option(
      names = "--apps",
      paramLabel = "FILE",
      description = "applications of this host that tags may quiesce; see docs/operations.md")
  private Path applications;

  @Option(
      names = "--tls",
      paramLabel = "DIR",
      description =
          "ca.pem, cert.pem and key.pem, as tidemark certs issue makes them: the link is encrypted,"
              + " NBD clients on TCP must use TLS and show a certificate of the same authority")
  private Path tls;

  /** Runs until told to stop; gives the exit code. */
  static int run(String[] args) {
    CommandLine command = new CommandLine(new TapCommand());
    command.setExecutionExceptionHandler(
        (failure, line, parsed) -> {
          if (failure instanceof Refusal refusal) {
            System.err.println("tidemark: " + refusal.getMessage() + " (" + refusal.code() + ")");
            return refusal.code().exitCode();
          }
          System.err.println("tidemark: the tap failed: " + failure);
          failure.printStackTrace(System.err);
          return ErrorCode.FAILED.exitCode();
        });
    return command.execute(args);
  }

  @Override
  public Integer call() throws InterruptedException {
    System.setProperty("logback.configurationFile", "logback-tap.xml");
    List<InetSocketAddress> links =
        noCapture ? List.of() : nodes.stream().map(TapSettings::node).toList();
    TapSettings settings =
        TapSettings.of(
                volumes.stream().map(VolumeSpec::parse).toList(),
                listen.stream().map(NbdListenAddress::parse).toList(),
                links)
            .withBounds(Amounts.bytes(memory), Amounts.bytes(spill))
            .withDrain(Duration.ofSeconds(drainSeconds))
            .withFillRate(Amounts.bytes(fillRate));
    if (applications != null) {
      settings = settings.withApplications(ApplicationsFile.load(applications));
    }
    if (tls != null) {
      SSLContext context = TlsFiles.in(tls).context();
      settings =
          settings
              .withLink(LinkSettings.defaults().withTls(context))
              .withNbd(NbdServerSettings.defaults().withTls(new NbdTls(context, true, true)));
    }
    return TapProcess.run(
        state == null ? settings : settings.withStateDirectory(state),
        new PrintWriter(System.out, true, StandardCharsets.UTF_8));
  }
}
