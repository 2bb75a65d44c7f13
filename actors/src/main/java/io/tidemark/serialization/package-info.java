/**
 * How messages and events become bytes: CBOR, tagged with a logical type name that outlives any
 * renaming of Java classes.
 *
 * <p>Every class that travels between nodes or is stored implements {@link
 * io.tidemark.serialization.TidemarkMessage} and carries a {@code @JsonTypeName}; the sealed
 * interfaces it belongs to are listed under {@code tidemark.serialization.types}.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>Z1 A stored manifest is a logical name, never a class name.
 *   <li>Z2 A name means the same fields for ever; fields are only added, with a default. Another
 *       shape gets another name.
 *   <li>Z3 Only listed types are ever instantiated from bytes.
 * </ol>
 */
package io.tidemark.serialization;
