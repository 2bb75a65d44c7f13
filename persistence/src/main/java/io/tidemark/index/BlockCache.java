package io.tidemark.index;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;

/**
 * A cache bounded by bytes, shared by all readers of a node; thread-safe. Whoever asks for a value
 * that is being loaded waits for that load; a failed load is not kept. Evicts what was not used for
 * the longest time; a value larger than the whole cache is handed out and not kept.
 *
 * @param <K> key with value equality
 * @param <V> immutable value
 */
public final class BlockCache<K, V> {
  private static final int STRIPES_MAX = 16;

  /** A stripe of fewer bytes would evict by chance rather than by age. */
  private static final long STRIPE_BYTES_MIN = 8L << 20;

  private final Stripe<K, V>[] stripes;
  private final ToIntFunction<V> weight;

  /**
   * @param bytesMax memory for all values together
   * @param weight memory of one value, in bytes
   */
  public BlockCache(long bytesMax, ToIntFunction<V> weight) {
    this.weight = weight;
    @SuppressWarnings({"unchecked", "rawtypes"})
    Stripe<K, V>[] made =
        new Stripe[(int) Math.max(1, Math.min(STRIPES_MAX, bytesMax / STRIPE_BYTES_MIN))];
    for (int i = 0; i < made.length; i++) {
      made[i] = new Stripe<>(bytesMax / made.length);
    }
    stripes = made;
  }

  /** The value, from the cache or from {@code load}; the stage fails as the load does. */
  public CompletableFuture<V> get(K key, Supplier<CompletionStage<V>> load) {
    Stripe<K, V> stripe = stripe(key);
    CompletableFuture<V> made;
    synchronized (stripe) {
      Entry<V> present = stripe.entries.get(key);
      if (present != null) {
        return present.value;
      }
      made = new CompletableFuture<>();
      stripe.entries.put(key, new Entry<>(made));
    }
    start(load)
        .whenComplete(
            (value, failure) -> {
              settle(stripe, key, made, value);
              if (failure == null) {
                made.complete(value);
              } else {
                made.completeExceptionally(failure);
              }
            });
    return made;
  }

  /** Whether the value is there or on its way. */
  public boolean contains(K key) {
    Stripe<K, V> stripe = stripe(key);
    synchronized (stripe) {
      return stripe.entries.containsKey(key);
    }
  }

  /** Memory of the values that are held now. */
  public long bytes() {
    long sum = 0;
    for (Stripe<K, V> stripe : stripes) {
      synchronized (stripe) {
        sum += stripe.bytes;
      }
    }
    return sum;
  }

  private Stripe<K, V> stripe(K key) {
    int hash = key.hashCode() * 0x9e3779b9;
    return stripes[(hash >>> 16) % stripes.length];
  }

  private static <V> CompletionStage<V> start(Supplier<CompletionStage<V>> load) {
    try {
      return load.get();
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private void settle(Stripe<K, V> stripe, K key, CompletableFuture<V> made, V value) {
    synchronized (stripe) {
      Entry<V> entry = stripe.entries.get(key);
      if (entry == null || entry.value != made) {
        return;
      }
      int bytes = value == null ? Integer.MAX_VALUE : Math.max(1, weight.applyAsInt(value));
      if (bytes > stripe.bytesMax) {
        stripe.entries.remove(key);
        return;
      }
      entry.bytes = bytes;
      stripe.bytes += bytes;
      stripe.evict();
    }
  }

  private static final class Entry<V> {
    private final CompletableFuture<V> value;
    private int bytes;

    Entry(CompletableFuture<V> value) {
      this.value = value;
    }
  }

  private static final class Stripe<K, V> {
    private final long bytesMax;
    private final LinkedHashMap<K, Entry<V>> entries = new LinkedHashMap<>(64, 0.75f, true);
    private long bytes;

    Stripe(long bytesMax) {
      this.bytesMax = bytesMax;
    }

    /** Drops loaded values, the least recently used first; one that still loads weighs nothing. */
    void evict() {
      var oldest = entries.entrySet().iterator();
      while (bytes > bytesMax && oldest.hasNext()) {
        Map.Entry<K, Entry<V>> entry = oldest.next();
        if (entry.getValue().bytes > 0) {
          bytes -= entry.getValue().bytes;
          oldest.remove();
        }
      }
    }
  }
}
