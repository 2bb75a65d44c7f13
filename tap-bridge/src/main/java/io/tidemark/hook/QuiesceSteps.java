package io.tidemark.hook;

import io.tidemark.hook.ApplicationSpec.FileSystem;
import io.tidemark.hook.ApplicationSpec.Scripts;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The order of quiescing: scripts, then data bases, then file systems, a deeper mount point before
 * a higher one, and each before what it lies on. What is in one step may be done at once.
 */
final class QuiesceSteps {
  private static final int SCRIPTS = 0;
  private static final int DATA_BASES = 1;
  private static final int FILE_SYSTEMS = 2;
  private static final int DEPTH_MAX = 64;

  private QuiesceSteps() {}

  /**
   * @param names none: all; those that are not known are left out
   */
  static List<List<ApplicationSpec>> of(Map<String, ApplicationSpec> known, List<String> names) {
    Map<String, Integer> levels = new LinkedHashMap<>();
    Deque<String> open = new ArrayDeque<>(names.isEmpty() ? known.keySet() : names);
    while (!open.isEmpty()) {
      ApplicationSpec spec = known.get(open.poll());
      if (spec != null) {
        int level = levels.merge(spec.name(), level(spec), Math::max);
        for (String lower : spec.on()) {
          if (levels.getOrDefault(lower, -1) <= level) {
            levels.put(lower, Math.max(level + 1, level(known.get(lower))));
            open.add(lower);
          }
        }
      }
    }
    Map<Integer, List<ApplicationSpec>> steps = new TreeMap<>();
    levels.forEach(
        (name, level) ->
            steps.computeIfAbsent(level, l -> new java.util.ArrayList<>()).add(known.get(name)));
    return List.copyOf(steps.values());
  }

  private static int level(ApplicationSpec spec) {
    if (spec.kind() instanceof FileSystem fileSystem) {
      return FILE_SYSTEMS + DEPTH_MAX - Math.min(DEPTH_MAX, fileSystem.mountPoint().getNameCount());
    }
    return spec.kind() instanceof Scripts ? SCRIPTS : DATA_BASES;
  }
}
