package io.tidemark.remote;

import akka.actor.ExtendedActorSystem;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.Adapter;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.GatewayMessage.SiteRefusal;
import io.tidemark.remote.GatewayMessage.SiteReply;
import io.tidemark.remote.GatewayMessage.SiteRequest;
import io.tidemark.serialization.EventSerializer;
import io.tidemark.serialization.TidemarkMessage;
import java.io.UncheckedIOException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Packs commands and answers into bytes with their logical names, and unpacks them. */
final class Envelopes {
  private static final Logger LOG = LoggerFactory.getLogger("io.tidemark.remote");

  private final String here;
  private final EventSerializer serializer;

  Envelopes(ActorSystem<?> system, String here) {
    this.here = here;
    this.serializer = new EventSerializer((ExtendedActorSystem) Adapter.toClassic(system));
  }

  String here() {
    return here;
  }

  Logger log() {
    return LOG;
  }

  String type(TidemarkMessage message) {
    return serializer.manifest(message);
  }

  /**
   * @throws Refusal {@code LIMIT}
   */
  byte[] body(TidemarkMessage message) {
    byte[] bytes = serializer.toBinary(message);
    if (bytes.length > RemoteSites.MESSAGE_BYTES_MAX) {
      throw new Refusal(
          ErrorCode.LIMIT,
          "'%s' has %d bytes; at most %d may travel between sites as one message"
              .formatted(type(message), bytes.length, RemoteSites.MESSAGE_BYTES_MAX));
    }
    return bytes;
  }

  GatewayMessage.Reply reply(SiteAnswer answer) {
    return new SiteReply(type(answer), body(answer));
  }

  /**
   * @throws Refusal {@code INVALID} for a command that this version does not know or cannot read
   */
  Object open(SiteRequest request) {
    if (request.body().length > RemoteSites.MESSAGE_BYTES_MAX) {
      throw new Refusal(ErrorCode.LIMIT, "a command of more than the limit between sites");
    }
    try {
      return read(request.body(), request.type());
    } catch (UncheckedIOException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          "site '%s' cannot read the command '%s' of site '%s': %s"
              .formatted(here, Refusal.printable(request.type()), request.fromSite(), e),
          e);
    }
  }

  /**
   * @throws Refusal what the site refused
   */
  SiteAnswer open(GatewayMessage.Reply reply) {
    if (reply instanceof SiteRefusal refusal) {
      throw refused(refusal);
    }
    SiteReply answer = (SiteReply) reply;
    return (SiteAnswer) read(answer.body(), answer.type());
  }

  private Object read(byte[] bytes, String type) {
    try {
      return serializer.fromBinary(bytes, type);
    } catch (IllegalArgumentException e) {
      throw unknown(type);
    }
  }

  Refusal unknown(String type) {
    return new Refusal(
        ErrorCode.INVALID,
        "site '%s' runs a version that does not know '%s': bring all sites to the same version"
            .formatted(here, Refusal.printable(type)));
  }

  private static Refusal refused(SiteRefusal refusal) {
    for (ErrorCode code : ErrorCode.values()) {
      if (code.name().equals(refusal.code())) {
        return new Refusal(code, refusal.message());
      }
    }
    return new Refusal(
        ErrorCode.FAILED, Refusal.printable(refusal.code()) + ": " + refusal.message()); // R2
  }
}
