package io.tidemark.filesystem;

/** Reads a tool's answer by lengths and separators (F2). */
final class Cursor {
  private final String text;
  private final String tool;
  private int at;

  Cursor(String text, String tool) {
    this.text = text;
    this.tool = tool;
  }

  boolean more() {
    return at < text.length();
  }

  boolean skip(String expected) {
    if (text.startsWith(expected, at)) {
      at += expected.length();
      return true;
    }
    return false;
  }

  void require(String expected) {
    if (!skip(expected)) {
      throw Unreadable.garbled(tool);
    }
  }

  /** Up to the separator, which is skipped. */
  String until(char separator) {
    int end = text.indexOf(separator, at);
    if (end < 0) {
      throw Unreadable.garbled(tool);
    }
    String found = text.substring(at, end);
    at = end + 1;
    return found;
  }

  String take(int length) {
    if (length < 0 || length > text.length() - at) {
      throw Unreadable.garbled(tool);
    }
    at += length;
    return text.substring(at - length, at);
  }

  /** A word after any spaces; the space after it stays. */
  String word() {
    spaces();
    int begin = at;
    while (more() && " \t\n".indexOf(text.charAt(at)) < 0) {
      at++;
    }
    return text.substring(begin, at);
  }

  void spaces() {
    while (more() && (text.charAt(at) == ' ' || text.charAt(at) == '\t')) {
      at++;
    }
  }

  long number() {
    return number(word());
  }

  long number(String word) {
    try {
      return Long.parseLong(word);
    } catch (NumberFormatException e) {
      throw Unreadable.garbled(tool);
    }
  }
}
