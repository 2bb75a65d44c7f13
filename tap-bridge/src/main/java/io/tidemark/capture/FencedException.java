package io.tidemark.capture;

import java.io.IOException;

/** The volume was promoted elsewhere: this tap must not change its backing store any more (J6). */
public final class FencedException extends IOException {
  private static final long serialVersionUID = 1L;

  public FencedException(String message) {
    super(message);
  }
}
