package io.tidemark.witness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import akka.actor.typed.javadsl.AskPattern;
import io.tidemark.position.MicroClock;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteSite;
import io.tidemark.remote.RemoteSites;
import io.tidemark.remote.SiteAnswer;
import io.tidemark.remote.SiteCommand;
import io.tidemark.testsite.MemoryFence;
import io.tidemark.testsite.TestSite;
import io.tidemark.witness.PlanArbiter.Command;
import io.tidemark.witness.PlanArbiter.Reply;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Arbiters over a journal in memory, on a clock that the test turns; and a successor before two.
 */
class PlanArbiterTest {
  private static final UUID CONFIG = new UUID(1, 1);
  private static final UUID CLAIM = new UUID(2, 2);
  private static final Duration LEASE = Duration.ofSeconds(10);

  private final AtomicLong nanos = new AtomicLong(1_000);
  private final MemoryFence fence = new MemoryFence();
  private ActorTestKit kit;
  private TestProbe<Reply> asker;
  private ActorRef<Command> arbiter;

  @BeforeEach
  void start() {
    kit =
        ActorTestKit.create(
            com.typesafe.config.ConfigFactory.parseString(
                    "akka.persistence.journal.plugin = memory-journal\n"
                        + "akka.persistence.snapshot-store.plugin = memory-snapshots\n")
                .withFallback(TestSite.config(UUID.randomUUID().toString(), "")));
    asker = kit.createTestProbe();
    arbiter = spawn("w");
  }

  @AfterEach
  void stop() {
    kit.shutdownTestKit();
  }

  private ActorRef<Command> spawn(String plan) {
    return kit.spawn(
        PlanArbiter.create(
            plan, new PlanArbiter.Parts(fence, plan, LEASE, MicroClock.system(), nanos::get)));
  }

  private void restart() {
    kit.stop(arbiter);
    arbiter = spawn("w");
  }

  private void pass(double seconds) {
    nanos.addAndGet((long) (seconds * 1e9));
  }

  private ArbiterWord word(Function<ActorRef<Reply>, Command> command) {
    arbiter.tell(command.apply(asker.getRef()));
    return asker.expectMessageClass(PlanArbiter.Word.class, Duration.ofSeconds(10)).word();
  }

  private void refused(ErrorCode code, Function<ActorRef<Reply>, Command> command) {
    arbiter.tell(command.apply(asker.getRef()));
    assertEquals(
        code, asker.expectMessageClass(PlanArbiter.Refused.class, Duration.ofSeconds(10)).code());
  }

  private static Command ask(boolean armed, ActorRef<Reply> ref) {
    return new PlanArbiter.AskVote(CONFIG, armed, "a", "b", 0.5, ref);
  }

  private static Command claim(UUID claim, ActorRef<Reply> ref) {
    return new PlanArbiter.Claim(CONFIG, claim, 5_000, ref);
  }

  /** One at a time: the source's while it is promised, then the target's until it gives it back. */
  @Test
  void shouldGiveItsVoteToOneAtATime() {
    word(ref -> ask(false, ref));
    pass(30);
    refused(ErrorCode.NOT_ACKNOWLEDGED, ref -> claim(CLAIM, ref)); // never armed (W4)
    ArbiterWord said = word(ref -> ask(true, ref));
    assertTrue(said.armed());
    assertEquals(10_000, said.promisedMillis());
    pass(9.9);
    refused(ErrorCode.BUSY, ref -> claim(CLAIM, ref));
    word(ref -> ask(true, ref));
    pass(10);
    assertEquals(Optional.of(CLAIM), word(ref -> claim(CLAIM, ref)).claim());
    word(ref -> claim(CLAIM, ref));
    refused(ErrorCode.BUSY, ref -> claim(UUID.randomUUID(), ref));
    refused(ErrorCode.FENCED, ref -> ask(true, ref));
    restart();
    refused(ErrorCode.FENCED, ref -> ask(true, ref));
    word(ref -> new PlanArbiter.Yield(UUID.randomUUID(), ref));
    refused(ErrorCode.FENCED, ref -> ask(true, ref));
    word(ref -> new PlanArbiter.Yield(CLAIM, ref));
    word(ref -> ask(true, ref));
    pass(4);
    refused(ErrorCode.BUSY, ref -> claim(CLAIM, ref)); // heard lately
  }

  /** What its predecessor promised is over only a lease after it started (W2). */
  @Test
  void shouldKeepThePromisesOfItsPredecessor() {
    word(ref -> ask(true, ref));
    pass(9);
    restart();
    word(PlanArbiter.GetArbiter::new);
    pass(9);
    refused(ErrorCode.BUSY, ref -> claim(CLAIM, ref));
    pass(1);
    word(ref -> claim(CLAIM, ref));
  }

  /** Whoever was superseded promises nothing, and gives its vote to nobody. */
  @Test
  void shouldPromiseNothingOnceSuperseded() {
    word(ref -> ask(true, ref));
    ActorRef<Command> next = spawn("w");
    TestProbe<Reply> other = kit.createTestProbe();
    next.tell(new PlanArbiter.GetArbiter(other.getRef()));
    other.expectMessageClass(PlanArbiter.Word.class, Duration.ofSeconds(10));
    refused(ErrorCode.NOT_ACKNOWLEDGED, ref -> ask(true, ref));
  }

  /** A configuration that was turned off never arms it again; the next one does. */
  @Test
  void shouldNotArmForWhatWasTurnedOff() {
    word(ref -> ask(true, ref));
    word(ref -> new PlanArbiter.Retire(CONFIG, ref));
    restart();
    assertFalse(word(ref -> ask(true, ref)).armed());
    pass(60);
    refused(ErrorCode.NOT_ACKNOWLEDGED, ref -> claim(CLAIM, ref));
    UUID other = new UUID(3, 3);
    ArbiterWord said = word(ref -> new PlanArbiter.AskVote(other, true, "a", "b", 0, ref));
    assertEquals(Optional.of(other), said.config());
    word(ref -> new PlanArbiter.Retire(CONFIG, ref));
    assertTrue(word(PlanArbiter.GetArbiter::new).armed());
  }

  // ---- the successor before two arbiters ------------------------------------------------------

  /** Sites that are two arbiters; a third one does not answer. */
  private final class Sites implements RemoteSites {
    final ActorRef<Command> witness = arbiter;
    final ActorRef<Command> target = spawn("b");
    volatile boolean witnessGone;

    @Override
    public String here() {
      return "b";
    }

    @Override
    public List<RemoteSite> sites() {
      return List.of();
    }

    @Override
    @SuppressWarnings("unchecked")
    public <A extends SiteAnswer> CompletionStage<A> ask(
        String site, SiteCommand<A> command, Duration within) {
      if (site.equals("w") && witnessGone) {
        return CompletableFuture.failedStage(
            new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "site 'w' cannot be reached"));
      }
      CompletionStage<Reply> reply =
          AskPattern.ask(
              site.equals("w") ? witness : target,
              ref -> local((WitnessCommand) command, ref),
              Duration.ofSeconds(10),
              kit.system().scheduler());
      return reply.thenApply(
          said -> {
            if (said instanceof PlanArbiter.Refused refused) {
              throw refused.refusal();
            }
            return (A) new WitnessCommand.Answer(((PlanArbiter.Word) said).word());
          });
    }

    private static Command local(WitnessCommand command, ActorRef<Reply> ref) {
      if (command instanceof WitnessCommand.Claim c) {
        return new PlanArbiter.Claim(c.config(), c.claim(), c.afterMillis(), ref);
      }
      if (command instanceof WitnessCommand.Yield c) {
        return new PlanArbiter.Yield(c.claim(), ref);
      }
      return new PlanArbiter.GetArbiter(ref);
    }

    @Override
    public <A extends SiteAnswer> CompletionStage<A> ask(String site, SiteCommand<A> command) {
      return ask(site, command, LEASE);
    }

    @Override
    public <A extends SiteAnswer, C extends SiteCommand<A>> void serve(
        Class<C> command, Function<C, CompletionStage<A>> handler) {}

    @Override
    public void announce(String purpose, String address) {}

    @Override
    public CompletionStage<Void> forget(String site) {
      return CompletableFuture.completedStage(null);
    }

    @Override
    public CompletionStage<String> rejoin() {
      return new CompletableFuture<>();
    }

    void hear(boolean byTarget) {
      TestProbe<Reply> probe = kit.createTestProbe();
      (byTarget ? target : witness).tell(PlanArbiterTest.ask(true, probe.getRef()));
      probe.expectMessageClass(PlanArbiter.Word.class, Duration.ofSeconds(10));
    }

    Optional<UUID> claim(boolean ofTarget) {
      TestProbe<Reply> probe = kit.createTestProbe();
      (ofTarget ? target : witness).tell(new PlanArbiter.GetArbiter(probe.getRef()));
      return probe
          .expectMessageClass(PlanArbiter.Word.class, Duration.ofSeconds(10))
          .word()
          .claim();
    }
  }

  private final Queue<String> alerts = new ConcurrentLinkedQueue<>();
  private final Queue<UUID> wishes = new ConcurrentLinkedQueue<>();

  private ActorRef<Successor.Command> successor(Sites sites, int rpoSeconds) {
    LeasedPlan plan =
        new LeasedPlan(
            "p",
            CONFIG,
            "w",
            "a",
            "b",
            Duration.ofSeconds(12),
            rpoSeconds,
            List.of(new VolumeName("d")));
    return kit.spawn(
        Successor.create(
            plan,
            new Successor.Parts(
                sites,
                Duration.ofMillis(20),
                MicroClock.system(),
                nanos::get,
                (claim, agreed) -> wishes.add(claim),
                report -> {},
                alerts::add)));
  }

  /** Only when both have not heard the source; refused by the plan, both votes are given back. */
  @Test
  void shouldTakeOverWithBothVotesAndGiveThemBack() throws Exception {
    Sites sites = new Sites();
    ActorRef<Successor.Command> successor = successor(sites, 0);
    successor.tell(new Successor.Stand(true, Optional.empty()));
    sites.hear(false);
    sites.hear(true);
    pass(11);
    sites.hear(false); // only the witness hears it from now on
    pass(5);
    TestSite.await("a refusal", () -> !alerts.isEmpty());
    assertTrue(alerts.peek().contains("site 'w' does not agree"), alerts.toString());
    assertTrue(wishes.isEmpty());
    pass(20);
    TestSite.await("a wish", () -> wishes.size() == 1);
    UUID claim = wishes.poll();
    assertEquals(Optional.of(claim), sites.claim(false));
    assertEquals(Optional.of(claim), sites.claim(true));
    Refusal dark = new Refusal(ErrorCode.DARK_INTERVAL, "it ends inside one");
    successor.tell(new Successor.Answered(claim, Optional.of(dark)));
    TestSite.await(
        "both votes are the source's",
        () -> sites.claim(false).isEmpty() && sites.claim(true).isEmpty());
    assertTrue(alerts.stream().anyMatch(text -> text.contains("DARK_INTERVAL")), alerts.toString());
    pass(20);
    TestSite.await("another wish", () -> wishes.size() == 1);
    UUID taken = wishes.peek();
    successor.tell(new Successor.Stand(false, Optional.of(taken)));
    successor.tell(new Successor.Answered(taken, Optional.empty()));
    pass(60);
    assertEquals(Optional.of(taken), sites.claim(false));
    successor.tell(new Successor.Stand(false, Optional.empty()));
    TestSite.await("given back", () -> sites.claim(false).isEmpty() && sites.claim(true).isEmpty());
  }

  /** No witness, no takeover; nor with more loss than the plan accepts, which the silence tells. */
  @Test
  void shouldNotTakeOverAloneOrWithTooMuchLoss() throws Exception {
    Sites sites = new Sites();
    sites.hear(true);
    sites.hear(false);
    pass(15);
    sites.hear(false); // for so long the source wrote without the target
    pass(15);
    sites.witnessGone = true;
    ActorRef<Successor.Command> successor = successor(sites, 10);
    successor.tell(new Successor.Stand(true, Optional.empty()));
    TestSite.await("a refusal", () -> alerts.stream().anyMatch(a -> a.contains("reached")));
    sites.witnessGone = false;
    pass(5);
    TestSite.await(
        "a refusal", () -> alerts.stream().anyMatch(a -> a.contains("more than the 10")));
    assertTrue(wishes.isEmpty());
    TestSite.await("given back", () -> sites.claim(false).isEmpty() && sites.claim(true).isEmpty());
  }
}
