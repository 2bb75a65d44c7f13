package io.tidemark.refusal;

/**
 * The stable codes of expected refusals; other programs rely on them, so they are only added to.
 */
public enum ErrorCode {
  /** There is no such thing. */
  NOT_FOUND(404, 4),
  /** A thing of that name exists. */
  ALREADY_EXISTS(409, 3),
  /** The request itself is wrong. */
  INVALID(400, 2),
  /** Capture was lost there: no recovery point inside. */
  DARK_INTERVAL(409, 3),
  /** A replica that never held all of its source's content. */
  NOT_SYNCHRONIZED(409, 3),
  /** Promoting it might make, or would make, a second volume that is written. */
  SECOND_PRIMARY(409, 3),
  /** Older than the oldest recoverable point. */
  BEYOND_HORIZON(409, 3),
  /** Newer than the newest journaled write. */
  BEYOND_HEAD(409, 3),
  /** The writer's epoch is over. */
  FENCED(409, 3),
  /** Somebody else holds it; try again later. */
  BUSY(409, 3),
  /** An application was not quiesced within its time limit. */
  HOLD_TIMEOUT(504, 3),
  /** The request may or may not have been carried out: the journal did not answer in time. */
  NOT_ACKNOWLEDGED(503, 5),
  /** No lease: another site may have taken over. Nothing is known to be lost. */
  LEASE_EXPIRED(409, 3),
  /** No valid credentials. */
  UNAUTHENTICATED(401, 3),
  /** The credentials do not allow this. */
  FORBIDDEN(403, 3),
  /** A named limit was exceeded. */
  LIMIT(413, 3),
  /** There is content, but nothing that can read files in it: no known or a damaged file system. */
  UNREADABLE(422, 3),
  /** Stored data failed its checksum; it is never served. */
  CORRUPT(500, 1),
  /** A local resource failed: disk, port, child process. */
  FAILED(500, 1);

  private final int httpStatus;
  private final int exitCode;

  ErrorCode(int httpStatus, int exitCode) {
    this.httpStatus = httpStatus;
    this.exitCode = exitCode;
  }

  public int httpStatus() {
    return httpStatus;
  }

  /** The CLI's exit code: 1 failed, 2 usage, 3 refused, 4 not found, 5 unreachable. */
  public int exitCode() {
    return exitCode;
  }
}
