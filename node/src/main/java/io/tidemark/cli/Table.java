package io.tidemark.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/** Rows under headings, each column as wide as its longest text. */
final class Table {
  private static final String GAP = "  ";
  private final List<String[]> rows = new ArrayList<>();

  Table(String... headings) {
    rows.add(headings);
  }

  /** As many texts as there are headings. */
  void row(String... texts) {
    rows.add(texts);
  }

  /** Prints the rows, or the sentence when there is none. */
  void print(PrintWriter out, String whenEmpty) {
    if (rows.size() == 1) {
      out.println(whenEmpty);
    } else {
      print(out, rows);
    }
  }

  /** Prints the rows without the headings, below those of another table. */
  void printMore(PrintWriter out) {
    print(out, rows.subList(1, rows.size()));
  }

  private void print(PrintWriter out, List<String[]> shown) {
    int[] widths = new int[rows.get(0).length];
    for (String[] row : rows) {
      for (int i = 0; i < row.length; i++) {
        widths[i] = Math.max(widths[i], row[i].length());
      }
    }
    for (String[] row : shown) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < row.length; i++) {
        line.append(row[i]).append(" ".repeat(widths[i] - row[i].length())).append(GAP);
      }
      out.println(line.toString().stripTrailing());
    }
  }
}
