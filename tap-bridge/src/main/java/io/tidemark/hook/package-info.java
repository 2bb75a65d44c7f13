/**
 * Hooks: what makes applications of the protected host consistent on disk before a hold, and lets
 * them go on after it. Each runs the application's own command-line client, the tool fsfreeze, or
 * scripts; the tap itself speaks to no data base.
 *
 * <pre>
 *   quiesce:  scripts -&gt; data bases -&gt; file systems, deepest mount point first
 *   thaw:     in reverse
 *
 *   fsfreeze, scripts        tap -- stdin --&gt; guard (sh) --&gt; fsfreeze | timeout SCRIPT
 *   postgresql, mariadb,     tap -- stdin --&gt; timeout --&gt; psql | mariadb | sqlite3 == session
 *   mysql, sqlite
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>H1 No application stays quiesced past its limit, whatever dies: the tap thaws it; a tap
 *       that is gone closes the pipe that its guard or client reads, which ends; and guard, client
 *       and, where it can, the server keep the limit themselves.
 *   <li>H2 What was quiesced is reported as held until the order to thaw only if its guard or its
 *       session says so at that moment; a lock that was lost meanwhile is {@code EXPIRED}.
 *   <li>H3 A hook that fails leaves its application thawed; a program that hangs is killed with its
 *       whole process group. Only a freeze in the kernel cannot be killed: its guard stays and
 *       thaws as soon as the kernel lets it.
 *   <li>H4 One flight of quiesce and thaw at a time; a few wait, the rest is refused with {@code
 *       BUSY}.
 *   <li>H5 Secrets are read by the clients, from files that only their owner may read; they are in
 *       no command line, no environment and no output that is kept.
 *   <li>H6 The tap never freezes a file system that holds its own files.
 * </ol>
 */
package io.tidemark.hook;
