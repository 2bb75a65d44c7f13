/**
 * Where and when in a volume's history: the identifiers and positions that every module speaks.
 *
 * <p>No bare {@code long} crosses a package: a {@link io.tidemark.position.WriteSeq} is the ordinal
 * of a write, a {@link io.tidemark.position.MicroTime} its hybrid logical timestamp, an {@link
 * io.tidemark.position.At} what a person types to name one of them.
 */
package io.tidemark.position;
