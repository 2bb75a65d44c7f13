/**
 * Reading of settings: what is common to the typed settings of every module.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>C1 A key that no reference file names is refused, with the nearest known one; a mistyped
 *       setting never silently means the default.
 *   <li>C2 A password comes from a file that others cannot read, never from the settings.
 * </ol>
 */
package io.tidemark.config;
