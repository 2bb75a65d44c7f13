package io.tidemark.nbd.protocol;

import java.io.IOException;

/** The client broke the protocol in a way that leaves no common ground: it is dropped. */
public final class ProtocolViolation extends IOException {
  private static final long serialVersionUID = 1L;

  public ProtocolViolation(String message) {
    super(message);
  }
}
