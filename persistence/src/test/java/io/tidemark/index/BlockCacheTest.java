package io.tidemark.index;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class BlockCacheTest {
  private final BlockCache<Integer, byte[]> cache = new BlockCache<>(160_000, b -> b.length);

  @Test
  void shouldStayWithinItsBytes() {
    Random random = new Random(1);
    for (int i = 0; i < 100_000; i++) {
      int size = random.nextInt(3000);
      cache.get(random.nextInt(5000), () -> CompletableFuture.completedFuture(new byte[size]));
      assertTrue(i % 1000 != 0 || cache.bytes() <= 160_000);
    }
    assertTrue(cache.bytes() > 100_000, "it is used: " + cache.bytes());
  }

  @Test
  void shouldLoadOnceForAllWhoWait() {
    AtomicInteger loads = new AtomicInteger();
    CompletableFuture<byte[]> load = new CompletableFuture<>();
    CompletableFuture<byte[]> one = cache.get(7, () -> counted(loads, load));
    CompletableFuture<byte[]> two = cache.get(7, () -> counted(loads, load));
    load.complete(new byte[3]);
    assertSame(one.join(), two.join());
    assertEquals(1, loads.get());
    assertTrue(cache.contains(7));
  }

  private static CompletableFuture<byte[]> counted(
      AtomicInteger loads, CompletableFuture<byte[]> load) {
    loads.incrementAndGet();
    return load;
  }

  @Test
  void shouldNotKeepAFailure() {
    assertTrue(
        cache
            .get(8, () -> CompletableFuture.failedFuture(new IllegalStateException("down")))
            .isCompletedExceptionally());
    assertEquals(
        5, cache.get(8, () -> CompletableFuture.completedFuture(new byte[5])).join().length);
    assertTrue(
        cache
            .get(
                9,
                () -> {
                  throw new IllegalStateException("down");
                })
            .isCompletedExceptionally());
    assertFalse(cache.contains(9));
  }

  @Test
  void shouldHandOutWhatIsTooLargeToKeep() {
    byte[] large = new byte[160_001];
    assertSame(large, cache.get(1, () -> CompletableFuture.completedFuture(large)).join());
    assertFalse(cache.contains(1));
    assertEquals(0, cache.bytes());
  }
}
