/**
 * Recovery drills: on a schedule an image of a volume is opened, a check is run on it, and the
 * result is recorded on the point, so that it is known which point was last proven to be good. This
 * package keeps the schedule and the results; nodes do the work.
 *
 * <pre>
 *   idle --BeginRun (due, or by hand)--> running --EndRun--> idle
 *                                           | its time is over: the node that ran it has ended
 *                                           +-----BeginRun--> running
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>D1 A drill runs on one node at a time; a run whose node has ended is given up when its time
 *       is over.
 *   <li>D2 A result is recorded once, by the run that began.
 *   <li>D3 What is kept is bounded: drills, results of each, bytes of a result.
 *   <li>D4 What proves a point proves that incarnation of the volume alone.
 * </ol>
 */
package io.tidemark.drill;
