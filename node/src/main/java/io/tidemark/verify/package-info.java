/** Verification of a volume's journal: checksums, index, backing store. */
package io.tidemark.verify;
