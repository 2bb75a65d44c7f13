package io.tidemark.link;

import io.tidemark.config.Endpoint;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.RemoteNode;
import io.tidemark.remote.RemoteSite;
import io.tidemark.remote.RemoteSites;
import io.tidemark.replication.Counterparts;
import io.tidemark.site.Replicas.ReplicaSpec;
import io.tidemark.site.VolumeSummary;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicInteger;

/** The other sites by cluster messages; lines go to where their nodes take taps. */
final class RemoteCounterparts implements Counterparts {
  private final RemoteSites sites;
  private final AtomicInteger turn = new AtomicInteger();

  RemoteCounterparts(RemoteSites sites) {
    this.sites = sites;
  }

  @Override
  public CompletionStage<VolumeSummary> createReplica(
      String site, VolumeName volume, ReplicaSpec spec) {
    return sites
        .ask(site, new VolumeCommand.CreateReplica(volume, spec))
        .thenApply(VolumeCommand.Answer::volume);
  }

  @Override
  public CompletionStage<Endpoint> address(String site) {
    Optional<RemoteSite> known =
        sites.sites().stream().filter(one -> one.name().equals(site)).findFirst();
    if (known.isEmpty()) {
      return CompletableFuture.failedStage(
          new Refusal(
              ErrorCode.NOT_FOUND,
              "no node of this cluster belongs to site '" + Refusal.printable(site) + "'"));
    }
    List<Endpoint> open =
        known.get().nodes().stream()
            .filter(RemoteNode::reachable)
            .flatMap(node -> node.tapLink().stream())
            .map(RemoteCounterparts::endpoint)
            .toList();
    return open.isEmpty()
        ? CompletableFuture.failedStage(
            new Refusal(
                ErrorCode.NOT_ACKNOWLEDGED,
                "no node of site '" + site + "' can be reached that takes lines"))
        : CompletableFuture.completedStage(
            open.get(Math.floorMod(turn.getAndIncrement(), open.size())));
  }

  private static Endpoint endpoint(String address) {
    int colon = address.lastIndexOf(':');
    String host = address.substring(0, colon);
    boolean bracketed = host.startsWith("[") && host.endsWith("]");
    return new Endpoint(
        bracketed ? host.substring(1, host.length() - 1) : host,
        Integer.parseInt(address.substring(colon + 1)));
  }
}
