package io.tidemark.files;

import io.tidemark.filesystem.FilePath;
import java.util.OptionalInt;

/**
 * Which file is asked for.
 *
 * @param partition its number; may be left out where one partition only holds files
 */
public record FileQuestion(FileSource source, OptionalInt partition, FilePath path) {}
