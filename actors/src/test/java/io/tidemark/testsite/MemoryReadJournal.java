package io.tidemark.testsite;

import akka.NotUsed;
import akka.actor.ExtendedActorSystem;
import akka.persistence.query.EventEnvelope;
import akka.persistence.query.Offset;
import akka.persistence.query.ReadJournalProvider;
import akka.persistence.query.javadsl.CurrentEventsByPersistenceIdQuery;
import akka.persistence.query.javadsl.ReadJournal;
import akka.serialization.Serialization;
import akka.serialization.SerializationExtension;
import akka.stream.javadsl.Source;
import com.typesafe.config.Config;
import java.util.List;
import java.util.Map;

/** Reads the events of a {@link World} back. */
public final class MemoryReadJournal implements ReadJournal, CurrentEventsByPersistenceIdQuery {
  private final World world;
  private final Serialization serialization;

  private MemoryReadJournal(World world, Serialization serialization) {
    this.world = world;
    this.serialization = serialization;
  }

  @Override
  public Source<EventEnvelope, NotUsed> currentEventsByPersistenceId(
      String persistenceId, long from, long to) {
    List<EventEnvelope> found =
        from > to
            ? List.of()
            : world.eventsOf(persistenceId).subMap(from, true, to, true).entrySet().stream()
                .map(e -> envelope(persistenceId, e))
                .toList();
    return Source.from(found);
  }

  private EventEnvelope envelope(String persistenceId, Map.Entry<Long, World.Stored> e) {
    return new EventEnvelope(
        Offset.sequence(e.getKey()),
        persistenceId,
        e.getKey(),
        MemoryJournal.read(serialization, e.getValue()),
        e.getValue().timestamp(),
        scala.Option.empty());
  }

  /** Created by Akka. */
  public static final class Provider implements ReadJournalProvider {
    private final MemoryReadJournal journal;

    public Provider(ExtendedActorSystem system, Config config) {
      this.journal =
          new MemoryReadJournal(
              World.of(config.getString("world")), SerializationExtension.get(system));
    }

    @Override
    public akka.persistence.query.scaladsl.ReadJournal scaladslReadJournal() {
      return null;
    }

    @Override
    public ReadJournal javadslReadJournal() {
      return journal;
    }
  }
}
