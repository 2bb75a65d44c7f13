/**
 * Who may write a journal. An actor that was believed dead may wake up beside its successor; the
 * event journal has no compare-and-set and takes the events of both.
 *
 * <ol>
 *   <li>F1 A writer claims its journal before it reads it, and each claim ends all before it.
 *   <li>F2 A writer acknowledges only what it stored and then found its claim unbroken: whoever
 *       claims after that reads what was acknowledged.
 *   <li>F3 A writer asks whether its claim holds before it stores, too. What it stores after it was
 *       superseded nevertheless, because it was stopped between question and write, is never
 *       acknowledged (F2).
 * </ol>
 */
package io.tidemark.fence;
