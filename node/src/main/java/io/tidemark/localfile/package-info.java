/**
 * Files of the node's own file system: what {@code java.nio.file} leaves out to make them durable
 * and their errors clear.
 */
package io.tidemark.localfile;
