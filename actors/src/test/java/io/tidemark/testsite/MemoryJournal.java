package io.tidemark.testsite;

import akka.dispatch.Futures;
import akka.persistence.AtomicWrite;
import akka.persistence.PersistentImpl;
import akka.persistence.PersistentRepr;
import akka.persistence.journal.japi.AsyncWriteJournal;
import akka.serialization.Serialization;
import akka.serialization.SerializationExtension;
import akka.serialization.Serializers;
import com.typesafe.config.Config;
import io.tidemark.testsite.World.Stored;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.function.Consumer;
import scala.concurrent.Future;

/** A journal plugin that keeps bytes in a {@link World}. */
public final class MemoryJournal extends AsyncWriteJournal {
  private final World world;
  private final Serialization serialization = SerializationExtension.get(context().system());

  public MemoryJournal(Config config) {
    this.world = World.of(config.getString("world"));
  }

  @Override
  public Future<Iterable<Optional<Exception>>> doAsyncWriteMessages(
      Iterable<AtomicWrite> messages) {
    if (world.failWrites.getAndUpdate(n -> Math.max(0, n - 1)) > 0) {
      return Futures.failed(new IOException("injected: the journal does not answer"));
    }
    for (AtomicWrite write : messages) {
      for (PersistentRepr repr : scala.jdk.javaapi.CollectionConverters.asJava(write.payload())) {
        if (world.refuses.test(repr.persistenceId(), manifest(repr.payload()))) {
          return Futures.failed(new IOException("injected: the journal does not take an event"));
        }
      }
    }
    List<Optional<Exception>> results = new ArrayList<>();
    for (AtomicWrite write : messages) {
      for (PersistentRepr repr : scala.jdk.javaapi.CollectionConverters.asJava(write.payload())) {
        put(repr);
      }
      results.add(Optional.empty());
    }
    return Futures.successful(results);
  }

  private void put(PersistentRepr repr) {
    Object event = repr.payload();
    var serializer = serialization.findSerializerFor(event);
    world
        .eventsOf(repr.persistenceId())
        .put(
            repr.sequenceNr(),
            new Stored(
                serializer.toBinary(event),
                serializer.identifier(),
                Serializers.manifestFor(serializer, event),
                repr.timestamp()));
    world.stored.accept(repr.persistenceId(), Serializers.manifestFor(serializer, event));
  }

  private String manifest(Object event) {
    return Serializers.manifestFor(serialization.findSerializerFor(event), event);
  }

  static Object read(Serialization serialization, Stored stored) {
    return serialization.deserialize(stored.bytes(), stored.serializer(), stored.manifest()).get();
  }

  @Override
  public Future<Void> doAsyncDeleteMessagesTo(String persistenceId, long toSequenceNr) {
    world.eventsOf(persistenceId).headMap(toSequenceNr, true).clear();
    return Futures.successful(null);
  }

  @Override
  public Future<Void> doAsyncReplayMessages(
      String persistenceId,
      long fromSequenceNr,
      long toSequenceNr,
      long max,
      Consumer<PersistentRepr> replay) {
    NavigableMap<Long, Stored> all = world.eventsOf(persistenceId);
    if (fromSequenceNr <= toSequenceNr) {
      all.subMap(fromSequenceNr, true, toSequenceNr, true).entrySet().stream()
          .limit(max)
          .forEach(
              e ->
                  replay.accept(
                      new PersistentImpl(
                          read(serialization, e.getValue()),
                          e.getKey(),
                          persistenceId,
                          "",
                          false,
                          null,
                          "",
                          e.getValue().timestamp(),
                          scala.Option.empty())));
    }
    return Futures.successful(null);
  }

  @Override
  public Future<Long> doAsyncReadHighestSequenceNr(String persistenceId, long fromSequenceNr) {
    NavigableMap<Long, Stored> all = world.eventsOf(persistenceId);
    return Futures.successful(all.isEmpty() ? 0L : all.lastKey());
  }
}
