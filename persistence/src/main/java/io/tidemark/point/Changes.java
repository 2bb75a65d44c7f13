package io.tidemark.point;

import io.tidemark.position.ByteRange;
import java.util.List;

/**
 * Part of what changed between two points.
 *
 * @param ranges disjoint, in offset order, neighbours joined
 * @param end where the next part begins; the end of what was asked about when nothing is left
 */
public record Changes(List<ByteRange> ranges, long end) {}
