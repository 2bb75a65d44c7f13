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
 * </ol>
 */
package io.tidemark.cassandra.runtime;
