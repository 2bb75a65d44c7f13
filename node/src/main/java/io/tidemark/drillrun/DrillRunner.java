package io.tidemark.drillrun;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import akka.japi.function.Function;
import io.tidemark.drill.DrillBook;
import io.tidemark.drill.DrillResult;
import io.tidemark.drill.DrillResult.Verdict;
import io.tidemark.drill.DrillSpec;
import io.tidemark.drill.DrillState;
import io.tidemark.image.ImageSummary;
import io.tidemark.image.Images;
import io.tidemark.image.OpenImage;
import io.tidemark.image.VolumePoints;
import io.tidemark.image.VolumePoints.Located;
import io.tidemark.point.PointReader;
import io.tidemark.position.At;
import io.tidemark.position.MicroClock;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.Site;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.UnaryOperator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Drills of the site from this node, and those that this node runs. */
public final class DrillRunner implements Drills, AutoCloseable {
  /** Drills that run on this node at once (N1). */
  public static final int RUNS_MAX = 2;

  static final String IMAGE_PREFIX = "drill-";
  private static final Duration LOOK_EVERY = Duration.ofSeconds(1);
  private static final Duration ASK_TIMEOUT = Duration.ofSeconds(10);

  /** A run that is not over so long after its check's limit is given up. */
  private static final Duration GRACE = Duration.ofMinutes(2);

  private static final Duration CLOSE_LIMIT = Duration.ofSeconds(30);

  private static final Logger LOG = LoggerFactory.getLogger(DrillRunner.class);

  /**
   * What drills work with.
   *
   * @param uris where processes of this machine find an image of this node, by its name
   */
  public record Parts(
      Site site,
      VolumePoints points,
      Images images,
      UnaryOperator<String> uris,
      MicroClock clock) {}

  private final ClusterSharding sharding;
  private final String node;
  private final Path programs;
  private final Parts parts;
  private final Scratch scratch;
  private final Semaphore slots = new Semaphore(RUNS_MAX);
  private final ExecutorService threads =
      Executors.newFixedThreadPool(RUNS_MAX, work -> daemon(work, "drill"));
  private final ScheduledExecutorService watch =
      Executors.newSingleThreadScheduledExecutor(work -> daemon(work, "drill-watch"));
  private volatile boolean closing;

  private DrillRunner(ActorSystem<?> system, String node, Path programs, Parts parts) {
    this.sharding = ClusterSharding.get(system);
    this.node = node;
    this.programs = programs;
    this.parts = parts;
    this.scratch = new Scratch(node);
  }

  private static Thread daemon(Runnable work, String name) {
    Thread thread = new Thread(work, name);
    thread.setDaemon(true);
    return thread;
  }

  /**
   * Begins to look for drills that are due, after removing what a killed node has left.
   *
   * @param node this node's name, the same after every restart on the same data directory
   * @param programs the directory of the operator's checks (N3); created if missing
   */
  public static DrillRunner start(ActorSystem<?> system, String node, Path programs, Parts parts)
      throws IOException, InterruptedException {
    DrillRunner runner =
        new DrillRunner(
            system, node, Files.createDirectories(programs).toAbsolutePath().normalize(), parts);
    DrillBook.init(runner.sharding);
    runner.scratch.removeLeftovers();
    runner.closeLeftImages();
    runner.watch.scheduleWithFixedDelay(
        runner::look, LOOK_EVERY.toMillis(), LOOK_EVERY.toMillis(), TimeUnit.MILLISECONDS);
    return runner;
  }

  private void closeLeftImages() {
    parts
        .images()
        .list()
        .thenAccept(
            images ->
                images.stream()
                    .filter(image -> image.node().equals(node))
                    .filter(image -> image.name().startsWith(IMAGE_PREFIX))
                    .forEach(image -> closeImage(image.name())))
        .exceptionally(
            failure -> {
              LOG.warn("images that drills may have left are not looked for", failure);
              return null;
            });
  }

  // The site's drills

  @Override
  public CompletionStage<DrillState> all() {
    return ask(DrillBook.GetDrills::new);
  }

  @Override
  public CompletionStage<DrillState.Drill> create(DrillSpec spec) {
    try {
      spec.checked();
    } catch (Refusal e) {
      return CompletableFuture.failedStage(e);
    }
    return parts
        .site()
        .volume(spec.volume())
        .thenCompose(
            there -> ask(ref -> new DrillBook.CreateDrill(spec, parts.clock().micros(), ref)))
        .thenApply(state -> state.drills().get(spec.name()));
  }

  @Override
  public CompletionStage<DrillState.Drill> get(String name) {
    return all()
        .thenApply(
            state -> {
              DrillState.Drill drill = state.drills().get(name);
              if (drill == null) {
                throw new Refusal(
                    ErrorCode.NOT_FOUND, "there is no drill '" + Refusal.printable(name) + "'");
              }
              return drill;
            });
  }

  @Override
  public CompletionStage<Void> delete(String name) {
    return get(name)
        .thenCompose(drill -> ask(ref -> new DrillBook.DeleteDrill(name, ref)))
        .thenApply(state -> null);
  }

  @Override
  public CompletionStage<DrillState.Drill> run(String name) {
    return get(name).thenCompose(drill -> begin(drill.spec(), true));
  }

  // Running

  /** Begins what is due; another node may have been faster. */
  private void look() {
    all()
        .whenComplete(
            (state, failure) -> {
              if (failure != null) {
                LOG.debug("the drills are not known now", failure);
                return;
              }
              long now = parts.clock().micros();
              for (DrillState.Drill drill : state.drills().values()) {
                if (drill.due(now) && slots.availablePermits() > 0) {
                  begin(drill.spec(), false)
                      .whenComplete(
                          (begun, refused) -> {
                            if (refused != null) {
                              LOG.debug("{} is not run here", drill.spec().name(), refused);
                            }
                          });
                }
              }
            });
  }

  private CompletionStage<DrillState.Drill> begin(DrillSpec spec, boolean byHand) {
    if (closing || !slots.tryAcquire()) {
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.BUSY,
              RUNS_MAX + " drills are running on this node, the most that may; wait for one"));
    }
    String run = UUID.randomUUID().toString();
    long now = parts.clock().micros();
    long until =
        now
            + TimeUnit.SECONDS.toMicros(spec.limitSeconds())
            + TimeUnit.MILLISECONDS.toMicros(GRACE.toMillis());
    return ask(ref -> new DrillBook.BeginRun(spec.name(), run, node, byHand, now, until, ref))
        .whenComplete(
            (state, refused) -> {
              if (refused != null) {
                slots.release();
              } else {
                threads.execute(() -> runAndRecord(spec, run));
              }
            })
        .thenApply(state -> state.drills().get(spec.name()));
  }

  private void runAndRecord(DrillSpec spec, String run) {
    DrillResult result;
    try {
      result = run(spec, run);
    } finally {
      slots.release();
    }
    LOG.info("drill {}: {} {}", spec.name(), result.verdict(), result.words());
    ask(ref -> new DrillBook.EndRun(spec.name(), result, ref))
        .whenComplete(
            (recorded, failure) -> {
              if (failure != null) {
                LOG.warn("the result of drill {} is not recorded", spec.name(), failure);
              }
            });
  }

  private DrillResult run(DrillSpec spec, String run) {
    long started = parts.clock().micros();
    Optional<Located> located = Optional.empty();
    try {
      Located point =
          parts.points().locate(spec.volume(), At.parse(spec.at())).toCompletableFuture().join();
      located = Optional.of(point);
      Check.Finding finding = checked(spec, run, point);
      return result(
          run, located, started, finding.good() ? Verdict.PASSED : Verdict.FAILED, finding.words());
    } catch (TimeoutException e) {
      String words = "not over within " + spec.limitSeconds() + " s: " + e.getMessage();
      return result(run, located, started, Verdict.FAILED, words);
    } catch (CheckError e) {
      return result(run, located, started, Verdict.ERROR, e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return result(run, located, started, Verdict.ERROR, "the node ended");
    } catch (CompletionException e) {
      return result(run, located, started, Verdict.ERROR, String.valueOf(e.getCause()));
    } catch (IOException | RuntimeException e) {
      LOG.warn("drill {} could not be run", spec.name(), e);
      return result(run, located, started, Verdict.ERROR, e.toString());
    }
  }

  private DrillResult result(
      String run, Optional<Located> located, long started, Verdict verdict, String words) {
    return new DrillResult(
        run,
        located.map(Located::volume),
        located.map(Located::point),
        started,
        parts.clock().micros(),
        verdict,
        words);
  }

  private Check.Finding checked(DrillSpec spec, String run, Located point)
      throws CheckError, IOException, InterruptedException, TimeoutException {
    PointReader content = parts.points().open(point).toCompletableFuture().join();
    ImageSummary image =
        parts
            .images()
            .open(
                new OpenImage(
                    spec.volume(),
                    new At.Seq(point.point().seq()),
                    true,
                    Optional.of(IMAGE_PREFIX + spec.name() + "-" + run)))
            .toCompletableFuture()
            .join();
    Path directory = scratch.create();
    try {
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(spec.limitSeconds());
      String uri = parts.uris().apply(image.name());
      return check(spec).run(new Check.Disk(image, uri, content, directory, deadline));
    } finally {
      closeImage(image.name());
      scratch.remove(directory);
    }
  }

  private Check check(DrillSpec spec) {
    return switch (spec.check()) {
      case "fsck" -> new FileSystemCheck();
      case "postgresql" -> new PostgresCheck(spec.arguments());
      default -> new CommandCheck(programs, spec.arguments());
    };
  }

  private void closeImage(String name) {
    parts
        .images()
        .close(name, true)
        .whenComplete(
            (closed, failure) -> {
              if (failure != null) {
                LOG.warn(
                    "image {} of a drill is not closed; the next start does it", name, failure);
              }
            });
  }

  private CompletionStage<DrillState> ask(
      Function<ActorRef<DrillBook.Reply>, DrillBook.Command> command) {
    return sharding
        .entityRefFor(DrillBook.TYPE_KEY, DrillBook.ENTITY_ID)
        .<DrillBook.Reply>ask(command, ASK_TIMEOUT)
        .thenApply(
            reply -> {
              if (reply instanceof DrillBook.Refused refused) {
                throw new Refusal(refused.code(), refused.message());
              }
              return ((DrillBook.Book) reply).state();
            });
  }

  /** Ends the checks that run; their points stay unproven. Blocks. */
  @Override
  public void close() {
    closing = true;
    watch.shutdownNow();
    threads.shutdownNow();
    try {
      if (!threads.awaitTermination(CLOSE_LIMIT.toSeconds(), TimeUnit.SECONDS)) {
        LOG.warn("a drill does not end; what it leaves is removed at the next start");
      }
    } catch (InterruptedException e) {
      LOG.warn("not waited for the end of drills; what they leave is removed at the next start");
      Thread.currentThread().interrupt();
    }
  }
}
