/**
 * A node of a site as a process: reads its settings, starts what the modules provide in order, says
 * where everything listens, and takes it all down again.
 *
 * <pre>
 *   Cassandra -> session, schema -> stores, points -> actor system, cluster -> tap link, images
 *             -> admin HTTP -> "ready"            (stopped in the opposite order)
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>P1 A node that cannot start says why in one sentence, stops what it had started and exits
 *       with the code of the refusal.
 *   <li>P2 Whatever ends the process, its embedded Cassandra ends with it.
 *   <li>P3 The admin interface answers only once everything else serves.
 *   <li>P4 A node that is told to join the other sites anew stops and starts all that it runs
 *       within its process; nobody has to restart it.
 * </ol>
 */
package io.tidemark.node;
