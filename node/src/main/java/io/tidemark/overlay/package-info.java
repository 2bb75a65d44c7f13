/**
 * The changes of a writable image: copy on write into local files.
 *
 * <p>Two files in the image's directory: {@code overlay.data}, sparse, in which every byte has the
 * offset that it has in the volume, and {@code overlay.map}, a log of which blocks are there. A
 * block is {@code BASE} (not changed: read the recovery point), {@code DATA} (read the data file)
 * or {@code ZERO}. A block that becomes {@code DATA} by a write of a part of it is filled up from
 * what it was.
 *
 * <pre>
 *   overlay.map   header: magic 8, version 4, block bytes 4, volume bytes 8, volume id 16, seq 8,
 *                         CRC-32C 4, zeroes to 64
 *                 record: magic 4, kind 4, flush number 8, part 4, last part 4, payload bytes 4,
 *                         CRC-32C of all the rest 4, payload
 *                   kind 1, runs: n times first block 8, blocks 4, state 4
 *                   kind 2, page: page 4, zeroes 4, 512 words of DATA bits, 512 words of ZERO bits
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>O1 What was written before a flush that completed survives the end of the process and power
 *       loss; each block written after it is, after a crash, either old or new.
 *   <li>O2 A block is named {@code DATA} in the stored map only after its data was synced.
 *   <li>O3 A flush is appended to the map only after the one before it was synced: whatever follows
 *       a broken record can only be of the same flush, or else the map is corrupt and refused.
 *   <li>O4 Changes of overlapping ranges happen one after the other.
 *   <li>O5 Memory: three bits a block, allocated where blocks were changed; blocks are as large as
 *       it takes to have at most 2^26 of them, and 4 KiB to 64 KiB.
 * </ol>
 */
package io.tidemark.overlay;
