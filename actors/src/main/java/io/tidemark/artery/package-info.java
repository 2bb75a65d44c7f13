/**
 * The connections that carry the cluster's messages between machines: their TLS, and an end to
 * those whose other end has fallen silent.
 *
 * <p>A TCP connection over a line that was cut does not break: its sender tries again ever more
 * seldom, after a minute's cut for up to another minute, and what is said meanwhile waits behind
 * it. {@link io.tidemark.remote.SiteWatch} notices that a node is silent and has the connections to
 * it broken off; Akka dials anew at once and over and over, and is through soon after the line is
 * back.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>A1 Only a connection that is older than the silence is broken off: a new one is given as
 *       long to prove itself.
 *   <li>A2 What is broken off fails at the next byte that is to be sent over it, and keeps nothing
 *       in memory.
 * </ol>
 */
package io.tidemark.artery;
