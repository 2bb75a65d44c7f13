package io.tidemark.http;

import io.tidemark.link.LinkRules;
import io.tidemark.link.LinkSpec;
import io.tidemark.link.LinkSummary;
import io.tidemark.link.Links;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.function.UnaryOperator;

/** Links in memory, each ten writes behind; there is one other site, site-2. */
final class FakeLinks implements Links {
  private final Map<String, LinkSummary> links = new ConcurrentSkipListMap<>();

  private static <T> CompletionStage<T> refuse(ErrorCode code, String sentence) {
    return CompletableFuture.failedFuture(new Refusal(code, sentence));
  }

  private static LinkSummary summary(LinkSpec spec, LinkRules rules, String state) {
    List<LinkSummary.Lane> lanes = spec.volumes().stream().map(v -> lane(v, state)).toList();
    return new LinkSummary(spec, rules, state, "akka://tidemark@127.0.0.1:25520", lanes);
  }

  private static LinkSummary.Lane lane(VolumeName volume, String state) {
    return new LinkSummary.Lane(
        volume,
        state,
        state.equals("Streaming"),
        Optional.empty(),
        Optional.empty(),
        FakeServices.HEAD,
        FakeServices.HEAD - 10,
        FakeServices.START + 90 * FakeServices.SECOND,
        9.5,
        40_960,
        10,
        Optional.of(2.0),
        FakeServices.NOW,
        !state.equals("Streaming"),
        4_096_000,
        409_600,
        9_600,
        List.of(
            new LinkSummary.SentAs("same", 400, 1_638_400, 0),
            new LinkSummary.SentAs("compressed", 600, 2_457_600, 400_000)));
  }

  @Override
  public CompletionStage<LinkSummary> create(NewLink link) {
    try {
      link.rules().checked();
    } catch (Refusal e) {
      return CompletableFuture.failedStage(e);
    }
    if (link.group().isPresent() == !link.volumes().isEmpty()) {
      return refuse(ErrorCode.INVALID, "a link has either volumes or a group");
    }
    LinkSpec spec =
        new LinkSpec(
            link.name(), new UUID(5, 6), link.volumes(), link.group(), "site-1", link.toSite());
    LinkSummary there = links.putIfAbsent(link.name(), summary(spec, link.rules(), "Streaming"));
    return there != null && !there.spec().equals(spec)
        ? refuse(ErrorCode.ALREADY_EXISTS, "a link of the name exists")
        : get(link.name());
  }

  @Override
  public CompletionStage<List<LinkSummary>> list() {
    return CompletableFuture.completedFuture(List.copyOf(links.values()));
  }

  @Override
  public CompletionStage<LinkSummary> get(String name) {
    LinkSummary link = links.get(name);
    return link == null
        ? refuse(ErrorCode.NOT_FOUND, "there is no link of the name")
        : CompletableFuture.completedFuture(link);
  }

  private CompletionStage<LinkSummary> change(String name, UnaryOperator<LinkSummary> change) {
    links.computeIfPresent(name, (same, link) -> change.apply(link));
    return get(name);
  }

  @Override
  public CompletionStage<LinkSummary> setRules(String name, LinkRules rules) {
    return change(name, link -> summary(link.spec(), rules, link.state()));
  }

  @Override
  public CompletionStage<LinkSummary> pause(String name) {
    return change(name, link -> summary(link.spec(), link.rules(), "Paused"));
  }

  @Override
  public CompletionStage<LinkSummary> resume(String name) {
    return change(name, link -> summary(link.spec(), link.rules(), "Streaming"));
  }

  @Override
  public CompletionStage<LinkSummary> resync(String name) {
    return get(name);
  }

  @Override
  public CompletionStage<Void> delete(String name) {
    return get(name).thenAccept(link -> links.remove(name));
  }
}
