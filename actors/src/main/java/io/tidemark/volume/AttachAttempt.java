package io.tidemark.volume;

import akka.actor.Address;
import akka.actor.typed.ActorRef;

/**
 * One attempt of a tap to attach. Clocks of nodes are never compared: nodes minutes apart let taps
 * in all the same.
 *
 * @param node where it is made
 * @param untilMicros when it will have been given up, by that node's clock; 0 for never
 */
record AttachAttempt(Address node, long untilMicros) {
  static AttachAttempt of(ActorRef<?> session, long untilMicros) {
    return new AttachAttempt(session.path().address(), untilMicros);
  }

  /** Whether it was given up; of another node's that is not known, but heard of by watching it. */
  boolean isLate(long nowMicros) {
    return untilMicros != 0 && node.hasLocalScope() && nowMicros > untilMicros;
  }

  /** Whether it was made before one of the same node. */
  boolean isBefore(AttachAttempt other) {
    return untilMicros != 0 && node.equals(other.node) && untilMicros < other.untilMicros;
  }
}
