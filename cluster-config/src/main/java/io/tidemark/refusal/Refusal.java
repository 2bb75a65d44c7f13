package io.tidemark.refusal;

/** An expected refusal on its way to whoever asked: a code for programs, a sentence for people. */
public final class Refusal extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final int PRINTABLE_MAX = 80;
  private final ErrorCode code;

  /**
   * @param message what was wrong, what was expected and what to do next
   */
  public Refusal(ErrorCode code, String message) {
    this(code, message, null);
  }

  public Refusal(ErrorCode code, String message, Throwable cause) {
    super(message, cause, true, false);
    this.code = code;
  }

  public ErrorCode code() {
    return code;
  }

  /** Foreign text made safe to show: control characters replaced, cut at 80 characters. */
  public static String printable(String text) {
    String cut = text.length() <= PRINTABLE_MAX ? text : text.substring(0, PRINTABLE_MAX) + "...";
    return cut.replaceAll("\\p{Cntrl}", "?");
  }
}
