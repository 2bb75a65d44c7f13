package io.tidemark.testsite;

import akka.dispatch.Futures;
import akka.persistence.SelectedSnapshot;
import akka.persistence.SnapshotMetadata;
import akka.persistence.SnapshotSelectionCriteria;
import akka.persistence.snapshot.japi.SnapshotStore;
import akka.serialization.Serialization;
import akka.serialization.SerializationExtension;
import akka.serialization.Serializers;
import com.typesafe.config.Config;
import io.tidemark.testsite.World.Stored;
import java.util.Map;
import java.util.Optional;
import scala.concurrent.Future;

/** A snapshot plugin that keeps bytes in a {@link World}. */
public final class MemorySnapshots extends SnapshotStore {
  private final World world;
  private final Serialization serialization = SerializationExtension.get(context().system());

  public MemorySnapshots(Config config) {
    this.world = World.of(config.getString("world"));
  }

  @Override
  public Future<Optional<SelectedSnapshot>> doLoadAsync(
      String persistenceId, SnapshotSelectionCriteria criteria) {
    Map.Entry<Long, Stored> newest =
        world.snapshotsOf(persistenceId).floorEntry(criteria.maxSequenceNr());
    if (newest == null) {
      return Futures.successful(Optional.empty());
    }
    Stored stored = newest.getValue();
    return Futures.successful(
        Optional.of(
            SelectedSnapshot.create(
                new SnapshotMetadata(persistenceId, newest.getKey(), stored.timestamp()),
                MemoryJournal.read(serialization, stored))));
  }

  @Override
  public Future<Void> doSaveAsync(SnapshotMetadata metadata, Object snapshot) {
    var serializer = serialization.findSerializerFor(snapshot);
    world
        .snapshotsOf(metadata.persistenceId())
        .put(
            metadata.sequenceNr(),
            new Stored(
                serializer.toBinary(snapshot),
                serializer.identifier(),
                Serializers.manifestFor(serializer, snapshot),
                metadata.timestamp()));
    return Futures.successful(null);
  }

  @Override
  public Future<Void> doDeleteAsync(SnapshotMetadata metadata) {
    world.snapshotsOf(metadata.persistenceId()).remove(metadata.sequenceNr());
    return Futures.successful(null);
  }

  @Override
  public Future<Void> doDeleteAsync(String persistenceId, SnapshotSelectionCriteria criteria) {
    world
        .snapshotsOf(persistenceId)
        .headMap(criteria.maxSequenceNr(), true)
        .tailMap(criteria.minSequenceNr(), true)
        .clear();
    return Futures.successful(null);
  }
}
