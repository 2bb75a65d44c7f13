package io.tidemark.cli;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code tidemark events}: what happens in the site, as it happens. */
@Command(
    name = "events",
    mixinStandardHelpOptions = true,
    description = "Print what happens in the site from now on, one line each, until Ctrl-C.",
    footer = {"", "Example:", "  tidemark events --follow --json | grep gap-recorded"})
final class EventsCommand implements Runnable {
  @Mixin private Asking asking;

  @Option(names = "--follow", description = "the default, for those who like to say so")
  private boolean follow;

  @Override
  public void run() {
    asking
        .client()
        .events(
            event -> {
              asking
                  .out()
                  .println(
                      asking.json()
                          ? event.toString()
                          : String.join(
                              "  ",
                              event.path("time").asText(),
                              event.path("type").asText(),
                              event.path("volume").asText(event.path("group").asText("")),
                              event.path("message").asText()));
              asking.out().flush();
            });
    throw new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "the node ended the stream: it is going down");
  }
}
