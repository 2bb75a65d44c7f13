package io.tidemark.taplink;

/** The two ends of a tap link. */
enum LinkEnd {
  TAP,
  NODE
}
