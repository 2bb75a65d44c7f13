package io.tidemark.taplink;

import java.io.IOException;

/** The peer sent bytes that are no frame, or a frame that it must not send now. */
public final class LinkProtocolException extends IOException {
  private static final long serialVersionUID = 1L;

  public LinkProtocolException(String message) {
    super(message);
  }

  public LinkProtocolException(String message, Throwable cause) {
    super(message, cause);
  }
}
