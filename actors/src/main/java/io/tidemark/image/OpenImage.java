package io.tidemark.image;

import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import java.util.Optional;

/**
 * What an image is asked to be.
 *
 * @param writable whether clients may write; their changes go to an overlay
 * @param name the image's name and NBD export name, 1 to 128 characters of the form of a volume
 *     name; made of the volume's name and the write seq when empty
 */
public record OpenImage(VolumeName volume, At at, boolean writable, Optional<String> name) {}
