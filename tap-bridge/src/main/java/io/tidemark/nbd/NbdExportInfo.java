package io.tidemark.nbd;

/**
 * What a client is told of an export.
 *
 * @param name export name, UTF-8, at most 4096 bytes
 * @param description for people
 * @param sizeBytes size, a multiple of {@code blockSizeMin}
 * @param readOnly whether changes are refused with EPERM
 * @param blockSizeMin smallest request and alignment, a power of two
 * @param blockSizePreferred what serves the export best
 * @param blockSizeMax longest payload of one request, in bytes
 */
public record NbdExportInfo(
    String name,
    String description,
    long sizeBytes,
    boolean readOnly,
    int blockSizeMin,
    int blockSizePreferred,
    int blockSizeMax) {}
