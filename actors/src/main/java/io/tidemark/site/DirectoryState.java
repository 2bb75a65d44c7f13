package io.tidemark.site;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.position.VolumeName;
import io.tidemark.serialization.TidemarkMessage;
import io.tidemark.site.DirectoryEvent.VolumeForgotten;
import io.tidemark.site.DirectoryEvent.VolumeListed;
import io.tidemark.site.DirectoryEvent.VolumeUnlisted;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * The names that are listed, and those that are not but may have left storage behind.
 *
 * @param names in order, each once
 * @param leaving in order, each once
 */
@JsonTypeName("state-directory")
public record DirectoryState(List<VolumeName> names, List<VolumeName> leaving)
    implements TidemarkMessage {
  static final DirectoryState EMPTY = new DirectoryState(List.of(), List.of());

  static DirectoryState apply(DirectoryState state, DirectoryEvent event) {
    SortedSet<VolumeName> names = new TreeSet<>(state.names());
    SortedSet<VolumeName> leaving = new TreeSet<>(state.leaving());
    if (event instanceof VolumeListed e) {
      names.add(e.name());
    } else if (event instanceof VolumeUnlisted e) {
      names.remove(e.name());
      leaving.add(e.name());
    } else if (event instanceof VolumeForgotten e) {
      leaving.remove(e.name());
    }
    return new DirectoryState(List.copyOf(names), List.copyOf(leaving));
  }
}
