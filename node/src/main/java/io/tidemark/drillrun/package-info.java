/**
 * Runs recovery drills on this node: looks for those that are due, opens an image, runs the check,
 * closes the image, records the result. {@code io.tidemark.drill} of the actors keeps the schedule.
 *
 * <p>A check gets a disk of its own: a writable image, whose changes nobody else sees and which is
 * dropped afterwards, so that it may replay logs. File systems are checked through {@code nbdfuse},
 * which shows the image as a file, without mounting them.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>N1 At most {@link io.tidemark.drillrun.DrillRunner#RUNS_MAX} drills run on a node at once.
 *   <li>N2 A check that is over, also because its time is, leaves nothing: no process, no mount, no
 *       image, no file. What a killed node has left is removed at its next start.
 *   <li>N3 What can be run as a check is what the node's operator has put into one directory; no
 *       request can name another program.
 *   <li>N4 A point is proven only by a check that ended well; what could not be checked is an error
 *       and never good.
 * </ol>
 */
package io.tidemark.drillrun;
