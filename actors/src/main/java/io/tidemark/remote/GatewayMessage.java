package io.tidemark.remote;

import akka.actor.typed.ActorRef;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.serialization.TidemarkMessage;

/**
 * The envelopes between sites. Commands and answers are bytes in them, so that a node can refuse
 * what it does not know instead of losing it (R2).
 */
sealed interface GatewayMessage extends TidemarkMessage {

  /**
   * To the gateway of a node.
   *
   * @param type the command's logical name
   * @param fromSite who asks
   */
  @JsonTypeName("site-request")
  record SiteRequest(String type, byte[] body, String fromSite, ActorRef<Reply> replyTo)
      implements GatewayMessage {}

  /** Back from it. */
  sealed interface Reply extends GatewayMessage {}

  /**
   * The command was carried out.
   *
   * @param type the answer's logical name
   */
  @JsonTypeName("site-reply")
  record SiteReply(String type, byte[] body) implements Reply {}

  /**
   * It was refused.
   *
   * @param code name of an error code, perhaps of a later version
   */
  @JsonTypeName("site-refusal")
  record SiteRefusal(String code, String message) implements Reply {}
}
