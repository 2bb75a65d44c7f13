package io.tidemark.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.cli.NodeClient;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.net.URI;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tidemark bench sizing}. */
@Command(
    name = "sizing",
    mixinStandardHelpOptions = true,
    description = {
      "How much journal for how much history: a running node replays the writes that it has"
          + " recorded of a volume, and tells what the journal of each window would store: typically,"
          + " and at its peak with as much dead data as retention tolerates. Windows longer than"
          + " the recording are extrapolated from its mean. Cassandra itself needs as much again"
          + " while it compacts, times the replication factor."
    },
    footer = {
      "",
      "Examples:",
      "  tidemark bench sizing db",
      "  tidemark bench sizing db --hours 12 --hours 720 --cap-gib 200",
    })
final class SizingCommand implements Callable<Integer> {
  private static final long POLL_MILLIS = 200;
  private static final double GIB = 1 << 30;

  @Parameters(paramLabel = "NAME", description = "a volume of a running node")
  private String name;

  @Option(
      names = "--node",
      paramLabel = "URL",
      defaultValue = "${env:TIDEMARK_NODE:-http://127.0.0.1:8470}",
      description = "the node to ask; default $TIDEMARK_NODE, else http://127.0.0.1:8470")
  private URI node;

  @Option(
      names = "--hours",
      description = "a window; may be repeated; default 1, 6, 24, 72, 168, 720")
  private List<Long> hours = List.of(1L, 6L, 24L, 72L, 168L, 720L);

  @Option(names = "--cap-gib", description = "also tell how much history so much journal holds")
  private long capGib;

  @Override
  public Integer call() throws InterruptedException {
    NodeClient client = new NodeClient(node);
    ObjectNode body = NodeClient.object();
    ArrayNode windows = body.putArray("windowsSeconds");
    hours.forEach(hour -> windows.add(TimeUnit.HOURS.toSeconds(hour)));
    body.put("capBytes", capGib << 30);
    JsonNode job = client.post("/volumes/" + NodeClient.escaped(name) + "/sizing", body);
    // Nobody counts it down: it only lets the wait between two looks be interrupted.
    CountDownLatch never = new CountDownLatch(1);
    while (job.path("state").asText().equals("running")) {
      boolean counted = never.await(POLL_MILLIS, TimeUnit.MILLISECONDS);
      assert !counted;
      job = client.get("/jobs/" + NodeClient.escaped(job.path("id").asText()));
    }
    JsonNode error = job.path("error");
    if (error.isObject()) {
      throw new Refusal(
          ErrorCode.valueOf(error.path("code").asText()), error.path("message").asText());
    }
    print(job.path("result"));
    return 0;
  }

  private void print(JsonNode result) {
    System.out.printf(
        Locale.ROOT,
        "Recorded: %.1f h, %s writes, %.2f GiB written, %.2f GiB stored; %.2f GiB of the volume%n%n",
        result.path("recordedSeconds").asLong() / 3600.0,
        result.path("writes").asText(),
        result.path("rawBytes").asLong() / GIB,
        result.path("storedBytes").asLong() / GIB,
        result.path("volumeBytesWritten").asLong() / GIB);
    System.out.println("| history, h | journal, GiB | at its peak, GiB | |");
    System.out.println("| --- | --- | --- | --- |");
    for (long hour : hours) {
      String window = "window-" + TimeUnit.HOURS.toSeconds(hour);
      System.out.printf(
          Locale.ROOT,
          "| %d | %.2f | %.2f | %s |%n",
          hour,
          result.path(window + "-typicalBytes").asLong() / GIB,
          result.path(window + "-peakBytes").asLong() / GIB,
          result.path(window + "-extrapolated").asBoolean() ? "extrapolated" : "recorded");
    }
    if (capGib > 0) {
      System.out.printf(
          Locale.ROOT,
          "%n%d GiB hold a history of %.1f h.%n",
          capGib,
          result.path("cap-" + (capGib << 30) + "-seconds").asLong() / 3600.0);
    }
  }
}
