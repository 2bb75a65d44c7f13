package io.tidemark.replication;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.ManualTime;
import io.tidemark.position.ByteRange;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.DayOfWeek;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Rates, windows, priorities and budgets of a link's stream. */
class PaceTest {
  private static long micros(String time) {
    return Instant.parse(time).toEpochMilli() * 1_000;
  }

  /** The first open window counts, also one that began yesterday; else the link's own rate. */
  @Test
  void shouldHeedTheWindowsOfTheWeek() {
    List<DayOfWeek> workdays =
        List.of(
            DayOfWeek.MONDAY,
            DayOfWeek.TUESDAY,
            DayOfWeek.WEDNESDAY,
            DayOfWeek.THURSDAY,
            DayOfWeek.FRIDAY);
    Throttle throttle =
        new Throttle(
            5_000,
            List.of(
                new Throttle.Window(workdays, 8 * 60, 18 * 60, 1_000),
                new Throttle.Window(List.of(DayOfWeek.FRIDAY), 22 * 60, 6 * 60, 0)));
    assertEquals(1_000, throttle.rateAt(micros("2026-01-30T08:00:00Z")));
    assertEquals(1_000, throttle.rateAt(micros("2026-01-30T17:59:59Z")));
    assertEquals(5_000, throttle.rateAt(micros("2026-01-30T18:00:00Z")));
    assertEquals(0, throttle.rateAt(micros("2026-01-30T23:00:00Z")));
    assertEquals(0, throttle.rateAt(micros("2026-01-31T05:59:00Z")));
    assertEquals(5_000, throttle.rateAt(micros("2026-01-31T12:00:00Z")));
  }

  @Test
  void shouldRefuseRatesAndWindowsThatCannotBe() {
    Throttle.Window never = new Throttle.Window(List.of(), 0, 60, 5_000);
    Throttle.Window late = new Throttle.Window(List.of(DayOfWeek.MONDAY), 0, 1_441, 5_000);
    for (Throttle wrong :
        List.of(
            new Throttle(1, List.of()),
            new Throttle(-1, List.of()),
            new Throttle(0, List.of(never)),
            new Throttle(0, List.of(late)))) {
      assertEquals(ErrorCode.INVALID, assertThrows(Refusal.class, wrong::checked).code());
    }
  }

  /** Whoever has priority goes first, others in the order of asking, at the rate of the moment. */
  @Test
  void shouldLetThroughByPriorityAndRate() {
    ActorTestKit kit = ActorTestKit.create(ManualTime.config());
    try {
      ManualTime time = ManualTime.get(kit.system());
      AtomicLong now = new AtomicLong(1_000_000_000);
      AtomicLong rate = new AtomicLong(10_000);
      Pace pace = new Pace(kit.scheduler(), Runnable::run, now::get, at -> rate.get());
      List<String> order = new ArrayList<>();
      take(pace, "burst", 1_000, 5, order);
      take(pace, "first", 1_000, 5, order);
      take(pace, "low", 1_000, 1, order);
      take(pace, "high", 1_000, 9, order);
      take(pace, "second", 1_000, 5, order);
      advance(time, now, 50);
      int before = order.size();
      advance(time, now, 600);
      assertTrue(before < 4, order.toString());
      assertEquals(List.of("burst", "first", "high", "second", "low"), order);
      take(pace, "more", 10_000, 5, order);
      take(pace, "waits", 1_000, 5, order);
      advance(time, now, 200);
      assertFalse(order.contains("waits"), order.toString());
      rate.set(0);
      advance(time, now, 1_100);
      assertTrue(order.contains("waits"), order.toString());
    } finally {
      kit.shutdownTestKit();
    }
  }

  private static void take(Pace pace, String who, long bytes, int priority, List<String> order) {
    pace.take(bytes, priority).thenRun(() -> order.add(who));
  }

  private static void advance(ManualTime time, AtomicLong now, long millis) {
    for (long i = 0; i < millis; i += 50) {
      now.addAndGet(50_000);
      time.timePasses(Duration.ofMillis(50));
    }
  }

  /** What is held never exceeds the budget but for a single request that is larger than it. */
  @Test
  void shouldKeepToItsBudget() {
    ByteBudget budget = new ByteBudget(100);
    CompletionStage<Void> large = budget.take(500);
    assertTrue(large.toCompletableFuture().isDone());
    CompletableFuture<Void> small = budget.take(60).toCompletableFuture();
    CompletableFuture<Void> next = budget.take(60).toCompletableFuture();
    assertFalse(small.isDone());
    budget.give(500);
    assertTrue(small.isDone());
    assertFalse(next.isDone());
    budget.give(60);
    assertTrue(next.isDone());
  }

  /** Content is told in as many writes as there are seqs, at most. */
  @Test
  void shouldFitContentIntoTheSeqsThatAreFree() {
    List<ByteRange> many = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      many.add(new ByteRange(i * 100_000L, 4_096));
    }
    assertEquals(100, ContentSync.fitted(many, 1_000).size());
    List<ByteRange> few = ContentSync.fitted(many, 12);
    assertTrue(few.size() <= 12, few.toString());
    for (ByteRange range : many) {
      assertTrue(
          few.stream().anyMatch(f -> f.offset() <= range.offset() && f.end() >= range.end()));
    }
    assertEquals(
        ErrorCode.INVALID, assertThrows(Refusal.class, () -> ContentSync.fitted(many, 0)).code());
  }
}
