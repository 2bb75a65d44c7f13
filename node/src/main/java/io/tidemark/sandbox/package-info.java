/**
 * Runs the machine's file-system tools on a disk that is served over NBD, apart from everything
 * else: each {@link io.tidemark.sandbox.Sandbox} is a process tree in mount, process, network and
 * IPC namespaces of its own, in which one NBD export is a file named {@code disk}.
 *
 * <pre>
 *   node --- pipe ---> sh (process 1 of the sandbox) --- nbdfuse --- NBD, unix socket --- node
 *                       tool, tool ... : nsenter, resource limits, user nobody, no new privileges
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>B1 Nothing of it can be seen from outside: its mounts exist in its own namespace only. Its
 *       tools have no network, no capabilities, and see no data of people, of other programs or of
 *       the node: empty file systems lie over the directories where those are.
 *   <li>B2 It ends with the node, however that ends: process 1 ends at the end of its standard
 *       input, and the kernel ends every other process and mount with it. It ends with its NBD
 *       client, too.
 *   <li>B3 No tool outlives its request: at its time limit, at its output limit and when the reader
 *       of its output gives up it is killed.
 *   <li>B4 No text of a user or of a disk is ever part of a command: commands carry numbers that
 *       were read from the disk as numbers, and constants.
 * </ol>
 */
package io.tidemark.sandbox;
