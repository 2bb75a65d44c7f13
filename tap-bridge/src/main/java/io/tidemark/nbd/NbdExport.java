package io.tidemark.nbd;

/** A disk that the server offers under a name. */
public interface NbdExport {
  NbdExportInfo info();

  /**
   * Carries out a request that the server has checked against {@link #info()}: known command, range
   * inside the export, no change to a read-only one. The request must be completed exactly once, on
   * any thread; until then its payload stays valid.
   */
  void handle(NbdRequest request);

  /** A client has chosen this export; called before its first request. */
  default void clientEntered() {}

  /** A client that entered is gone; called once, after the last reply to it. */
  default void clientLeft() {}
}
