package io.tidemark.http;

import io.tidemark.position.MicroTime;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.ClockOffset;
import io.tidemark.remote.RemoteNode;
import io.tidemark.remote.RemoteSite;
import io.tidemark.remote.RemoteSites;
import io.tidemark.remote.SiteAnswer;
import io.tidemark.remote.SiteCommand;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/** One other site, "there", that was lost a while ago. */
final class FakeSites implements RemoteSites {
  private static final MicroTime LOST = new MicroTime(1_700_000_000_000_000L);

  @Override
  public String here() {
    return "here";
  }

  @Override
  public List<RemoteSite> sites() {
    return List.of(
        new RemoteSite(
            "there",
            false,
            LOST,
            List.of(
                new RemoteNode(
                    "127.0.0.1:25620",
                    "Up",
                    false,
                    LOST,
                    Optional.of("1"),
                    Map.of("tap-link", "127.0.0.1:8571"),
                    Optional.of(new ClockOffset(300_000_000, 40_000))))));
  }

  @Override
  public <A extends SiteAnswer> CompletionStage<A> ask(String site, SiteCommand<A> command) {
    return ask(site, command, Duration.ZERO);
  }

  @Override
  public <A extends SiteAnswer> CompletionStage<A> ask(
      String site, SiteCommand<A> command, Duration within) {
    return CompletableFuture.failedStage(
        new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "site '" + site + "' is lost"));
  }

  @Override
  public <A extends SiteAnswer, C extends SiteCommand<A>> void serve(
      Class<C> command, Function<C, CompletionStage<A>> handler) {}

  @Override
  public void announce(String purpose, String address) {}

  @Override
  public CompletionStage<Void> forget(String site) {
    return site.equals("there")
        ? CompletableFuture.completedStage(null)
        : CompletableFuture.failedStage(new Refusal(ErrorCode.NOT_FOUND, "no site '" + site + "'"));
  }

  @Override
  public CompletionStage<String> rejoin() {
    return new CompletableFuture<>();
  }
}
