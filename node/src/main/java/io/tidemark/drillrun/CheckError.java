package io.tidemark.drillrun;

/** A point could not be checked (N4); the message says why. */
final class CheckError extends Exception {
  private static final long serialVersionUID = 1;

  CheckError(String message) {
    super(message);
  }
}
