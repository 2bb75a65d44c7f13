package io.tidemark.imageserver;

import akka.Done;
import akka.actor.Cancellable;
import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Props;
import akka.actor.typed.javadsl.AskPattern;
import akka.actor.typed.receptionist.Receptionist;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import akka.japi.function.Function;
import io.tidemark.image.ImageDirectory;
import io.tidemark.image.ImageEntity;
import io.tidemark.image.ImageEntity.Described;
import io.tidemark.image.ImageSpec;
import io.tidemark.image.ImageSummary;
import io.tidemark.image.Images;
import io.tidemark.image.OpenImage;
import io.tidemark.image.VolumePoints;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The site's images from this node: opens images here, finds and closes them wherever they are, and
 * takes up its own again after a restart (I4).
 */
public final class SiteImages implements Images {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,127}");
  private static final Duration ASK_TIMEOUT = Duration.ofSeconds(10);
  private static final Duration LEAVING_LIMIT = Duration.ofSeconds(2);
  private static final Duration LEAVING_POLL = Duration.ofMillis(20);
  private static final Duration CONDITIONS_TIMEOUT = Duration.ofSeconds(2);
  private static final Duration RETRY_MIN = Duration.ofMillis(500);
  private static final Duration RETRY_MAX = Duration.ofSeconds(30);

  /** An image's point is kept so long after its node was last heard of (J8). */
  private static final Duration HOLD = Duration.ofDays(7);

  private static final Duration HOLD_RENEWAL = Duration.ofHours(1);
  private static final AtomicInteger HOSTS = new AtomicInteger();
  private static final Logger LOG = LoggerFactory.getLogger(SiteImages.class);

  /** Where clients find an image of this node. */
  @FunctionalInterface
  public interface Addresses {
    /** An NBD URI for the export of that name. */
    String uri(String imageName);
  }

  private final ActorSystem<?> system;
  private final ClusterSharding sharding;
  private final String node;
  private final ImageServer server;
  private final VolumePoints points;
  private final Addresses addresses;
  private final MicroClock clock;
  private final Map<String, ImageSpec> held = new ConcurrentHashMap<>();
  private Cancellable renewal = Cancellable.alreadyCancelled();
  private volatile boolean stopped;

  private SiteImages(
      ActorSystem<?> system,
      String node,
      ImageServer server,
      VolumePoints points,
      Addresses addresses,
      MicroClock clock) {
    this.system = system;
    this.sharding = ClusterSharding.get(system);
    this.node = node;
    this.server = server;
    this.points = points;
    this.addresses = addresses;
    this.clock = clock;
  }

  /**
   * Joins the site's images; call {@link #resume} once the journal answers.
   *
   * @param node this node's name, the same after every restart on the same data directory
   */
  public static SiteImages start(
      ActorSystem<?> system,
      String node,
      ImageServer server,
      VolumePoints points,
      Addresses addresses,
      MicroClock clock) {
    SiteImages images = new SiteImages(system, node, server, points, addresses, clock);
    ImageDirectory.init(images.sharding);
    ImageEntity.init(images.sharding);
    system.systemActorOf(
        ImageHost.create(node, images.local()),
        "image-host-" + HOSTS.incrementAndGet(),
        Props.empty());
    images.renewal =
        system
            .scheduler()
            .scheduleWithFixedDelay(
                HOLD_RENEWAL, HOLD_RENEWAL, images::renewHolds, system.executionContext());
    return images;
  }

  /** Stops trying to take up images that could not be served yet. */
  public void stop() {
    stopped = true;
    renewal.cancel();
  }

  // Opening

  @Override
  public CompletionStage<ImageSummary> open(OpenImage request) {
    long begun = clock.micros();
    if (request.name().isPresent() && !NAME.matcher(request.name().get()).matches()) {
      return CompletableFuture.failedStage(noName(request.name().get()));
    }
    return points
        .locate(request.volume(), request.at())
        .thenCompose(
            located ->
                take(request, located)
                    .thenCompose(name -> openTaken(spec(name, request, located, begun))));
  }

  private static Refusal noName(String name) {
    return new Refusal(
        ErrorCode.INVALID,
        "'"
            + Refusal.printable(name)
            + "' is no image name: use 1 to 128 letters, digits, '.', '_' or '-', beginning with"
            + " a letter or digit");
  }

  private CompletionStage<String> take(OpenImage request, VolumePoints.Located located) {
    String wanted = request.name().orElse(located.name() + "-seq" + located.point().seq().value());
    return askDirectory(
            ref -> new ImageDirectory.TakeName(wanted, request.name().isPresent(), node, ref))
        .thenApply(reply -> ((ImageDirectory.Taken) reply).name());
  }

  private ImageSpec spec(
      String name, OpenImage request, VolumePoints.Located located, long openedMicros) {
    return new ImageSpec(
        name,
        located.name(),
        located.volume(),
        located.sizeBytes(),
        located.point(),
        request.writable(),
        node,
        new MicroTime(openedMicros));
  }

  private CompletionStage<ImageSummary> openTaken(ImageSpec spec) {
    return ask(spec.name(), ref -> new ImageEntity.Open(spec, ref))
        .thenCompose(described -> hold(spec))
        .thenCompose(holds -> server.serve(spec, false))
        .thenCompose(served -> confirm(spec))
        .thenApply(this::summaryHere)
        .handle(
            (summary, failure) ->
                failure == null
                    ? CompletableFuture.completedStage(summary)
                    : undo(spec.name(), failure))
        .thenCompose(outcome -> outcome);
  }

  private CompletionStage<Described> confirm(ImageSpec spec) {
    long millis = Math.max(0, (clock.micros() - spec.opened().micros()) / 1_000);
    String uri = addresses.uri(spec.name());
    return ask(spec.name(), ref -> new ImageEntity.ConfirmServing(uri, millis, ref))
        .thenApply(
            reply -> {
              if (reply instanceof Described described) {
                return described;
              }
              throw noImage(spec.name());
            });
  }

  private CompletionStage<ImageSummary> undo(String name, Throwable failure) {
    return endHere(name)
        .handle(
            (done, second) -> {
              if (second != null) {
                LOG.warn("image {} will be removed when the node starts again", name, second);
              }
              throw new CompletionException(Failures.cause(failure));
            });
  }

  // Holding

  /** The point is not given up while the image is open (J8). */
  private CompletionStage<Void> hold(ImageSpec spec) {
    held.put(spec.name(), spec);
    return points.hold(spec.located(), holder(spec.name()), false, HOLD);
  }

  private static String holder(String name) {
    return "image:" + name;
  }

  private void renewHolds() {
    for (ImageSpec spec : held.values()) {
      points
          .hold(spec.located(), holder(spec.name()), false, HOLD)
          .whenComplete(
              (done, failure) -> {
                if (failure != null) {
                  LOG.warn("the point of image {} is not held anew", spec.name(), failure);
                }
              });
    }
  }

  private CompletionStage<Void> release(String name, Optional<VolumeName> volume) {
    ImageSpec spec = held.remove(name);
    return Optional.ofNullable(spec)
        .map(ImageSpec::volume)
        .or(() -> volume)
        .map(of -> points.release(of, holder(name)))
        .orElseGet(() -> CompletableFuture.completedStage(null))
        .handle(
            (done, failure) -> {
              if (failure != null) {
                // What nobody renews ends by itself.
                LOG.warn("the point of image {} stays held for a while", name, failure);
              }
              return null;
            });
  }

  // Finding

  @Override
  public CompletionStage<List<ImageSummary>> list() {
    return names()
        .thenCompose(
            names -> {
              Map<String, String> sorted = new TreeMap<>(names);
              CompletionStage<Map<String, Optional<Map<String, ImageHost.Condition>>>> conditions =
                  conditions(Set.copyOf(sorted.values()));
              List<CompletionStage<ImageEntity.Reply>> replies =
                  sorted.keySet().stream()
                      .map(name -> ask(name, ImageEntity.GetImage::new))
                      .toList();
              return conditions.thenCompose(
                  known ->
                      sequence(replies)
                          .thenApply(
                              list ->
                                  list.stream()
                                      .filter(Described.class::isInstance)
                                      .map(Described.class::cast)
                                      .map(d -> summary(d, known.get(d.spec().node())))
                                      .toList()));
            });
  }

  @Override
  public CompletionStage<ImageSummary> get(String name) {
    return describe(name)
        .thenCompose(
            described ->
                conditions(described.spec().node()).thenApply(known -> summary(described, known)));
  }

  private CompletionStage<Described> describe(String name) {
    // Asking an entity of a name that nobody could have used would only cost memory.
    if (!NAME.matcher(name).matches()) {
      return CompletableFuture.failedStage(noImage(name));
    }
    return ask(name, ImageEntity.GetImage::new)
        .thenApply(
            reply -> {
              if (reply instanceof Described described) {
                return described;
              }
              throw noImage(name);
            });
  }

  private static Refusal noImage(String name) {
    return new Refusal(
        ErrorCode.NOT_FOUND, "there is no open image '" + Refusal.printable(name) + "'");
  }

  private ImageSummary summaryHere(Described described) {
    return summary(described, Optional.of(local().conditions()));
  }

  private static ImageSummary summary(
      Described described, Optional<Map<String, ImageHost.Condition>> known) {
    ImageSpec spec = described.spec();
    Optional<ImageHost.Condition> condition =
        known.flatMap(images -> Optional.ofNullable(images.get(spec.name())));
    String state =
        described.state().equals("Serving") && condition.isEmpty()
            ? "Unreachable"
            : described.state();
    return new ImageSummary(
        spec.name(),
        spec.volume(),
        described.uri(),
        spec.point(),
        spec.sizeBytes(),
        spec.writable(),
        state,
        spec.node(),
        spec.opened(),
        described.openMillis(),
        condition.map(ImageHost.Condition::overlayBytes).orElse(0L),
        condition.map(ImageHost.Condition::clients).orElse(0),
        condition.map(ImageHost.Condition::failedReads).orElse(0L),
        condition.flatMap(ImageHost.Condition::problem));
  }

  private CompletionStage<Map<String, Optional<Map<String, ImageHost.Condition>>>> conditions(
      Set<String> nodes) {
    List<String> order = List.copyOf(nodes);
    return sequence(order.stream().map(this::conditions).toList())
        .thenApply(
            known -> {
              Map<String, Optional<Map<String, ImageHost.Condition>>> byNode = new HashMap<>();
              for (int i = 0; i < order.size(); i++) {
                byNode.put(order.get(i), known.get(i));
              }
              return byNode;
            });
  }

  /** Empty when the node does not answer. */
  private CompletionStage<Optional<Map<String, ImageHost.Condition>>> conditions(String of) {
    if (of.equals(node)) {
      return CompletableFuture.completedStage(Optional.of(local().conditions()));
    }
    return host(of)
        .thenCompose(
            host ->
                AskPattern.<ImageHost.Command, ImageHost.Reply>ask(
                    host, ImageHost.GetConditions::new, CONDITIONS_TIMEOUT, system.scheduler()))
        .handle(
            (reply, failure) -> {
              if (reply instanceof ImageHost.Conditions known) {
                return Optional.of(known.images());
              }
              LOG.debug("node {} does not tell of its images", of, failure);
              return Optional.empty();
            });
  }

  // Closing

  @Override
  public CompletionStage<Void> close(String name, boolean force) {
    return describe(name)
        .thenCompose(
            described ->
                described.spec().node().equals(node)
                    ? closeHere(name, force, System.nanoTime() + LEAVING_LIMIT.toNanos())
                    : closeThere(described.spec().node(), name, force));
  }

  /** A client that has just disconnected may still be leaving: it is waited for, briefly. */
  private CompletionStage<Void> closeHere(String name, boolean force, long deadlineNanos) {
    int connected = server.condition(name).map(ImageServer.Condition::clients).orElse(0);
    if (connected > 0 && !force) {
      if (System.nanoTime() < deadlineNanos) {
        return later(LEAVING_POLL).thenCompose(rested -> closeHere(name, false, deadlineNanos));
      }
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.BUSY,
              "the image '"
                  + name
                  + "' has "
                  + connected
                  + (connected == 1 ? " client" : " clients")
                  + " connected; disconnect first or force it"));
    }
    return endHere(name);
  }

  private CompletionStage<Done> later(Duration delay) {
    CompletableFuture<Done> due = new CompletableFuture<>();
    system
        .scheduler()
        .scheduleOnce(delay, () -> due.complete(Done.getInstance()), system.executionContext());
    return due;
  }

  private CompletionStage<Void> closeThere(String of, String name, boolean force) {
    return host(of)
        .thenCompose(
            host ->
                AskPattern.<ImageHost.Command, ImageHost.Reply>ask(
                    host,
                    ref -> new ImageHost.CloseImage(name, force, ref),
                    ASK_TIMEOUT,
                    system.scheduler()))
        .handle(SiteImages::acknowledged)
        .thenAccept(
            reply -> {
              if (reply instanceof ImageHost.Refused refused) {
                throw new Refusal(refused.code(), refused.message());
              }
            });
  }

  /** Takes every step of closing that is still to be taken. */
  private CompletionStage<Void> endHere(String name) {
    return ask(name, ImageEntity.Close::new)
        .handle(
            (reply, failure) -> {
              if (failure == null || isNotFound(failure)) {
                return CompletableFuture.completedStage(volumeOf(reply));
              }
              return CompletableFuture.<Optional<VolumeName>>failedStage(Failures.cause(failure));
            })
        .thenCompose(closing -> closing)
        .thenCompose(volume -> server.drop(name).thenCompose(dropped -> release(name, volume)))
        .thenCompose(dropped -> ask(name, ImageEntity.ConfirmClosed::new))
        .thenCompose(gone -> askDirectory(ref -> new ImageDirectory.FreeName(name, ref)))
        .thenAccept(freed -> LOG.info("image {} is closed", name));
  }

  private static Optional<VolumeName> volumeOf(ImageEntity.Reply replyOrNull) {
    return replyOrNull instanceof Described described
        ? Optional.of(described.spec().volume())
        : Optional.empty();
  }

  private static boolean isNotFound(Throwable failure) {
    return Failures.cause(failure) instanceof Refusal refusal
        && refusal.code() == ErrorCode.NOT_FOUND;
  }

  // Taking up again after a restart

  /**
   * Serves every image of this node again, and finishes or undoes what a crash interrupted (I2). An
   * image that cannot be served yet is tried again in the background.
   *
   * @return completes when each image was tried once; fails when the journal does not answer
   */
  public CompletionStage<Void> resume() {
    return names()
        .thenCompose(
            names -> {
              Set<String> mine = new HashSet<>();
              names.forEach((name, of) -> addIf(mine, name, of.equals(node)));
              try {
                server.deleteOverlaysExcept(mine);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
              return sequence(mine.stream().map(name -> takeUp(name, RETRY_MIN)).toList());
            })
        .thenAccept(all -> {});
  }

  private static void addIf(Set<String> names, String name, boolean condition) {
    if (condition) {
      names.add(name);
    }
  }

  private CompletionStage<Done> takeUp(String name, Duration retry) {
    return ask(name, ImageEntity.GetImage::new)
        .thenCompose(
            reply ->
                reply instanceof Described described && described.state().equals("Serving")
                    ? hold(described.spec())
                        .thenCompose(holds -> server.serve(described.spec(), true))
                        .thenCompose(served -> confirm(described.spec()))
                        .thenAccept(confirmed -> LOG.info("image {} is served again", name))
                    : endHere(name))
        .handle(
            (done, failure) -> {
              if (failure != null) {
                onTakeUpFailed(name, retry, Failures.cause(failure));
              }
              return Done.getInstance();
            });
  }

  private void onTakeUpFailed(String name, Duration retry, Throwable failure) {
    if (stopped) {
      return;
    }
    if (isNotFound(failure)) {
      LOG.warn("image {} is closed: {}", name, failure.getMessage());
      endHere(name)
          .whenComplete(
              (done, second) -> {
                if (second != null) {
                  LOG.warn("image {} will be closed when the node starts again", name, second);
                }
              });
      return;
    }
    LOG.warn("image {} cannot be served, next try in {}", name, retry, failure);
    Duration doubled = retry.multipliedBy(2);
    Duration next = doubled.compareTo(RETRY_MAX) > 0 ? RETRY_MAX : doubled;
    system
        .scheduler()
        .scheduleOnce(retry, () -> retryTakeUp(name, next), system.executionContext());
  }

  private void retryTakeUp(String name, Duration next) {
    if (!stopped) {
      takeUp(name, next);
    }
  }

  // Asking

  private ImageHost.Local local() {
    return new ImageHost.Local() {
      @Override
      public CompletionStage<Void> close(String name, boolean force) {
        return closeHere(name, force, System.nanoTime() + LEAVING_LIMIT.toNanos());
      }

      @Override
      public Map<String, ImageHost.Condition> conditions() {
        Map<String, ImageHost.Condition> conditions = new HashMap<>();
        for (String name : server.names()) {
          server
              .condition(name)
              .ifPresent(
                  c ->
                      conditions.put(
                          name,
                          new ImageHost.Condition(
                              c.overlayBytes(), c.clients(), c.failedReads(), c.problem())));
        }
        return conditions;
      }
    };
  }

  private CompletionStage<Map<String, String>> names() {
    return askDirectory(ImageDirectory.GetNames::new)
        .thenApply(reply -> ((ImageDirectory.Listed) reply).nodes());
  }

  private CompletionStage<ActorRef<ImageHost.Command>> host(String of) {
    return AskPattern.<Receptionist.Command, Receptionist.Listing>ask(
            system.receptionist(),
            ref -> Receptionist.find(ImageHost.key(of), ref),
            CONDITIONS_TIMEOUT,
            system.scheduler())
        .thenApply(
            listing ->
                listing.getServiceInstances(ImageHost.key(of)).stream()
                    .findFirst()
                    .orElseThrow(
                        () ->
                            new Refusal(
                                ErrorCode.NOT_ACKNOWLEDGED,
                                "the node '" + of + "' that serves the image is not reachable")));
  }

  private CompletionStage<ImageEntity.Reply> ask(
      String name, Function<ActorRef<ImageEntity.Reply>, ImageEntity.Command> command) {
    return sharding
        .entityRefFor(ImageEntity.TYPE_KEY, name)
        .ask(command, ASK_TIMEOUT)
        .handle(SiteImages::acknowledged)
        .thenApply(
            reply -> {
              if (reply instanceof ImageEntity.Refused refused) {
                throw new Refusal(refused.code(), refused.message());
              }
              return reply;
            });
  }

  private CompletionStage<ImageDirectory.Reply> askDirectory(
      Function<ActorRef<ImageDirectory.Reply>, ImageDirectory.Command> command) {
    return sharding
        .entityRefFor(ImageDirectory.TYPE_KEY, ImageDirectory.ENTITY_ID)
        .ask(command, ASK_TIMEOUT)
        .handle(SiteImages::acknowledged)
        .thenApply(
            reply -> {
              if (reply instanceof ImageDirectory.Refused refused) {
                throw new Refusal(refused.code(), refused.message());
              }
              return reply;
            });
  }

  private static <T> T acknowledged(T reply, Throwable failure) {
    if (failure == null) {
      return reply;
    }
    Throwable cause = Failures.cause(failure);
    if (cause instanceof TimeoutException) {
      throw new Refusal(
          ErrorCode.NOT_ACKNOWLEDGED,
          "the site's images did not answer in time; look at the list before trying again",
          cause);
    }
    throw new CompletionException(cause);
  }

  private static <T> CompletionStage<List<T>> sequence(List<CompletionStage<T>> stages) {
    List<CompletableFuture<T>> futures = new ArrayList<>();
    stages.forEach(stage -> futures.add(stage.toCompletableFuture()));
    return CompletableFuture.allOf(futures.toArray(CompletableFuture[]::new))
        .thenApply(done -> futures.stream().map(CompletableFuture::join).toList());
  }
}
