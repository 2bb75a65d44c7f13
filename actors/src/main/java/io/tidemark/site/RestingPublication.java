package io.tidemark.site;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Behavior;
import akka.actor.typed.Props;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.pubsub.Topic;
import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.volume.RestingVolumes;

/** A volume has left memory: on its way to all nodes, which then need not wake it for a list. */
@JsonTypeName("resting-publication")
record RestingPublication(VolumeSummary summary, long term) implements TidemarkMessage {
  private static final String TOPIC = "resting-volumes";

  /** The sleepers of all nodes of the site, as this one hears of them. */
  static RestingVolumes start(ActorSystem<?> system, String site) {
    ActorRef<Topic.Command<RestingPublication>> topic =
        system.systemActorOf(
            Topic.create(RestingPublication.class, TOPIC + "-" + site), TOPIC, Props.empty());
    RestingVolumes resting =
        new RestingVolumes(
            one -> topic.tell(Topic.publish(new RestingPublication(one.summary(), one.term()))));
    ActorRef<RestingPublication> reader =
        system.systemActorOf(learn(resting), TOPIC + "-reader", Props.empty());
    topic.tell(Topic.subscribe(reader));
    return resting;
  }

  private static Behavior<RestingPublication> learn(RestingVolumes resting) {
    return Behaviors.receive(RestingPublication.class)
        .onAnyMessage(
            told -> {
              resting.learn(new RestingVolumes.Resting(told.summary(), told.term()));
              return Behaviors.same();
            })
        .build();
  }
}
