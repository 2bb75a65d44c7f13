/**
 * {@code tidemark bench wan}: the writes of real programs are recorded once, and every way of
 * bringing them to another site is then given the same record.
 *
 * <pre>
 *   program -> file system -> loop -> nbdfuse -> tap -> tap link -> Recorder -> trace file
 *   trace file -> packing of the link, gzip, zstd, changed blocks, rsync -> bytes
 *   trace file -> two sites and a link between them -> bytes on the line
 * </pre>
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>B1 All that is compared is fed with the same record, and is charged with the same part of
 *       it: what comes after the record's last mark. What comes before is at both sites.
 *   <li>B2 What was packed is unpacked and compared with the record; a wrong byte ends the run.
 *   <li>B3 Raw bytes are the data of all writes, overwritten or not; ranges of zeroes without data
 *       count nothing.
 * </ol>
 */
package io.tidemark.bench.wan;
