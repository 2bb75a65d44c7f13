package io.tidemark.nbd.client;

import java.io.IOException;

/** The server answered a request with an error. */
public final class NbdClientException extends IOException {
  private static final long serialVersionUID = 1L;
  private final int errno;

  NbdClientException(int errno, String message) {
    super(message);
    this.errno = errno;
  }

  /** The error value of the protocol, such as 5 for EIO. */
  public int errno() {
    return errno;
  }
}
