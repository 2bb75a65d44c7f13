/**
 * The main program of the embedded Cassandra: a JVM of its own, started and watched by the node
 * through its standard input.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>R1 End of file on standard input ends this JVM at once: no Cassandra outlives its node,
 *       whatever killed the node.
 *   <li>R2 The line {@code stop} drains (memtables flushed, commit log closed) before the JVM ends.
 *   <li>R3 Of a file of the segment store less than half is deleted data, but for the last minutes.
 * </ol>
 */
package io.tidemark.cassandra.runtime;
