package io.tidemark.testsite;

import java.util.Map;
import java.util.NavigableMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.BiPredicate;

/** What outlives the actor systems of one test. */
public final class World {
  private static final Map<String, World> ALL = new ConcurrentHashMap<>();

  /** A stored event or snapshot, as bytes. */
  record Stored(byte[] bytes, int serializer, String manifest, long timestamp) {}

  final Map<String, NavigableMap<Long, Stored>> events = new ConcurrentHashMap<>();
  final Map<String, NavigableMap<Long, Stored>> snapshots = new ConcurrentHashMap<>();

  /** Asked before an event is stored, by persistence id and manifest; true has the write fail. */
  public volatile BiPredicate<String, String> refuses = (persistenceId, manifest) -> false;

  /** Told after an event was stored, by persistence id and manifest. */
  public volatile BiConsumer<String, String> stored = (persistenceId, manifest) -> {};

  /** So many writes to the journal fail before the next succeeds. */
  public final AtomicInteger failWrites = new AtomicInteger();

  public static World of(String name) {
    return ALL.computeIfAbsent(name, n -> new World());
  }

  NavigableMap<Long, Stored> eventsOf(String persistenceId) {
    return events.computeIfAbsent(persistenceId, id -> new ConcurrentSkipListMap<>());
  }

  NavigableMap<Long, Stored> snapshotsOf(String persistenceId) {
    return snapshots.computeIfAbsent(persistenceId, id -> new ConcurrentSkipListMap<>());
  }

  public int eventCount(String persistenceId) {
    return eventsOf(persistenceId).size();
  }

  public int snapshotCount(String persistenceId) {
    return snapshotsOf(persistenceId).size();
  }

  /** Size of the newest snapshot, 0 when there is none. */
  public int snapshotBytes(String persistenceId) {
    var newest = snapshotsOf(persistenceId).lastEntry();
    return newest == null ? 0 : newest.getValue().bytes().length;
  }

  /** Manifests of all stored events, in order. */
  public java.util.List<String> manifests(String persistenceId) {
    return eventsOf(persistenceId).values().stream().map(Stored::manifest).toList();
  }
}
