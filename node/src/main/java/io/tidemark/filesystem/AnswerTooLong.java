package io.tidemark.filesystem;

import java.io.IOException;

/** A tool's answer was longer than what may be read at that moment. */
final class AnswerTooLong extends IOException {
  private static final long serialVersionUID = 1;
}
