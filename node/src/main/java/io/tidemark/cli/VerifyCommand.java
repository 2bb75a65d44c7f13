package io.tidemark.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tidemark verify}: is the whole history sound. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    description = {
      "Check a volume's whole journal: every checksum, the index against the journal, and the newest"
          + " content against the backing store when its tap is attached and idle.",
    },
    footer = {"", "Example:", "  tidemark verify db && echo sound"})
final class VerifyCommand implements Callable<Integer> {
  @Mixin private Asking asking;

  @Parameters(paramLabel = "NAME", description = "a volume")
  private String name;

  @Option(
      names = "--detach",
      description = "do not wait: print the job, to be followed with 'tidemark jobs'")
  private boolean detach;

  @Override
  public Integer call() {
    NodeClient client = asking.client();
    return new JobProgress(asking, client)
        .show(
            client.post("/volumes/" + NodeClient.escaped(name) + "/verify", NodeClient.object()),
            detach);
  }
}
