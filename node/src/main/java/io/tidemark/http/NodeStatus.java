package io.tidemark.http;

import io.tidemark.position.MicroTime;
import io.tidemark.remote.RemoteSites;
import io.tidemark.tls.CertificateLife;
import io.tidemark.tls.TlsTroubles;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/** What the admin interface tells of the node that it runs in, and of the cluster around it. */
public interface NodeStatus {
  /**
   * A member of the cluster as this node sees it.
   *
   * @param address Artery address
   * @param status Akka's word: {@code Joining}, {@code Up}, {@code Leaving}, ...
   * @param site its data center
   * @param reachable whether this node hears from it
   */
  record Member(String address, String status, String site, boolean reachable) {}

  /**
   * The node and the cluster now.
   *
   * @param addresses what listens where, by purpose: {@code http}, {@code tap}, {@code images},
   *     {@code artery}, {@code management}, {@code cassandra}
   */
  record Overview(
      String site,
      String version,
      MicroTime started,
      Map<String, String> addresses,
      List<Member> members) {}

  Overview overview();

  /**
   * What this node's Cassandra takes of its disk.
   *
   * @param tablesBytes files of tables, which retention bounds
   * @param commitLogBytes files of its commit log, which has a bound of its own
   * @param freeBytes what is left on the file system
   */
  record Disk(long tablesBytes, long commitLogBytes, long freeBytes) {}

  /** Empty when Cassandra is not a child of this node; asks the file system. */
  CompletionStage<Optional<Disk>> disk();

  /** Of the node's own certificate and of those that it did not let in, in words. */
  record Security(Optional<CertificateLife> certificate, List<TlsTroubles.Trouble> refused) {}

  Security security();

  /** The other sites of the cluster. */
  RemoteSites sites();

  /** Why the node cannot serve now, in words; empty when it can. */
  CompletionStage<List<String>> notReady();
}
