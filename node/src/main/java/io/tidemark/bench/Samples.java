package io.tidemark.bench;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** Repeated measurements of one thing. Not thread-safe. */
final class Samples {
  private final List<Double> values = new ArrayList<>();

  void add(double value) {
    values.add(value);
  }

  void addAll(Samples others) {
    values.addAll(others.values);
  }

  int count() {
    return values.size();
  }

  double last() {
    return values.get(values.size() - 1);
  }

  double median() {
    return quantile(0.5);
  }

  double max() {
    return Collections.max(values);
  }

  /**
   * @param q 0 for the smallest to 1 for the largest
   */
  double quantile(double q) {
    List<Double> sorted = new ArrayList<>(values);
    Collections.sort(sorted);
    return sorted.get((int) Math.round(q * (sorted.size() - 1)));
  }

  /** The median, and in brackets the smallest and the largest. */
  String text(int decimals) {
    String form = "%." + decimals + "f";
    return String.format(
        Locale.ROOT, form + " (" + form + "-" + form + ")", median(), quantile(0), max());
  }

  static String number(double value, int decimals) {
    return String.format(Locale.ROOT, "%." + decimals + "f", value);
  }
}
