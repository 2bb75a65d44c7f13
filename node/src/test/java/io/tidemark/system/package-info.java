/**
 * The whole product as a user runs it: forked processes, real Cassandra, real sockets, an oracle
 * beside it, and {@code kill -9} in the middle.
 */
package io.tidemark.system;
