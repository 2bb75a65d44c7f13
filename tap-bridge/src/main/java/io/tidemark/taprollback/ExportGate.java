package io.tidemark.taprollback;

import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdRequest;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/** Lets clients to an export, or keeps them from it while its content is exchanged (R2). */
public final class ExportGate {
  private final NbdExport export;
  private Door door;
  private volatile boolean shut;

  /**
   * @param shut whether it begins shut
   */
  public ExportGate(NbdExport export, boolean shut) {
    this.export = export;
    this.shut = shut;
    this.door = new Door();
  }

  /** What new clients find; nothing while it is shut. */
  public synchronized Optional<NbdExport> export() {
    return shut ? Optional.empty() : Optional.of(door);
  }

  /** Clients that came in since it was last opened and have not left. */
  public synchronized int clients() {
    return door.clients.get();
  }

  /**
   * Lets nobody in any more. Where clients are inside it changes nothing, not even for an instant,
   * unless forced: then all their requests fail, for good.
   *
   * @return how many clients were inside; it is shut if none was, or if forced
   */
  public synchronized int shut(boolean force) {
    int inside = door.clients.get();
    if (inside > 0 && !force) {
      return inside;
    }
    shut = true;
    if (inside > 0) {
      door.over = true;
      door = new Door();
    }
    return inside;
  }

  /** Lets clients in again. */
  synchronized void open() {
    shut = false;
  }

  /** The export as the clients of one time between two rollbacks see it. */
  private final class Door implements NbdExport {
    private final AtomicInteger clients = new AtomicInteger();
    private volatile boolean over;

    @Override
    public NbdExportInfo info() {
      return export.info();
    }

    @Override
    public void handle(NbdRequest request) {
      // Also one that was just coming in when it was shut.
      if (over || shut) {
        request.fail(
            NbdError.ESHUTDOWN, "the volume is being taken back to another point: connect again");
      } else {
        export.handle(request);
      }
    }

    @Override
    public void clientEntered() {
      clients.incrementAndGet();
      export.clientEntered();
    }

    @Override
    public void clientLeft() {
      clients.decrementAndGet();
      export.clientLeft();
    }
  }
}
