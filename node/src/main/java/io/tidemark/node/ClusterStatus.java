package io.tidemark.node;

import akka.actor.typed.ActorSystem;
import akka.cluster.ClusterEvent;
import akka.cluster.MemberStatus;
import akka.cluster.typed.Cluster;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import io.tidemark.http.NodeStatus;
import io.tidemark.localfile.LocalFiles;
import io.tidemark.position.MicroTime;
import io.tidemark.remote.RemoteSites;
import io.tidemark.tls.CertificateLife;
import io.tidemark.tls.TlsTroubles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** The node as its admin interface tells of it: the cluster's members, and whether it can serve. */
final class ClusterStatus implements NodeStatus {
  private static final Duration PROBE_TIMEOUT = Duration.ofSeconds(3);
  private static final SimpleStatement PROBE =
      SimpleStatement.newInstance("SELECT key FROM system.local").setTimeout(PROBE_TIMEOUT);

  private final ActorSystem<?> system;
  private final CqlSession session;
  private final RemoteSites sites;
  private final Optional<CertificateLife> certificate;
  private final MicroTime started;
  private final Map<String, String> addresses;
  private final Optional<Path> cassandra;

  /**
   * @param cassandra the directory of this node's own Cassandra, if it has one
   */
  ClusterStatus(
      ActorSystem<?> system,
      CqlSession session,
      RemoteSites sites,
      Optional<CertificateLife> certificate,
      MicroTime started,
      Map<String, String> addresses,
      Optional<Path> cassandra) {
    this.system = system;
    this.session = session;
    this.sites = sites;
    this.certificate = certificate;
    this.started = started;
    this.addresses = addresses;
    this.cassandra = cassandra;
  }

  @Override
  public Overview overview() {
    ClusterEvent.CurrentClusterState state = Cluster.get(system).state();
    List<NodeStatus.Member> members = new ArrayList<>();
    for (akka.cluster.Member member : state.getMembers()) {
      members.add(
          new NodeStatus.Member(
              member.address().toString(),
              member.status().toString(),
              member.dataCenter(),
              !state.getUnreachable().contains(member)));
    }
    return new Overview(sites.here(), version(), started, addresses, members);
  }

  @Override
  public RemoteSites sites() {
    return sites;
  }

  @Override
  public Security security() {
    return new Security(certificate, TlsTroubles.PROCESS.recent());
  }

  @Override
  public CompletionStage<Optional<Disk>> disk() {
    return CompletableFuture.supplyAsync(() -> cassandra.map(ClusterStatus::disk));
  }

  private static Disk disk(Path home) {
    try {
      long log = LocalFiles.bytes(home.resolve("commitlog"), file -> true);
      long tables = LocalFiles.bytes(home.resolve("data"), file -> true);
      return new Disk(tables, log, Files.getFileStore(home).getUsableSpace());
    } catch (IOException e) {
      throw new UncheckedIOException("cannot look at Cassandra's files in " + home, e);
    }
  }

  private static String version() {
    String version = ClusterStatus.class.getPackage().getImplementationVersion();
    return version == null ? "not packaged" : version;
  }

  @Override
  public CompletionStage<List<String>> notReady() {
    MemberStatus status = Cluster.get(system).selfMember().status();
    return session
        .executeAsync(PROBE)
        .handle(
            (rows, failure) -> {
              List<String> reasons = new ArrayList<>();
              if (failure != null) {
                reasons.add("Cassandra does not answer (" + failure.getMessage() + ")");
              }
              if (!status.equals(MemberStatus.up()) && !status.equals(MemberStatus.weaklyUp())) {
                reasons.add("this node is " + status + " in its cluster, not Up");
              }
              return reasons;
            });
  }
}
