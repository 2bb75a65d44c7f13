package io.tidemark.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.cli.ImageCheck.Outcome;
import io.tidemark.cli.ImageCheck.Verdict;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.PrintWriter;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code tidemark bisect}: the last good and the first bad write of a volume. */
@Command(
    name = "bisect",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "",
    description = {
      "Find the write that broke something: run a check against images of about log2(n) of the n"
          + " points between two, and tell the last good and the first bad write.",
    },
    footer = {
      "",
      "The check finds $TIDEMARK_IMAGE_URI (NBD), $TIDEMARK_IMAGE, $TIDEMARK_VOLUME, $TIDEMARK_SEQ and",
      "$TIDEMARK_TIME in its environment. It ends with 0 for good, 125 when it cannot tell, and 1 to",
      "127 otherwise for bad; anything above ends the search. --from must be good and --to bad, which",
      "is checked first. In between it is assumed that what is bad stays bad: if not, the answer is",
      "one of the writes that turned good into bad, and its two ends were tested themselves.",
      "",
      "Example:",
      "  tidemark bisect db --from time:2026-01-31T12:00:00Z --to latest -- \\",
      "      sh -c 'nbdcopy \"$TIDEMARK_IMAGE_URI\" x.img && e2fsck -fn x.img'",
    })
final class BisectCommand implements Runnable {
  @Mixin private Asking asking;

  @Parameters(index = "0", paramLabel = "NAME", description = "a volume")
  private String name;

  @Option(names = "--from", required = true, paramLabel = "AT", description = "a good point")
  private String from;

  @Option(names = "--to", required = true, paramLabel = "AT", description = "a later, bad point")
  private String to;

  @Option(
      names = "--writable",
      description =
          "let the check write to its image, such as to replay a log; nobody else sees it")
  private boolean writable;

  @Parameters(
      index = "1..*",
      arity = "1..*",
      paramLabel = "CMD",
      description = "the check and its arguments, after --")
  private List<String> check;

  private final Map<Long, JsonNode> times = new HashMap<>();
  private final ArrayNode steps = NodeClient.object().arrayNode();

  @Override
  public void run() {
    NodeClient client = asking.client();
    long good = resolve(client, from);
    long bad = resolve(client, to);
    if (good >= bad) {
      throw new Refusal(
          ErrorCode.INVALID,
          "--from is seq %d and --to is seq %d: there is no write between them; --from must be the"
                  .formatted(good, bad)
              + " older, good point");
    }
    try (HeldRange held = new HeldRange(client, name, good, "bisect", asking.err());
        ImageCheck images = new ImageCheck(client, name, writable, check, asking.err())) {
      assert held != null;
      requireEnd(images, good, Verdict.GOOD, "--from");
      requireEnd(images, bad, Verdict.BAD, "--to");
      Bisection search = new Bisection(good, bad);
      excludeDark(client, search);
      OptionalLong next = search.next();
      while (next.isPresent()) {
        step(client, images, search, next.getAsLong());
        next = search.next();
      }
      show(client, search);
    }
  }

  private long resolve(NodeClient client, String at) {
    return client
        .get("/volumes/" + NodeClient.escaped(name) + "/points?at=" + NodeClient.escaped(at))
        .at("/at/seq")
        .asLong();
  }

  private void requireEnd(ImageCheck images, long seq, Verdict wanted, String option) {
    Outcome outcome = images.run(seq);
    log(seq, outcome, "");
    if (outcome.verdict() != wanted) {
      throw new Refusal(
          ErrorCode.INVALID,
          "the check says %s at %s (seq %d, exit code %d), where it must say %s: choose another %s,"
                  .formatted(
                      word(outcome.verdict()),
                      option,
                      seq,
                      outcome.exitCode(),
                      word(wanted),
                      option)
              + " or look at what the check tests");
    }
  }

  private void step(NodeClient client, ImageCheck images, Bisection search, long seq) {
    Outcome outcome;
    try {
      outcome = images.run(seq);
    } catch (Refusal e) {
      if (e.code() != ErrorCode.DARK_INTERVAL && e.code() != ErrorCode.BEYOND_HORIZON) {
        throw e;
      }
      say("seq %-12d no recovery point any more".formatted(seq));
      search.exclude(seq, seq);
      excludeDark(client, search);
      return;
    }
    switch (outcome.verdict()) {
      case GOOD -> search.good(seq);
      case BAD -> search.bad(seq);
      case SKIP -> search.skip(seq);
    }
    log(seq, outcome, search.open() == 0 ? "" : ", about " + search.stepsLeft() + " to go");
  }

  /** Nothing can be opened inside dark intervals and before the horizon. */
  private void excludeDark(NodeClient client, Bisection search) {
    JsonNode volume = client.get("/volumes/" + NodeClient.escaped(name));
    search.exclude(Long.MIN_VALUE, volume.at("/horizon/seq").asLong() - 1);
    for (JsonNode dark : volume.path("dark")) {
      search.exclude(
          dark.path("fromSeq").asLong(),
          dark.path("toSeq").isNumber() ? dark.path("toSeq").asLong() : Long.MAX_VALUE);
    }
  }

  private void log(long seq, Outcome outcome, String more) {
    times.put(seq, outcome.at());
    steps
        .addObject()
        .put("seq", seq)
        .put("verdict", word(outcome.verdict()))
        .put("exitCode", outcome.exitCode())
        .put("millis", outcome.millis());
    say(
        String.format(
            Locale.ROOT,
            "seq %-12d %s %-5s %s%s",
            seq,
            outcome.at().path("time").asText(),
            word(outcome.verdict()),
            Amounts.seconds(outcome.millis() / 1e3),
            more));
  }

  private void say(String line) {
    asking.err().println(line);
    asking.err().flush();
  }

  private static String word(Verdict verdict) {
    return verdict.name().toLowerCase(Locale.ROOT);
  }

  private void show(NodeClient client, Bisection search) {
    ObjectNode answer = NodeClient.object();
    answer.put("volume", name);
    answer.set("lastGood", times.get(search.lastGood()));
    answer.set("firstBad", times.get(search.firstBad()));
    answer.put("exact", search.exact());
    answer.put("untested", search.firstBad() - search.lastGood() - 1);
    answer.put("skipped", search.skipped());
    ArrayNode dark = answer.putArray("dark");
    if (!search.exact()) {
      for (JsonNode interval : client.get("/volumes/" + NodeClient.escaped(name)).path("dark")) {
        if (interval.path("fromSeq").asLong() < search.firstBad()
            && (!interval.path("toSeq").isNumber()
                || interval.path("toSeq").asLong() > search.lastGood())) {
          dark.add(interval);
        }
      }
    }
    answer.put("images", steps.size());
    answer.set("steps", steps);
    asking.show(answer, out -> words(answer, out));
  }

  private static void words(JsonNode answer, PrintWriter out) {
    out.println("last good  " + point(answer.path("lastGood")));
    out.println("first bad  " + point(answer.path("firstBad")));
    if (!answer.path("exact").asBoolean()) {
      out.println(
          "one of %s writes is the first bad one: the %s in between could not be tested"
              .formatted(answer.path("untested").asLong() + 1, answer.path("untested").asText()));
      for (JsonNode interval : answer.path("dark")) {
        out.println("dark: " + DarkText.of(interval));
      }
      if (answer.path("skipped").asLong() > 0) {
        out.println("the check skipped " + answer.path("skipped").asText());
      }
    }
    out.println(answer.path("images").asText() + " images were checked");
  }

  private static String point(JsonNode at) {
    return "seq " + at.path("seq").asText() + " at " + at.path("time").asText();
  }
}
