/**
 * Long work as jobs: progress, forecast, cancellation, a bounded history.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>B1 A job ends exactly once, and once ended never changes.
 *   <li>B2 What a job leaves behind when its node is killed is removed at the node's next start.
 * </ol>
 */
package io.tidemark.job;
