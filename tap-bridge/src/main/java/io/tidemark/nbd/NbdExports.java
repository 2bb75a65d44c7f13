package io.tidemark.nbd;

import java.util.List;
import java.util.Optional;

/** The exports of one server; may change while clients are connected. */
public interface NbdExports {
  /** The export of that name; the empty name is the default export, if there is one. */
  Optional<NbdExport> find(String name);

  List<NbdExportInfo> list();
}
