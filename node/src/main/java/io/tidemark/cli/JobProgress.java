package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Follows a job to its end, with a progress bar when a person watches. */
final class JobProgress {
  private static final long POLL_MILLIS = 200;
  private static final int BAR_LENGTH = 30;

  private final Asking asking;
  private final NodeClient client;
  private final boolean watched = System.console() != null;

  JobProgress(Asking asking, NodeClient client) {
    this.asking = asking;
    this.client = client;
  }

  /** Shows the job, once it has ended unless detached, and returns the exit code. */
  int show(JsonNode started, boolean detach) {
    JsonNode job = detach ? started : follow(started);
    asking.show(job, out -> out.println(JobCommands.sentence(job)));
    JsonNode error = job.path("error");
    if (!error.isObject()) {
      return job.path("state").asText().equals("cancelled") ? ErrorCode.FAILED.exitCode() : 0;
    }
    throw new Refusal(
        ErrorCode.valueOf(error.path("code").asText()), error.path("message").asText());
  }

  private JsonNode follow(JsonNode started) {
    JsonNode job = started;
    // Nobody counts it down: it only lets the wait between two looks be interrupted.
    CountDownLatch never = new CountDownLatch(1);
    try {
      while (job.path("state").asText().equals("running")) {
        bar(job);
        never.await(POLL_MILLIS, TimeUnit.MILLISECONDS);
        job = client.get("/jobs/" + NodeClient.escaped(job.path("id").asText()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorCode.FAILED, "interrupted; the job goes on", e);
    }
    bar(job);
    if (watched) {
      asking.err().println();
      asking.err().flush();
    }
    return job;
  }

  private void bar(JsonNode job) {
    if (!watched) {
      return;
    }
    double fraction = job.path("fraction").asDouble();
    int full = (int) (fraction * BAR_LENGTH);
    JsonNode eta = job.path("etaSeconds");
    asking
        .err()
        .print(
            String.format(
                Locale.ROOT,
                "\r[%s%s] %3d %%  %s of %s  %s\033[K",
                "=".repeat(full),
                " ".repeat(BAR_LENGTH - full),
                (int) (fraction * 100),
                Amounts.size(job.path("bytes").path("done").asLong()),
                Amounts.size(job.path("bytes").path("total").asLong()),
                eta.isNumber() ? Amounts.seconds(eta.asDouble()) + " to go" : ""));
    asking.err().flush();
  }
}
