package io.tidemark.filesystem;

import java.util.Optional;

/**
 * A name as its directory has it.
 *
 * @param name raw bytes, one character each
 * @param id how the reader finds what it stands for
 * @param described what it stands for, where the tool told at once
 */
record DirectoryChild(String name, String id, Optional<FileEntry> described) {}
