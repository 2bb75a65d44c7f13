/**
 * The catalog of tags: what lists, searches and expires the tags of a group, however many there
 * are. Derived data: a tag itself is an entity, which writes its row here before it is told of.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>Y1 Rows are put, changed and removed by key (group, time, name); repeating is safe.
 *   <li>Y2 A partition holds the tags of six hours: at one tag a second some ten MiB. Nothing here
 *       reads a whole history at once; every answer is bounded by the limit that was asked for.
 *   <li>Y3 A row that expires is found by {@code due} from then on until it is removed.
 * </ol>
 */
package io.tidemark.catalog;
