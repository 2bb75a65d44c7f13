package io.tidemark.site;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.position.VolumeName;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.site.DirectoryEvent.VolumeListed;
import io.tidemark.site.DirectoryEvent.VolumeUnlisted;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * The names that are listed.
 *
 * @param names in order, each once
 */
@JsonTypeName("state-directory")
public record DirectoryState(List<VolumeName> names) implements TidemarkMessage {
  static final DirectoryState EMPTY = new DirectoryState(List.of());

  static DirectoryState apply(DirectoryState state, DirectoryEvent event) {
    SortedSet<VolumeName> names = new TreeSet<>(state.names());
    if (event instanceof VolumeListed e) {
      names.add(e.name());
    } else if (event instanceof VolumeUnlisted e) {
      names.remove(e.name());
    }
    return new DirectoryState(List.copyOf(names));
  }
}
