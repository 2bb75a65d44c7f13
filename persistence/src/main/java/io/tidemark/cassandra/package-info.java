/**
 * Cassandra as this product uses it: settings, sessions and schema, the stores that live in it, and
 * the embedded one that a node starts as a child process. External clusters and the embedded one
 * are used by the same code; only the contact points differ.
 *
 * <pre>
 *   segment_chunk  (volume, session, run, part) / ordinal, chunk   data     run = ordinal / 16
 *   segment_run    (volume, session, bucket) / run, part                    bucket = run / 4096
 *   segment_bucket (volume) / session, bucket
 *   index_block    (volume, node) / block                          data
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>K1 No chunk is written before its partition is named in segment_run and segment_bucket, so
 *       that every partition can be found and deleted, whatever crashed.
 *   <li>K2 A partition holds at most 16 segments times 32 chunks: tens of MiB.
 *   <li>K3 The embedded Cassandra acknowledges a write after it is synced to disk, unless the
 *       setting {@code commit-log-sync = periodic} says otherwise.
 *   <li>K4 One node has a data directory at a time, and no embedded Cassandra outlives its node.
 *   <li>K5 Changes of the schema go to one coordinator, the same for all nodes of the site: the one
 *       with the lowest host id that is up.
 * </ol>
 */
package io.tidemark.cassandra;
