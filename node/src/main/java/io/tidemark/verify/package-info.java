/**
 * Verification of a volume's journal as a job: every stored chunk against the checksum that the tap
 * computed, the extent index against the journal's events, the newest content against the backing
 * store. Nothing is repaired here, and nothing is changed.
 */
package io.tidemark.verify;
