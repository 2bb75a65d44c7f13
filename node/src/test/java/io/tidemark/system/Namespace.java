package io.tidemark.system;

import java.util.List;

/**
 * A network namespace that has an address on a line.
 *
 * @param name as {@code ip netns} knows it
 * @param address of this end of the line
 */
record Namespace(String name, String address) {
  /** What a command is put behind to run inside. */
  List<String> inside() {
    return List.of("ip", "netns", "exec", name);
  }
}
