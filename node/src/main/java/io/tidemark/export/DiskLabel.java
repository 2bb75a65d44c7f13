package io.tidemark.export;

import java.util.UUID;

/**
 * What some formats want to know of a disk beside its content.
 *
 * @param fileName the file's name once it is complete
 * @param id tells this disk from all others
 */
record DiskLabel(String fileName, UUID id) {}
