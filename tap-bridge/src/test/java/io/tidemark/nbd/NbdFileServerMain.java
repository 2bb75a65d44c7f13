package io.tidemark.nbd;

import io.tidemark.backing.FileBackingStore;
import io.tidemark.backing.TapExport;
import io.tidemark.capture.CaptureSink;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;

/** Serves one file until killed, without capture: what is measured against other NBD servers. */
public final class NbdFileServerMain {
  private NbdFileServerMain() {}

  /** Arguments: listen address, file. */
  public static void main(String[] args) throws IOException, InterruptedException {
    Path path = Path.of(args[1]);
    long bytes = Files.size(path);
    FileBackingStore store = FileBackingStore.open(path, bytes, false);
    TapExport export = new TapExport("", "", bytes, false, store, CaptureSink.none());
    NbdServer server =
        NbdServer.start(NbdListenAddress.parse(args[0]), one(export), NbdServerSettings.defaults());
    System.out.println("listening on " + server.addresses());
    new CountDownLatch(1).await();
  }

  static NbdExports one(NbdExport export) {
    return new NbdExports() {
      @Override
      public Optional<NbdExport> find(String name) {
        return name.equals(export.info().name()) || name.isEmpty()
            ? Optional.of(export)
            : Optional.empty();
      }

      @Override
      public List<NbdExportInfo> list() {
        return List.of(export.info());
      }
    };
  }
}
