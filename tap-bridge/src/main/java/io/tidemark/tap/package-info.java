/**
 * The tap process: puts NBD server, backing stores, capture and tap links together for the volumes
 * of one protected server, and takes them down in order. It knows nothing of Cassandra or Akka.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>T1 A volume is served from the moment that a node has let this tap in once; from then on it
 *       is served whether or not a node can be reached, as long as the activity log knows the
 *       incarnation. A tap that starts asks first: it serves without a node only when none answers.
 *   <li>T2 A tap that its very first attach refuses by {@code BUSY}, {@code NOT_FOUND} or {@code
 *       INVALID} serves nothing and ends with that code. One that was attached before goes on
 *       serving, spills, and keeps trying; fenced, it fails every change with ESHUTDOWN (J6).
 *   <li>T3 A stop is: no new requests, journal what is captured (bounded in time), BYE, sync the
 *       backing store, clear the marks. Whatever cuts it short leaves marks, never less.
 *   <li>T4 A backing store with an activity log is never served without capture.
 *   <li>T5 One tap at a time uses a state directory; a file lock holds off a second.
 *   <li>T6 A store that is behind the journal is never the source: where a volume went on in a
 *       later epoch by writes that were not this tap's, the store is filled from the journal before
 *       any of it is read or compared. Clients of before are put out, for good.
 *   <li>T7 A tap that starts and is told {@code FENCED} stands by: it serves nothing, asks again,
 *       and serves the moment that the volume is promoted here.
 * </ol>
 */
package io.tidemark.tap;
