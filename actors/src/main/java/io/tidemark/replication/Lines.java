package io.tidemark.replication;

import akka.stream.javadsl.Flow;
import io.tidemark.config.Endpoint;
import io.tidemark.journal.SessionGrant;
import java.util.concurrent.CompletionStage;

/** Lines to other sites. */
@FunctionalInterface
public interface Lines {
  /**
   * A line that is opened when the flow runs. It takes a parcel only while the other site's window
   * has room and the line takes bytes. It fails with the other site's refusal, with {@code CORRUPT}
   * when that breaks the protocol, with {@code NOT_ACKNOWLEDGED} when it is silent or out of reach;
   * it completes once the last parcel has been acknowledged.
   *
   * @return materializes the grant with which the other site lets it in: parcels begin after its
   *     head
   */
  Flow<Parcel, LinkNews, CompletionStage<SessionGrant>> open(Endpoint address, LineIdentity who);
}
