/**
 * Orders on the tap's side: what a node may ask of the tap of one volume, told apart by id so that
 * an order that is said again, over this connection or the next, is carried out once.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>D1 An order's id is carried out at most once while the process lives: a repeat gets the
 *       answer of the first, as soon as there is one (O2).
 *   <li>D2 What is remembered is bounded in number and bytes; what is forgotten first is what was
 *       answered longest ago. Open orders are never forgotten, and at most {@code OPEN_MAX}.
 *   <li>D3 An order whose time is over when it comes is refused and not begun (O3).
 *   <li>D4 A kind that nothing here carries out is refused with {@code INVALID}.
 *   <li>H1 While a volume is held, no client is replied to for a write, trim or zeroing whose seq
 *       is above the mark; the mark is the newest seq given when the hold began. The write itself
 *       goes to the backing store and to capture as ever.
 *   <li>H2 A hold ends by its owner's release or, {@code limitMicros} after it began, by the tap's
 *       own timer; the write path ends one that is overdue, too, should the timer be late. Nothing
 *       outside the process prolongs it, and one that ended is never resumed. There is one hold of
 *       a volume at a time, so no write is withheld longer than one limit.
 *   <li>H3 A release attests that the hold lasted from its beginning to that release, or that it
 *       did not; it attests the same however often it is said. A release that overtakes its hold
 *       keeps it from beginning.
 * </ol>
 *
 * <p><b>Why a tag under holds is consistent (J7).</b> Whoever coordinates sends the first release
 * only after every volume has said that it holds, and takes the marks only if every release attests
 * an unbroken hold. Let a be a write of volume A above A's mark, and b one of volume B at or below
 * B's mark. The reply to a was given after A's hold ended (H1), so after the first release, so
 * after B's hold had begun. The seq of b was given before B's hold began, so b was submitted before
 * the reply to a. No client can have waited for a before it submitted b.
 *
 * <p>What is withheld, and what is not:
 *
 * <ul>
 *   <li>Writes under way when the hold begins: what decides is the seq, given under the same lock
 *       under which the hold takes its mark. At or below the mark the reply goes out at once, also
 *       during the hold: it is in the image. Above, it waits.
 *   <li>All connections of the volume alike, since the seq is the volume's.
 *   <li>FUA: replied to when the data is durable and the hold over, whichever is last.
 *   <li>FLUSH is not withheld. It vouches for writes replied to before it was sent; during a hold
 *       these are at or below the mark, so an image at the mark has all that it vouches for.
 *   <li>READ is not withheld. A read may return the data of a write that is not replied to; but
 *       such a write may be lost by a power cut at that moment, so whoever relies on it relies on
 *       what no disk promises. A tag's image is a state that a power cut of all hosts at one moment
 *       could have left.
 *   <li>Synchronous volumes: replied to when journaled and the hold over, whichever is last.
 *   <li>A write that fails has no seq; its error is replied to at once.
 *   <li>Content that a resynchronisation captures has a seq and no client. A volume that is being
 *       synchronised or has collapsed refuses to be held: its newest seqs are no recovery points.
 * </ul>
 *
 * <p>A tap that dies while it holds has replied to nothing above its mark; its hold is never
 * attested, so there is no tag. The mark is worth something only once every write up to it is
 * journaled by the process that attested it: see the tag's package.
 */
package io.tidemark.taporder;
