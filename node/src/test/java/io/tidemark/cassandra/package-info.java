/** Cassandra as others run it, for tests of whole nodes: with TLS, users and rights. */
package io.tidemark.cassandra;
