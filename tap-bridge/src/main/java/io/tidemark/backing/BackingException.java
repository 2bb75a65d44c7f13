package io.tidemark.backing;

import io.tidemark.nbd.NbdError;
import java.io.IOException;

/** The operating system refused an access to a backing store. */
public final class BackingException extends IOException {
  private static final long serialVersionUID = 1L;
  private final NbdError error;

  public BackingException(NbdError error, String message, Throwable cause) {
    super(message, cause);
    this.error = error;
  }

  /** What the client is told. */
  public NbdError error() {
    return error;
  }
}
