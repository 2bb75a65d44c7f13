package io.tidemark.journal;

import akka.actor.typed.ActorSystem;
import akka.actor.typed.Props;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** The journal as this node's tap links see it: a session actor here, the volume anywhere. */
public final class ClusterJournal implements Journal {
  private final ActorSystem<?> system;
  private final JournalParts parts;

  public ClusterJournal(ActorSystem<?> system, JournalParts parts) {
    this.system = system;
    this.parts = parts;
  }

  @Override
  public CompletionStage<JournalSession> attach(TapIdentity tap) {
    CompletableFuture<JournalSession> attached = new CompletableFuture<>();
    system.systemActorOf(
        TapSession.create(tap, parts, attached),
        "tap-session-" + tap.volume() + "-" + UUID.randomUUID(),
        Props.empty());
    return attached;
  }
}
