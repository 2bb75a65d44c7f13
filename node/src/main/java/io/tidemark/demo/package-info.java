/**
 * The demonstration: a shop's database on a protected volume, a mistake, and the way back - with
 * real processes, a real file system and a real database, each claim proven before the next.
 *
 * <p>The shop's host is played by the demonstration itself: it keeps an ext4 file system with an
 * SQLite database in it, and whatever a transaction changes on that disk it writes to the volume
 * over NBD, block by block, as the kernel of a server would. It therefore knows the right content
 * of the volume after every single write.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>E1 Exit code 0 only if every claim held.
 *   <li>E2 However it ends - done, failed, Ctrl-C - no process and no file is left behind.
 * </ol>
 */
package io.tidemark.demo;
