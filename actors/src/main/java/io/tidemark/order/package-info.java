/**
 * Orders: what a node asks of a volume's tap, wherever in the cluster the tap's link ends.
 *
 * <pre>
 *   asker -- OrderTap --&gt; volume -- PassOrder --&gt; tap session -- ORDER --&gt; tap
 *     ^                                              |   ^-- ORDER_DONE -----+
 *     +------------- OrderDone or Refused -----------+
 * </pre>
 *
 * <p>Who cannot wait for the volume, which takes its requests one after the other with their
 * persists, asks it once for its session ({@code FindTap}) and then passes orders to that directly.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>O1 An order is answered by the tap's result or by a refusal; a session that ends refuses
 *       all that are open, one without an answer at its deadline is refused. Only the loss of the
 *       session's node leaves an order unanswered: an asker waits no longer than the deadline.
 *   <li>O2 The tap carries an order out at most once: one with the id of another is that one said
 *       again, and has its answer. So any order may be repeated; a tap that was restarted has
 *       forgotten its ids, which is why an order has a deadline.
 *   <li>O3 No order is begun after its deadline. It travels as the time that is left, so the clocks
 *       of node and tap need not agree.
 *   <li>O4 Orders have nothing to do with the journal: they are answered in any order, and wait for
 *       no write.
 * </ol>
 */
package io.tidemark.order;
