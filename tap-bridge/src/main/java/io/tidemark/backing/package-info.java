/**
 * The protected volume below the tap: the backing store that holds it, and the NBD export that
 * writes to it and hands every write to capture.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>B1 While a write, trim or zeroing of a range is under way, no other change that overlaps it
 *       begins: the order in which capture hears of overlapping changes is the order in which the
 *       backing store took them (J1, C1).
 *   <li>B2 Each such request ends in exactly one of {@code wrote}, {@code zeroed} or {@code failed}
 *       once {@code beforeWrite} returned, and in none of them if it threw.
 *   <li>B3 What is trimmed or zeroed reads back as zeroes, whatever the backing store can do.
 *   <li>B4 A FLUSH or FUA is answered after the backing store was synced and {@code flushed}
 *       returned. Syncs are made one at a time: a write for which {@code wrote} returned before one
 *       call of {@code flushed} returned was synced when the next one begins.
 *   <li>B5 After a sync has failed every later one fails, until the store is opened anew: the
 *       operating system forgets what it could not write, and a success would promise it. The
 *       regions written since stay marked and are compared after the restart (J2, J3).
 * </ol>
 */
package io.tidemark.backing;
