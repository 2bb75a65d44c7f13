package io.tidemark.witness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.index.TestSeed;
import io.tidemark.witness.ArbiterEvent.ArbiterArmed;
import io.tidemark.witness.ArbiterEvent.LeaseClaimed;
import io.tidemark.witness.ArbiterEvent.LeaseYielded;
import java.util.Comparator;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/**
 * Random schedules of messages, losses, delays, cuts, crashes and clocks that run differently: the
 * source's tap never may acknowledge once the target took over (W1 to W5). The real states decide;
 * only what carries messages between them is simulated, in one thread and without waiting.
 */
class LeaseScheduleTest {
  private static final int SCHEDULES = 3_000;
  private static final long SECOND = 1_000_000_000L;
  private static final long LEASE = 10 * SECOND;
  private static final UUID CONFIG = new UUID(1, 1);

  private final long seed = TestSeed.next("LeaseScheduleTest");

  private record Event(long at, long order, Runnable what) {}

  /** A clock that shows {@code offset} at first and runs at {@code rate} of real time. */
  private record Clock(long offset, double rate) {
    long at(long real) {
      return offset + (long) (real * rate);
    }
  }

  /** An arbiter: what it stored outlives it, what it promised does not. */
  private final class Voter {
    final Clock clock;
    ArbiterState state = ArbiterState.EMPTY;
    Promise promise;
    boolean down;

    Voter(Clock clock) {
      this.clock = clock;
      promise = new Promise(LEASE, clock.at(0));
    }
  }

  /** One schedule. */
  private final class World {
    final Random random;
    final PriorityQueue<Event> events =
        new PriorityQueue<>(Comparator.comparingLong(Event::at).thenComparingLong(Event::order));
    final Clock tapClock;
    final Clock wall;
    final TapLease tap = new TapLease();
    final Voter witness;
    final Voter target;
    final long after;
    final double lossRate;
    final boolean[] cut = new boolean[3]; // source-witness, source-target, witness-target
    boolean sourceDown;
    long now;
    long order;
    long round;
    long tookOver = -1;
    Optional<UUID> attempt = Optional.empty();
    boolean heldOnce;
    boolean wrote;

    World(long worldSeed, double rateMin) {
      random = new Random(worldSeed);
      tapClock = clock(rateMin);
      wall = new Clock(random.nextLong(SECOND * 1000), tapClock.rate());
      witness = new Voter(clock(2 - rateMin));
      target = new Voter(clock(2 - rateMin));
      after = (3 + random.nextInt(30)) * SECOND;
      lossRate = random.nextInt(3) * 0.1;
    }

    /** At the worst bound half of the time. */
    private Clock clock(double bound) {
      double rate = random.nextBoolean() ? bound : 1 + (bound - 1) * (2 * random.nextDouble() - 1);
      return new Clock(random.nextLong() >> 2, rate);
    }

    void at(long delay, Runnable what) {
      events.add(new Event(now + delay, order++, what));
    }

    /** Heavy-tailed: most are quick, some take as long as a lease. */
    private long delay() {
      return random.nextInt(10) == 0
          ? random.nextLong(12 * SECOND)
          : random.nextLong(SECOND / 5) + 1;
    }

    void send(int line, Runnable arrives) {
      if ((line >= 0 && cut[line]) || random.nextDouble() < lossRate) {
        return;
      }
      at(
          delay(),
          () -> {
            if (line < 0 || !cut[line]) {
              arrives.run();
            }
          });
    }

    void run() {
      at(0, this::keep);
      at(0, this::succeed);
      for (int i = 0; i < 8; i++) {
        at(random.nextLong(150 * SECOND), this::trouble);
      }
      while (!events.isEmpty() && events.peek().at() < 220 * SECOND) {
        Event event = events.poll();
        now = event.at();
        event.what().run();
        boolean valid = tap.valid(tapClock.at(now), wall.at(now) / 1_000);
        wrote |= valid;
        assertFalse(
            valid && tookOver >= 0,
            () -> "the tap writes at %d, the target since %d".formatted(now, tookOver));
      }
    }

    private void trouble() {
      int kind = random.nextInt(7);
      long lasts = random.nextLong(60 * SECOND);
      if (kind < 3) {
        cut[kind] = true;
        at(lasts, () -> cut[kind] = false);
      } else if (kind == 3) {
        cut[0] = true;
        cut[1] = true;
        at(lasts, () -> cut[0] = false);
        at(random.nextLong(60 * SECOND), () -> cut[1] = false);
      } else if (kind == 4) {
        sourceDown = true;
        at(lasts, () -> sourceDown = false);
      } else {
        Voter voter = kind == 5 ? witness : target;
        voter.down = true;
        at(
            random.nextLong(15 * SECOND),
            () -> {
              voter.promise = new Promise(LEASE, voter.clock.at(now));
              voter.down = false;
              if (voter == target) {
                attempt = Optional.empty(); // with the node, its plan's entity started anew
              }
            });
      }
    }

    // ---- the source

    private void keep() {
      at(2 * SECOND, this::keep);
      if (sourceDown) {
        return;
      }
      long mine = ++round;
      send(
          -1,
          () -> {
            tap.mark(mine, tapClock.at(now), wall.at(now) / 1_000);
            send(
                -1,
                () -> {
                  send(0, () -> ask(witness, 0, mine));
                  send(1, () -> ask(target, 1, mine));
                });
          });
    }

    private void ask(Voter voter, int line, long mine) {
      if (voter.down) {
        return;
      }
      voter.promise.heard(voter.clock.at(now), 0);
      if (ArbiterState.arms(voter.state, CONFIG)) {
        voter.state = ArbiterState.apply(voter.state, new ArbiterArmed(CONFIG, "a", "b", 0));
      }
      if (ArbiterState.refuseVote(voter.state, "w", "p").isEmpty()) {
        voter.promise.extend(voter.clock.at(now));
        send(line, () -> send(-1, () -> heldOnce |= tap.grant(mine, LEASE / 1_000)));
      }
    }

    // ---- the target

    private void succeed() {
      at(SECOND, this::succeed);
      if (target.down || tookOver >= 0) {
        return;
      }
      if (attempt.isEmpty()) {
        witness.state.claim().ifPresent(claim -> send(2, () -> giveBack(witness, claim)));
        target.state.claim().ifPresent(claim -> giveBack(target, claim));
        UUID claim = new UUID(random.nextLong(), random.nextLong());
        if (refused(target, claim).isEmpty() && target.state.claim().isEmpty()) {
          attempt = Optional.of(claim);
          at(5 * SECOND, () -> attempt = attempt.filter(one -> !one.equals(claim)));
          send(2, () -> claim(claim));
        }
      }
    }

    private Optional<?> refused(Voter voter, UUID claim) {
      return ArbiterState.refuseClaim(
          voter.state, voter.promise, CONFIG, claim, after, voter.clock.at(now), "p");
    }

    private void claim(UUID claim) {
      if (witness.down || refused(witness, claim).isPresent()) {
        return;
      }
      witness.state = ArbiterState.apply(witness.state, new LeaseClaimed(claim, 0));
      send(2, () -> granted(claim));
    }

    private void granted(UUID claim) {
      if (!attempt.equals(Optional.of(claim)) || target.down) {
        return;
      }
      attempt = Optional.empty();
      if (refused(target, claim).isEmpty()) {
        target.state = ArbiterState.apply(target.state, new LeaseClaimed(claim, 0));
        tookOver = now;
      }
    }

    private void giveBack(Voter voter, UUID claim) {
      if (!voter.down && voter.state.claim().equals(Optional.of(claim)) && tookOver < 0) {
        voter.state = ArbiterState.apply(voter.state, new LeaseYielded(claim, 0));
      }
    }
  }

  private int violations(double rateMin, int schedules) {
    int violations = 0;
    for (int i = 0; i < schedules; i++) {
      try {
        new World(seed + i, rateMin).run();
      } catch (AssertionError e) {
        violations++;
      }
    }
    return violations;
  }

  @Test
  void shouldNeverHaveTwoWriters() {
    int tookOver = 0;
    int wrote = 0;
    for (int i = 0; i < SCHEDULES; i++) {
      World world = new World(seed + i, LeaseTerms.RATE_MIN);
      try {
        world.run();
      } catch (AssertionError e) {
        throw new AssertionError("schedule with seed " + (seed + i), e);
      }
      tookOver += world.tookOver >= 0 ? 1 : 0;
      wrote += world.wrote ? 1 : 0;
    }
    System.out.printf("%d schedules, %d took over%n", SCHEDULES, tookOver);
    assertTrue(tookOver > SCHEDULES / 20, "only " + tookOver + " took over");
    assertTrue(wrote > SCHEDULES * 9 / 10, "only " + wrote + " wrote at all");
  }

  /** The schedules do find what is wrong: clocks beyond the bound make a second writer. */
  @Test
  void shouldFindTwoWritersWhenClocksRunApart() {
    assertTrue(violations(0.6, SCHEDULES) > 0, "no schedule found it");
  }

  /** The bound itself, at both of its ends: over for the tap when it is over for the arbiter. */
  @Test
  void shouldEndTogetherAtTheBound() {
    TapLease tap = new TapLease();
    long real = (long) (LEASE / (2 - LeaseTerms.RATE_MIN));
    tap.mark(1, 0, 0);
    assertFalse(tap.grant(2, LEASE / 1_000));
    assertTrue(tap.grant(1, LEASE / 1_000));
    long over = (long) (real * LeaseTerms.RATE_MIN);
    assertFalse(tap.valid(over, 0));
    assertTrue(tap.valid(over - 2_000, 0));
    assertFalse(tap.valid(0, over / 1_000), "a machine slept: the clock on the wall went on");
    Promise promise = new Promise(LEASE, 0);
    assertTrue(promise.over((long) (real * (2 - LeaseTerms.RATE_MIN)) + 2));
    assertFalse(promise.over(LEASE - 1));
    assertEquals(0, promise.leftNanos(LEASE));
  }
}
