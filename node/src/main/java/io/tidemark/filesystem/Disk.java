package io.tidemark.filesystem;

import java.io.IOException;

/** The bytes that the tools read, after whatever they changed. */
@FunctionalInterface
public interface Disk {
  /** Blocks until all bytes are there. */
  byte[] read(long offset, int length) throws IOException;
}
