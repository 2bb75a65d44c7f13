package io.tidemark.point;

import io.tidemark.extent.ExtentMap;
import io.tidemark.index.BlockCache;
import io.tidemark.index.IndexSnapshot;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The resolved extents of one reader's volume by regions of {@link #REGION_BYTES}, bounded by
 * bytes. Thread-safe.
 */
final class RegionCache {
  static final long REGION_BYTES = 256L << 10;

  /** Memory for resolved regions of one reader. */
  static final long CACHE_BYTES_MAX = 4L << 20;

  private final IndexSnapshot snapshot;
  private final long sizeBytes;
  private final BlockCache<Long, ExtentMap> cache =
      new BlockCache<>(CACHE_BYTES_MAX, map -> 160 + ExtentMap.EXTENT_BYTES * map.size());

  RegionCache(IndexSnapshot snapshot, long sizeBytes) {
    this.snapshot = snapshot;
    this.sizeBytes = sizeBytes;
  }

  /** The maps of the regions that {@code [from, to)} touches, in order. */
  CompletableFuture<List<ExtentMap>> extents(long from, long to) {
    long first = from / REGION_BYTES;
    long last = (to - 1) / REGION_BYTES;
    if (first == last) {
      return region(first).thenApply(List::of);
    }
    List<CompletableFuture<ExtentMap>> parts = new ArrayList<>((int) (last - first + 1));
    for (long region = first; region <= last; region++) {
      parts.add(region(region));
    }
    return CompletableFuture.allOf(parts.toArray(CompletableFuture[]::new))
        .thenApply(
            ready -> {
              List<ExtentMap> maps = new ArrayList<>(parts.size());
              parts.forEach(part -> maps.add(part.join()));
              return maps;
            });
  }

  private CompletableFuture<ExtentMap> region(long region) {
    long from = region * REGION_BYTES;
    return cache.get(
        region, () -> snapshot.resolve(from, Math.min(sizeBytes, from + REGION_BYTES)));
  }
}
