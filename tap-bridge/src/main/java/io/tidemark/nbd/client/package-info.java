/**
 * A plain NBD client, one request at a time: what the demonstration, the benchmarks and the system
 * tests use to behave like a protected host.
 */
package io.tidemark.nbd.client;
