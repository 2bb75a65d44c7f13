package io.tidemark.filesystem;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.sandbox.Tools;

/** Refusals of what cannot be read. */
final class Unreadable {
  private static final String WAY_OUT = "; the whole disk can be read as an image over NBD";

  private Unreadable() {}

  static Refusal because(String reason) {
    return new Refusal(ErrorCode.UNREADABLE, reason + WAY_OUT);
  }

  /** A tool that did not understand the disk. */
  static Refusal said(String tool, Tools.Answer answer) {
    String errors = answer.errors().strip();
    String last = errors.substring(errors.lastIndexOf('\n') + 1);
    return because(
        "the file system is damaged or of a kind that "
            + tool
            + " does not know ("
            + (last.isEmpty() ? "exit code " + answer.exitCode() : Refusal.printable(last))
            + ")");
  }

  static Refusal garbled(String tool) {
    return because(tool + " gave an answer that is not understood");
  }

  static Refusal tooLarge(String what, long limit) {
    return new Refusal(ErrorCode.LIMIT, what + " is above the limit of " + limit + WAY_OUT);
  }
}
