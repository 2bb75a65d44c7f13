package io.tidemark.remote;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The other sites that this node has met and where their nodes were, in a file: a node that starts
 * while all of them are gone knows whom to look for. Thread-safe; blocks on the disk when something
 * is new.
 */
final class SiteMemory {
  private static final Logger LOG = LoggerFactory.getLogger(SiteMemory.class);
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int SITES_MAX = 64;
  private static final int NODES_MAX = 64;
  private static final long FILE_BYTES_MAX = 1 << 18;

  private final Optional<Path> file;
  private final SortedMap<String, SortedSet<String>> sites = new TreeMap<>();

  /**
   * @param file may not exist yet; empty: remembers nothing beyond the process
   */
  SiteMemory(Optional<Path> file) {
    this.file = file;
    file.filter(Files::exists).ifPresent(this::read);
  }

  private void read(Path from) {
    try {
      if (Files.size(from) > FILE_BYTES_MAX) {
        throw new IOException("it is longer than " + FILE_BYTES_MAX + " bytes");
      }
      sites.putAll(
          JSON.readValue(from.toFile(), new TypeReference<TreeMap<String, TreeSet<String>>>() {}));
    } catch (IOException e) {
      LOG.warn(
          "{} cannot be read, so that other sites are only found where tidemark.cluster.other-sites"
              + " or they themselves name an address: {}",
          from,
          e.toString());
    }
  }

  /** Copies; names of sites and {@code HOST:PORT} of their nodes. */
  synchronized Map<String, SortedSet<String>> sites() {
    Map<String, SortedSet<String>> copy = new TreeMap<>();
    sites.forEach((site, nodes) -> copy.put(site, new TreeSet<>(nodes)));
    return copy;
  }

  /** The site's members now; those of an earlier meeting are forgotten. */
  synchronized void met(String site, SortedSet<String> nodes) {
    boolean room = sites.containsKey(site) || sites.size() < SITES_MAX;
    if (room && nodes.size() <= NODES_MAX && !nodes.equals(sites.get(site))) {
      sites.put(site, new TreeSet<>(nodes));
      write();
    }
  }

  /** A node of another site named itself. */
  synchronized void heardOf(String site, String node) {
    SortedSet<String> known = new TreeSet<>(sites.getOrDefault(site, new TreeSet<>()));
    if (known.add(node)) {
      met(site, known);
    }
  }

  synchronized void forget(String site) {
    if (sites.remove(site) != null) {
      write();
    }
  }

  private void write() {
    if (file.isEmpty()) {
      return;
    }
    Path draft = file.get().resolveSibling(file.get().getFileName() + ".new");
    try {
      Files.write(draft, JSON.writeValueAsBytes(sites));
      Files.move(draft, file.get(), StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      LOG.warn(
          "{} cannot be written: after a restart this node may not find the other sites by itself:"
              + " {}",
          file.get(),
          e.toString());
    }
  }
}
