package io.tidemark.point;

/**
 * How much was written in a span of time.
 *
 * @param fromTimeMicros begin, inclusive
 * @param toTimeMicros end, exclusive
 * @param firstSeq first write seq of the span; meaningless when {@code writes} is 0
 * @param lastSeq last write seq of the span
 * @param writes number of write seqs; exact to the write for spans of few segments, otherwise to a
 *     fraction of a segment at either end
 */
public record TimelineBucket(
    long fromTimeMicros, long toTimeMicros, long firstSeq, long lastSeq, long writes) {}
