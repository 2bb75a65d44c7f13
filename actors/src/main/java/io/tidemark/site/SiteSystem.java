package io.tidemark.site;

import akka.Done;
import akka.actor.Address;
import akka.actor.BootstrapSetup;
import akka.actor.CoordinatedShutdown;
import akka.actor.setup.ActorSystemSetup;
import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.DispatcherSelector;
import akka.actor.typed.Props;
import akka.actor.typed.RecipientRef;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.pubsub.Topic;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import akka.cluster.sharding.typed.javadsl.Entity;
import akka.cluster.sharding.typed.javadsl.EntityRef;
import akka.cluster.typed.Cluster;
import akka.cluster.typed.Join;
import akka.cluster.typed.JoinSeedNodes;
import com.datastax.oss.driver.api.core.CqlSession;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.tidemark.artery.ArteryTls;
import io.tidemark.cassandra.CassandraSettings;
import io.tidemark.group.Groups;
import io.tidemark.journal.ClusterJournal;
import io.tidemark.journal.Journal;
import io.tidemark.journal.JournalParts;
import io.tidemark.journal.JournalSettings;
import io.tidemark.link.VolumeCommand;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.ClusterSites;
import io.tidemark.remote.RemoteSites;
import io.tidemark.tls.TlsFiles;
import io.tidemark.volume.RestingVolumes;
import io.tidemark.volume.VolumeEntity;
import io.tidemark.volume.VolumeHistories;
import io.tidemark.volume.VolumeParts;
import io.tidemark.volume.VolumeSettings;
import io.tidemark.witness.ClusterWitness;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A node's part of its site: the actor system "tidemark", a member of the cluster, with the
 * entities' shards. Settings: {@code tidemark.site}, {@code tidemark.cluster}, {@code
 * tidemark.volume}, {@code tidemark.journal}; whatever stands under {@code tidemark.akka} overrides
 * Akka's own settings.
 */
public final class SiteSystem {
  private static final String NAME = "tidemark";
  private static final Duration LET_IN_LIMIT = Duration.ofSeconds(40);
  private static final Pattern HOST_PORT = Pattern.compile("(.+):(\\d{1,5})");

  private final ActorSystem<Void> system;
  private final ClusterSite site;
  private final Journal journal;
  private final VolumeHistories histories;
  private final Groups groups;
  private final ClusterSites remotes;
  private final Consumer<SiteEvent> events;

  private SiteSystem(
      ActorSystem<Void> system,
      ClusterSite site,
      Journal journal,
      VolumeHistories histories,
      Groups groups,
      ClusterSites remotes,
      Consumer<SiteEvent> events) {
    this.system = system;
    this.site = site;
    this.journal = journal;
    this.histories = histories;
    this.groups = groups;
    this.remotes = remotes;
    this.events = events;
  }

  /**
   * Creates the journal's tables, starts the actor system and joins the cluster; {@link #up} tells
   * when entities can be used. Blocks while the tables are created.
   *
   * @param config with all {@code reference.conf} loaded
   */
  public static SiteSystem start(Config config, SiteParts parts) {
    Config full = akkaConfig(config, parts.journalSession().isPresent());
    ActorSystemSetup setup = ActorSystemSetup.create(BootstrapSetup.create(full));
    if (parts.journalSession().isPresent()) {
      setup = setup.withSetup(new JournalSessions.Opener(parts.journalSession().get()));
    }
    ActorSystem<Void> system = ActorSystem.create(Behaviors.empty(), NAME, setup);
    try {
      parts.journalSession().ifPresent(session -> createTables(system, full, session));
      SiteSystem started = wire(system, full, parts);
      join(system, full, started.remotes);
      return started;
    } catch (RuntimeException e) {
      system.terminate();
      throw e;
    }
  }

  private static void createTables(
      ActorSystem<Void> system, Config config, Supplier<CompletionStage<CqlSession>> open) {
    String keyspace = CassandraSettings.of(config).keyspace();
    try (CqlSession session = open.get().toCompletableFuture().join()) {
      JournalTables.create(system, keyspace, session);
    }
  }

  private static SiteSystem wire(ActorSystem<Void> system, Config config, SiteParts parts) {
    String siteName = config.getString("tidemark.site.name");
    VolumeHistories histories = VolumeHistories.of(system);
    // Topics reach all data centers; these are only for the own one.
    ActorRef<Topic.Command<SitePublication>> topic =
        system.systemActorOf(
            Topic.create(SitePublication.class, "site-events-" + siteName),
            "site-events",
            Props.empty());
    SecureRandom random = new SecureRandom();
    RestingVolumes resting = RestingPublication.start(system, siteName);
    GroupTags tags = new GroupTags();
    VolumeParts volumeParts =
        new VolumeParts(
            siteName,
            VolumeSettings.of(config),
            parts.store(),
            parts.indexWriter(),
            parts.indexStore(),
            parts.fence(),
            histories,
            system.dispatchers().lookup(DispatcherSelector.fromConfig("tidemark.index-dispatcher")),
            system
                .dispatchers()
                .lookup(DispatcherSelector.fromConfig("tidemark.retention-dispatcher")),
            parts.clock(),
            () -> random.nextLong() & Long.MAX_VALUE,
            resting,
            event -> topic.tell(Topic.publish(new SitePublication(event))),
            tags);
    ClusterSharding sharding = ClusterSharding.get(system);
    sharding.init(
        Entity.of(
                VolumeEntity.TYPE_KEY,
                entity -> VolumeEntity.create(new VolumeName(entity.getEntityId()), volumeParts))
            .withStopMessage(VolumeEntity.sleep()));
    Function<VolumeName, RecipientRef<VolumeEntity.Command>> volumes =
        name -> sharding.entityRefFor(VolumeEntity.TYPE_KEY, name.value());
    sharding.init(
        Entity.of(
            SiteDirectory.TYPE_KEY,
            entity ->
                SiteDirectory.create(
                    entity.getEntityId(), volumes, volumeParts.settings().orphanDelay())));
    EntityRef<SiteDirectory.Command> directory =
        sharding.entityRefFor(SiteDirectory.TYPE_KEY, siteName);
    // Wakes the directory, which sees to what deleted volumes left behind.
    akka.cluster.Cluster.get(system)
        .registerOnMemberUp(() -> directory.tell(new SiteDirectory.GetNames(system.ignoreRef())));
    ClusterSite site =
        new ClusterSite(
            system,
            volumes,
            directory,
            topic,
            new RestingSummaries(resting, parts.fence()),
            config.getDuration("tidemark.site.ask-timeout"));
    Journal journal =
        new ClusterJournal(
            system,
            new JournalParts(
                JournalSettings.of(config),
                volumes,
                parts.store(),
                parts.points(),
                histories,
                system
                    .dispatchers()
                    .lookup(DispatcherSelector.fromConfig("tidemark.worker-dispatcher"))));
    Consumer<SiteEvent> events = volumeParts.events();
    Groups groups =
        SiteGroups.init(system, config, parts, new SiteGroups.Around(site, site, volumes, events));
    tags.ask(groups);
    ClusterSites remotes = ClusterSites.start(system, config, parts.clock(), events);
    VolumeCommand.serve(remotes, site, site);
    ClusterWitness.start(system, remotes, parts.fence());
    return new SiteSystem(system, site, journal, histories, groups, remotes, events);
  }

  /**
   * The first of the site's seeds, and a node without seeds, forms a cluster when nobody else is
   * there, be it of this site or of another; all others wait for it.
   */
  private static void join(ActorSystem<Void> system, Config config, ClusterSites remotes) {
    Cluster cluster = Cluster.get(system);
    Address self = cluster.selfMember().address();
    List<Address> seeds = new ArrayList<>();
    for (String seed : config.getStringList("tidemark.cluster.seeds")) {
      Matcher matcher = HOST_PORT.matcher(seed);
      if (!matcher.matches()) {
        throw new Refusal(
            ErrorCode.INVALID,
            "tidemark.cluster.seeds: '" + Refusal.printable(seed) + "' is not HOST:PORT");
      }
      seeds.add(new Address("akka", NAME, matcher.group(1), Integer.parseInt(matcher.group(2))));
    }
    if (seeds.isEmpty() || seeds.get(0).equals(self)) {
      ClusterSites.Candidates candidates = remotes.toJoin(seeds);
      seeds.clear();
      if (candidates.found()) {
        // Forming another cluster because that one is slow would keep them apart.
        formAloneUnlessJoined(system, cluster);
      } else {
        seeds.add(self);
      }
      seeds.addAll(candidates.nodes());
    }
    cluster
        .manager()
        .tell(seeds.equals(List.of(self)) ? Join.create(self) : new JoinSeedNodes(seeds));
  }

  /** Those that were there when this node started may be gone before they let it in. */
  private static void formAloneUnlessJoined(ActorSystem<Void> system, Cluster cluster) {
    AtomicBoolean joined = new AtomicBoolean();
    akka.cluster.Cluster.get(system).registerOnMemberUp(() -> joined.set(true));
    system
        .scheduler()
        .scheduleOnce(
            LET_IN_LIMIT,
            () -> {
              if (!joined.get()) {
                cluster.manager().tell(Join.create(cluster.selfMember().address()));
              }
            },
            system.executionContext());
  }

  /** Akka's settings: what the site's settings imply over our defaults over Akka's. */
  private static Config akkaConfig(Config config, boolean journalInCassandra) {
    Config derived =
        ConfigFactory.parseMap(derived(config, journalInCassandra), "derived from tidemark.*");
    return config
        .getConfig("tidemark.akka")
        .atPath("akka")
        .withFallback(derived)
        .withFallback(ConfigFactory.parseResources("tidemark-akka.conf"))
        .withFallback(config)
        .resolve();
  }

  private static Map<String, Object> derived(Config config, boolean journalInCassandra) {
    Map<String, Object> akka = new HashMap<>();
    akka.put(
        "akka.cluster.multi-data-center.self-data-center", config.getString("tidemark.site.name"));
    akka.put("akka.remote.artery.canonical.hostname", config.getString("tidemark.cluster.address"));
    akka.put("akka.remote.artery.canonical.port", config.getInt("tidemark.cluster.port"));
    if (TlsFiles.of(config).isPresent()) {
      akka.put("akka.remote.artery.transport", "tls-tcp");
      akka.put("akka.remote.artery.ssl.ssl-engine-provider", ArteryTls.class.getName());
    }
    akka.put(
        "akka.cluster.sharding.passivation.default-idle-strategy.idle-entity.timeout",
        config.getString("tidemark.volume.passivate-after"));
    if (journalInCassandra) {
      akka.put("akka.cluster.split-brain-resolver.active-strategy", "lease-majority");
      akka.put("tidemark-cluster-lease.keyspace", CassandraSettings.of(config).keyspace());
      putCassandra(akka, CassandraSettings.of(config));
    }
    return akka;
  }

  private static void putCassandra(Map<String, Object> akka, CassandraSettings settings) {
    List<String> replicas =
        settings.replication().entrySet().stream()
            .map(e -> e.getKey() + ":" + e.getValue())
            .sorted()
            .toList();
    for (String plugin : List.of("journal", "snapshot")) {
      String path = "akka.persistence.cassandra." + plugin + ".";
      akka.put(path + "keyspace", settings.keyspace());
      akka.put(path + "replication-strategy", "NetworkTopologyStrategy");
      akka.put(path + "data-center-replication-factors", replicas);
    }
  }

  public ActorSystem<Void> system() {
    return system;
  }

  public Site site() {
    return site;
  }

  /** Changes what the site's volumes are to other sites. */
  public Replicas replicas() {
    return site;
  }

  /** Tells the site's administrators. */
  public Consumer<SiteEvent> events() {
    return events;
  }

  /** How much history volumes keep. */
  public Retention retention() {
    return site;
  }

  /** The site's groups and tags. */
  public Groups groups() {
    return groups;
  }

  /** The other sites of the cluster. */
  public RemoteSites remotes() {
    return remotes;
  }

  /** For the tap links that end at this node. */
  public Journal journal() {
    return journal;
  }

  /** Reads volumes' segments; for {@code Points}. */
  public VolumeHistories histories() {
    return histories;
  }

  /** Completes when this node is a member of the cluster. */
  public CompletionStage<Void> up() {
    CompletableFuture<Void> up = new CompletableFuture<>();
    akka.cluster.Cluster.get(system).registerOnMemberUp(() -> up.complete(null));
    system
        .getWhenTerminated()
        .whenComplete(
            (done, failure) ->
                up.completeExceptionally(
                    new Refusal(ErrorCode.FAILED, "the node stopped before it joined its site")));
    return up;
  }

  /** Hands the node's shards over, leaves the cluster and stops the actor system. */
  public CompletionStage<Done> stop() {
    return CoordinatedShutdown.get(system).runAll(CoordinatedShutdown.actorSystemTerminateReason());
  }
}
