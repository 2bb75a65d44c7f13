package io.tidemark.site;

import akka.actor.ExtendedActorSystem;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Behavior;
import akka.actor.typed.Props;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.javadsl.Adapter;
import akka.actor.typed.javadsl.Behaviors;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import akka.cluster.sharding.typed.javadsl.Entity;
import akka.persistence.cassandra.cleanup.Cleanup;
import com.typesafe.config.Config;
import io.tidemark.group.ClusterGroups;
import io.tidemark.group.EventPurge;
import io.tidemark.group.GroupDirectory;
import io.tidemark.group.GroupEntity;
import io.tidemark.group.GroupParts;
import io.tidemark.group.Groups;
import io.tidemark.position.VolumeName;
import io.tidemark.serialization.EventSerializer;
import io.tidemark.tag.ConsistencyTag;
import io.tidemark.tag.HoldTimes;
import io.tidemark.tag.TagParts;
import io.tidemark.tag.TagSettings;
import io.tidemark.tag.TagSummary;
import io.tidemark.volume.VolumeEntity;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import scala.jdk.javaapi.FutureConverters;

/** Starts what groups and tags need on a node. */
final class SiteGroups {
  /**
   * What of the site they use.
   *
   * @param events takes what administrators want to know of
   */
  record Around(
      Site site,
      Retention retention,
      Function<VolumeName, RecipientRef<VolumeEntity.Command>> volumes,
      Consumer<SiteEvent> events) {}

  private record WakeAll() {}

  private SiteGroups() {}

  static Groups init(ActorSystem<?> system, Config config, SiteParts parts, Around around) {
    ClusterSharding sharding = ClusterSharding.get(system);
    TagSettings settings = TagSettings.of(config);
    HoldTimes holds = new HoldTimes();
    SecureRandom random = new SecureRandom();
    EventSerializer serializer =
        new EventSerializer((ExtendedActorSystem) Adapter.toClassic(system));
    TagParts tagParts =
        new TagParts(
            settings,
            around.volumes(),
            parts.tags(),
            serializer::toBinary,
            random::nextLong,
            holds,
            parts.clock());
    sharding.init(
        Entity.of(
            ConsistencyTag.TYPE_KEY,
            entity -> ConsistencyTag.create(entity.getEntityId(), tagParts)));
    BiFunction<UUID, String, RecipientRef<ConsistencyTag.Command>> tags =
        (group, name) ->
            sharding.entityRefFor(ConsistencyTag.TYPE_KEY, ConsistencyTag.entityId(group, name));
    String siteName = config.getString("tidemark.site.name");
    Supplier<RecipientRef<GroupDirectory.Command>> directories =
        () -> sharding.entityRefFor(GroupDirectory.TYPE_KEY, siteName);
    GroupParts groupParts =
        new GroupParts(
            settings,
            tags,
            directories,
            parts.tags(),
            purge(system, parts),
            parts.clock(),
            around.events());
    sharding.init(
        Entity.of(
            GroupEntity.TYPE_KEY, entity -> GroupEntity.create(entity.getEntityId(), groupParts)));
    Function<String, RecipientRef<GroupEntity.Command>> groups =
        name -> sharding.entityRefFor(GroupEntity.TYPE_KEY, name);
    sharding.init(
        Entity.of(
            GroupDirectory.TYPE_KEY,
            entity -> GroupDirectory.create(entity.getEntityId(), groups)));
    RecipientRef<GroupDirectory.Command> directory = directories.get();
    Duration every = config.getDuration("tidemark.group.wake-every");
    akka.cluster.Cluster.get(system)
        .registerOnMemberUp(
            () -> system.systemActorOf(waker(directory, every), "group-waker", Props.empty()));
    return new ClusterGroups(
        system,
        around.site(),
        around.retention(),
        new ClusterGroups.Entities(
            groups,
            directory,
            groupParts,
            parts.tags(),
            body ->
                (TagSummary) serializer.fromBinary(body, serializer.manifestOf(TagSummary.class))),
        holds,
        config.getDuration("tidemark.site.ask-timeout"));
  }

  /** On every node: whichever nodes are lost, schedules go on with those that are left. */
  private static Behavior<WakeAll> waker(
      RecipientRef<GroupDirectory.Command> directory, Duration every) {
    return Behaviors.withTimers(
        timers -> {
          timers.startTimerWithFixedDelay(new WakeAll(), Duration.ZERO, every);
          return Behaviors.receive(WakeAll.class)
              .onMessage(
                  WakeAll.class,
                  wake -> {
                    directory.tell(new GroupDirectory.WakeGroups());
                    return Behaviors.same();
                  })
              .build();
        });
  }

  /** A journal that is not Cassandra's is in memory, and ends with its process. */
  private static EventPurge purge(ActorSystem<?> system, SiteParts parts) {
    if (parts.journalSession().isEmpty()) {
      return id -> CompletableFuture.completedStage(null);
    }
    Cleanup cleanup = new Cleanup(system);
    return id -> FutureConverters.asJava(cleanup.deleteAllEvents(id, true)).thenApply(done -> null);
  }
}
