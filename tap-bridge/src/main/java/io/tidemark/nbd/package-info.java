/** The NBD server: fixed newstyle handshake, transmission phase, exports. */
package io.tidemark.nbd;
