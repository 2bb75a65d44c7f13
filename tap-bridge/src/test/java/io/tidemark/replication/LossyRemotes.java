package io.tidemark.replication;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSite;
import io.tidemark.remote.RemoteSites;
import io.tidemark.remote.SiteAnswer;
import io.tidemark.remote.SiteCommand;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/** Loses questions, and answers to questions that were carried out, by a seed. */
public final class LossyRemotes implements RemoteSites {
  private final RemoteSites real;
  private Random random = new Random(0);
  private int lostPercent;
  private boolean cut;

  LossyRemotes(RemoteSites real) {
    this.real = real;
  }

  /** From now on; half of what is lost are answers. */
  public synchronized void lose(int percent, long seed) {
    lostPercent = percent;
    random = new Random(seed);
  }

  /** Nothing reaches the other sites. */
  public synchronized void cut(boolean on) {
    cut = on;
  }

  private synchronized int luck() {
    return random.nextInt(100);
  }

  private synchronized boolean cutFrom(String site) {
    return cut && !site.equals(real.here());
  }

  private synchronized int lostPercent() {
    return lostPercent;
  }

  @Override
  public <A extends SiteAnswer> CompletionStage<A> ask(
      String site, SiteCommand<A> command, Duration within) {
    int luck = luck();
    int lost = lostPercent();
    if (cutFrom(site) || luck < lost / 2) {
      return CompletableFuture.failedStage(lost("the question"));
    }
    CompletionStage<A> answer = real.ask(site, command, within);
    return luck < lost
        ? answer.handle(
            (carriedOut, failure) -> {
              throw lost("the answer");
            })
        : answer;
  }

  @Override
  public <A extends SiteAnswer> CompletionStage<A> ask(String site, SiteCommand<A> command) {
    return ask(site, command, Duration.ofSeconds(3));
  }

  private static Refusal lost(String what) {
    return new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "injected: " + what + " is lost");
  }

  @Override
  public String here() {
    return real.here();
  }

  @Override
  public List<RemoteSite> sites() {
    return real.sites();
  }

  @Override
  public <A extends SiteAnswer, C extends SiteCommand<A>> void serve(
      Class<C> command, Function<C, CompletionStage<A>> handler) {
    real.serve(command, handler);
  }

  @Override
  public void announce(String purpose, String address) {
    real.announce(purpose, address);
  }

  @Override
  public CompletionStage<Void> forget(String site) {
    return real.forget(site);
  }

  @Override
  public CompletionStage<String> rejoin() {
    return real.rejoin();
  }
}
