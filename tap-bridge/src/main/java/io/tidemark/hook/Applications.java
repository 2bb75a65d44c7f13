package io.tidemark.hook;

import io.tidemark.hook.HookResult.Outcome;
import io.tidemark.hook.HookResult.Phase;
import io.tidemark.order.ApplicationResult;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.taporder.QuiesceHooks;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The applications of this host, quiesced and thawed for one ticket at a time (H4). Thread-safe;
 * nothing here blocks its caller but {@link #close}.
 */
public final class Applications implements QuiesceHooks, AutoCloseable {
  /** Flights that wait while one is under way. */
  public static final int WAITING_MAX = 4;

  /** Flights that are over whose results are still told. */
  public static final int REMEMBERED_MAX = 32;

  private static final Logger log = LoggerFactory.getLogger(Applications.class);
  private static final Duration ANSWER = Duration.ofMillis(200);
  private static final Duration CLOSE_LIMIT = Duration.ofSeconds(40);

  private final ApplicationsFile settings;
  private final Map<String, Hook> hooks = new LinkedHashMap<>();
  private final ThreadPoolExecutor workers;
  private final ScheduledExecutorService watch;
  private final Deque<Flight> waiting = new ArrayDeque<>();
  private final Map<Long, Flight> flights = new LinkedHashMap<>();
  private Flight current;
  private boolean closed;

  /** What is done for one ticket. Its lists are changed by one thread at a time. */
  private static final class Flight {
    final long ticket;
    final List<List<ApplicationSpec>> steps;
    final long until;
    final long frozenUntil;
    final Deque<List<ApplicationSpec>> frozen = new ArrayDeque<>();
    final CompletableFuture<List<HookResult>> quiesced = new CompletableFuture<>();
    final CompletableFuture<List<HookResult>> thawed = new CompletableFuture<>();
    boolean thawing;
    boolean cancelled;

    Flight(long ticket, List<List<ApplicationSpec>> steps, long until, long frozenUntil) {
      this.ticket = ticket;
      this.steps = steps;
      this.until = until;
      this.frozenUntil = frozenUntil;
    }
  }

  /**
   * @param own files of the tap: no file system that holds one is ever frozen (H6)
   */
  public Applications(ApplicationsFile settings, Set<Path> own) {
    this.settings = settings;
    settings.applications().values().forEach(spec -> hooks.put(spec.name(), hook(spec, own)));
    workers =
        new ThreadPoolExecutor(
            0,
            3 * ApplicationsFile.APPLICATIONS_MAX,
            10,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            task -> daemon(task, "tidemark-hook"));
    watch = Executors.newSingleThreadScheduledExecutor(task -> daemon(task, "tidemark-thaw"));
  }

  private static Thread daemon(Runnable task, String name) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    return thread;
  }

  private static Hook hook(ApplicationSpec spec, Set<Path> own) {
    long limitNanos = spec.timeLimit().toNanos();
    if (spec.kind() instanceof ApplicationSpec.FileSystem fileSystem) {
      return new GuardedHook(
          GuardedHook.FSFREEZE, () -> HookTargets.of(fileSystem, own), limitNanos, Map.of());
    }
    if (spec.kind() instanceof ApplicationSpec.Scripts scripts) {
      Map<String, String> home = Map.of("HOME", System.getProperty("user.home", "/"));
      return new GuardedHook("scripts", () -> HookTargets.of(scripts), limitNanos, home);
    }
    if (spec.kind() instanceof ApplicationSpec.Postgres postgres) {
      return new PostgresHook(postgres);
    }
    if (spec.kind() instanceof ApplicationSpec.MariaDb mariaDb) {
      return new MariaDbHook(mariaDb);
    }
    return new SqliteHook((ApplicationSpec.Sqlite) spec.kind());
  }

  /** The names that {@link #quiesce} knows. */
  public Set<String> names() {
    return settings.applications().keySet();
  }

  /**
   * Quiesces applications and the file systems that they lie on. If one fails whose policy is to
   * fail, all are thawed at once. What is quiesced stays so until {@link #thaw}, {@code
   * frozenLimit} or the settings' own limit, whichever comes first (H1).
   *
   * @param ticket names it; saying it again gives the same results and does nothing
   * @param names none: all that there are; those of other hosts are passed over
   * @param quiesceLimit when no more is begun, and what is under way is given up
   * @return one result for each; fails with a Refusal: {@code BUSY} when too many wait
   */
  synchronized CompletionStage<List<HookResult>> quiesce(
      long ticket, List<String> names, Duration quiesceLimit, Duration frozenLimit) {
    Flight known = flights.get(ticket);
    if (known != null) {
      return known.quiesced.copy();
    }
    if (closed || waiting.size() >= WAITING_MAX) {
      return CompletableFuture.failedFuture(
          new Refusal(
              ErrorCode.BUSY,
              closed
                  ? "the tap is stopping"
                  : "%d tags wait already for the applications of this host: ask again later"
                      .formatted(WAITING_MAX)));
    }
    long now = System.nanoTime();
    long frozen = Math.min(frozenLimit.toNanos(), settings.frozenMax().toNanos());
    Flight flight =
        new Flight(
            ticket,
            QuiesceSteps.of(settings.applications(), names),
            now + Math.min(quiesceLimit.toNanos(), frozen),
            now + frozen);
    flights.put(ticket, flight);
    watch.schedule(
        () -> beginThaw(flight, true), Math.max(0, flight.frozenUntil - now), TimeUnit.NANOSECONDS);
    if (current == null) {
      begin(flight);
    } else {
      waiting.add(flight);
    }
    return flight.quiesced.copy();
  }

  /**
   * Thaws what was quiesced for the ticket, in reverse order.
   *
   * @return one result for each that was quiesced; {@code EXPIRED} for what was thawed before.
   *     Fails with {@code NOT_FOUND} when nothing is known of the ticket, as in a tap that was
   *     restarted
   */
  CompletionStage<List<HookResult>> thaw(long ticket) {
    Flight flight;
    synchronized (this) {
      flight = flights.computeIfAbsent(ticket, Applications::never);
      forget();
    }
    beginThaw(flight, false);
    return flight.thawed.copy();
  }

  /** A thaw that overtakes its quiesce keeps it from beginning. */
  private static Flight never(long ticket) {
    Flight flight = new Flight(ticket, List.of(), 0, 0);
    flight.thawing = true;
    flight.quiesced.completeExceptionally(
        new Refusal(ErrorCode.NOT_ACKNOWLEDGED, "it was thawed before it was quiesced"));
    flight.thawed.completeExceptionally(
        new Refusal(
            ErrorCode.NOT_FOUND,
            "no application is quiesced for this tag: the tap was restarted, or it is long ago"));
    return flight;
  }

  @Override
  public CompletionStage<List<ApplicationResult>> quiesce(
      long owner, List<String> applications, Duration left) {
    // The answer has to be there in time, too.
    Duration within = left.minus(left.compareTo(ANSWER) > 0 ? ANSWER : left.dividedBy(2));
    return quiesce(owner, applications, within, settings.frozenMax()).thenApply(Applications::told);
  }

  @Override
  public CompletionStage<List<ApplicationResult>> thaw(long owner, Duration left) {
    return thaw(owner).thenApply(Applications::told);
  }

  private static List<ApplicationResult> told(List<HookResult> results) {
    return results.stream()
        .map(
            result ->
                new ApplicationResult(
                    result.application(),
                    result.done(),
                    result.exitCode(),
                    (int) Math.min(result.millis(), Integer.MAX_VALUE),
                    result.output(),
                    result.doubtful(),
                    result.crashAllowed()))
        .toList();
  }

  private void begin(Flight flight) {
    current = flight;
    workers.execute(() -> run(flight));
  }

  private void run(Flight flight) {
    List<HookResult> results = new ArrayList<>();
    boolean failed = false;
    for (List<ApplicationSpec> step : flight.steps) {
      boolean skip = failed || flight.cancelled;
      List<HookResult> each =
          skip
              ? step.stream().map(Applications::skipped).toList()
              : all(step, s -> quiesce(s, flight));
      List<ApplicationSpec> done = new ArrayList<>();
      for (int i = 0; i < step.size(); i++) {
        if (each.get(i).done()) {
          done.add(step.get(i));
        }
        failed |= !each.get(i).done() && !each.get(i).crashAllowed();
      }
      flight.frozen.push(done);
      results.addAll(each);
    }
    if (failed) {
      synchronized (this) {
        flight.thawing = true;
      }
      List<HookResult> undone = thawAll(flight, false);
      flight.quiesced.complete(results);
      finish(flight, undone);
    } else {
      flight.quiesced.complete(results);
    }
  }

  private static HookResult skipped(ApplicationSpec spec) {
    return new HookResult(
        spec.name(),
        Phase.QUIESCE,
        Outcome.SKIPPED,
        spec.crashAllowed(),
        HookResult.NO_EXIT_CODE,
        0,
        "");
  }

  /** One of the two halves of one application; blocks. */
  private interface Work {
    HookResult of(ApplicationSpec spec);
  }

  /** All of a step at once. */
  private List<HookResult> all(List<ApplicationSpec> step, Work work) {
    List<CompletableFuture<HookResult>> each =
        step.stream()
            .map(spec -> CompletableFuture.supplyAsync(() -> work.of(spec), workers))
            .toList();
    return each.stream().map(CompletableFuture::join).toList();
  }

  private HookResult quiesce(ApplicationSpec spec, Flight flight) {
    long began = System.nanoTime();
    long until = Math.min(flight.until, began + spec.timeLimit().toNanos());
    Hook.Attempt attempt =
        began >= flight.until
            ? new Hook.Attempt(Outcome.TIMED_OUT, HookResult.NO_EXIT_CODE, "there was no time left")
            : attempt(() -> hooks.get(spec.name()).quiesce(until, flight.frozenUntil));
    return result(spec, Phase.QUIESCE, attempt, began);
  }

  private HookResult thaw(ApplicationSpec spec, boolean expired) {
    long began = System.nanoTime();
    Hook.Attempt attempt =
        attempt(() -> hooks.get(spec.name()).thaw(began + spec.timeLimit().toNanos()));
    if (expired && attempt.outcome() == Outcome.DONE) {
      attempt =
          new Hook.Attempt(
              Outcome.EXPIRED, attempt.exitCode(), "thawed at its limit\n" + attempt.output());
    }
    return result(spec, Phase.THAW, attempt, began);
  }

  /** A refusal, as of a file of credentials that others may read by now, is a failure, too. */
  private static Hook.Attempt attempt(Supplier<Hook.Attempt> half) {
    try {
      return half.get();
    } catch (RuntimeException e) {
      if (!(e instanceof Refusal)) {
        log.error("a hook broke", e);
      }
      String sentence = e instanceof Refusal ? e.getMessage() : e.toString();
      return new Hook.Attempt(Outcome.FAILED, HookResult.NO_EXIT_CODE, sentence);
    }
  }

  private static HookResult result(
      ApplicationSpec spec, Phase phase, Hook.Attempt attempt, long began) {
    HookResult result =
        new HookResult(
            spec.name(),
            phase,
            attempt.outcome(),
            spec.crashAllowed(),
            attempt.exitCode(),
            TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began),
            attempt.output());
    if (result.done()) {
      log.info("{}: {} in {} ms", spec.name(), phase, result.millis());
    } else {
      log.warn("{}: {} {}: {}", spec.name(), phase, result.outcome(), result.output());
    }
    return result;
  }

  private void beginThaw(Flight flight, boolean expired) {
    synchronized (this) {
      if (flight.thawing) {
        return;
      }
      flight.thawing = true;
      flight.cancelled = true;
      if (waiting.remove(flight)) {
        flight.quiesced.complete(
            flight.steps.stream().flatMap(List::stream).map(Applications::skipped).toList());
        flight.thawed.complete(List.of());
        return;
      }
    }
    flight.quiesced.whenCompleteAsync(
        (results, failure) -> finish(flight, thawAll(flight, expired)), workers);
  }

  private List<HookResult> thawAll(Flight flight, boolean expired) {
    List<HookResult> results = new ArrayList<>();
    for (List<ApplicationSpec> step : flight.frozen) {
      results.addAll(all(step, spec -> thaw(spec, expired)));
    }
    flight.frozen.clear();
    return results;
  }

  private void finish(Flight flight, List<HookResult> thawResults) {
    synchronized (this) {
      current = null;
      forget();
      Flight next = waiting.poll();
      if (next != null) {
        begin(next);
      }
    }
    flight.thawed.complete(thawResults);
  }

  /** What is over longest, beyond what is remembered. */
  private void forget() {
    flights.values().removeIf(f -> f.thawed.isDone() && flights.size() > REMEMBERED_MAX);
  }

  /** Thaws what is quiesced and takes no more; waits for that, within a limit. */
  @Override
  public void close() {
    List<Flight> open;
    synchronized (this) {
      closed = true;
      open = flights.values().stream().filter(flight -> !flight.thawed.isDone()).toList();
    }
    open.forEach(flight -> beginThaw(flight, true));
    CompletableFuture<?>[] ends =
        open.stream().map(f -> f.thawed).toArray(CompletableFuture[]::new);
    try {
      CompletableFuture.allOf(ends).orTimeout(CLOSE_LIMIT.toMillis(), TimeUnit.MILLISECONDS).join();
    } catch (CompletionException e) {
      log.error("applications are not all thawed: their guards go on", e.getCause());
    }
    workers.shutdown();
    watch.shutdownNow();
  }
}
