package io.tidemark.index;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class FrontierTest {
  private static NodeHeader node(int level, long first, long last) {
    return new NodeHeader(first, level, first, last, first, last, first, last, 1, 1, 1);
  }

  /** After any number of leaves the frontier is that number in base eight (X4). */
  @Test
  void shouldKeepAtMostSevenNodesOfALevel() {
    List<NodeHeader> frontier = List.of();
    for (int n = 1; n <= 3000; n++) {
      List<NodeHeader> grown = new ArrayList<>(frontier);
      grown.add(node(1, n, n));
      var due = Frontier.mergeable(grown);
      while (due.isPresent()) {
        List<NodeHeader> run = due.get();
        NodeHeader merged =
            node(run.get(0).level() + 1, run.get(0).firstSeq(), run.get(7).lastSeq());
        grown = new ArrayList<>(Frontier.replace(grown, merged));
        due = Frontier.mergeable(grown);
      }
      frontier = List.copyOf(grown);
      Frontier.check(frontier);
      assertEquals(1, frontier.get(0).firstSeq());
      assertEquals(n, frontier.get(frontier.size() - 1).lastSeq());
      int digits = Integer.toString(n, 8).chars().map(digit -> digit - '0').sum();
      assertEquals(digits, frontier.size());
    }
  }

  @Test
  void shouldRefuseToReplaceWhatIsNotThere() {
    List<NodeHeader> frontier = List.of(node(1, 1, 5), node(1, 6, 9));
    assertThrows(IllegalArgumentException.class, () -> Frontier.replace(frontier, node(2, 1, 7)));
    assertThrows(IllegalArgumentException.class, () -> Frontier.replace(frontier, node(2, 2, 9)));
    assertThrows(IllegalArgumentException.class, () -> Frontier.replace(frontier, node(2, 10, 12)));
    assertEquals(List.of(node(2, 1, 9)), Frontier.replace(frontier, node(2, 1, 9)));
  }

  @Test
  void shouldFindWhatIsOutOfOrder() {
    assertThrows(
        IllegalArgumentException.class,
        () -> Frontier.check(List.of(node(1, 1, 5), node(1, 5, 9))));
    assertThrows(
        IllegalArgumentException.class,
        () -> Frontier.check(List.of(node(1, 1, 5), node(2, 6, 9))));
    List<NodeHeader> nine = new ArrayList<>();
    for (int i = 1; i <= 9; i++) {
      nine.add(node(1, i, i));
    }
    assertThrows(IllegalArgumentException.class, () -> Frontier.check(nine));
    assertTrue(Frontier.mergeable(nine.subList(0, 7)).isEmpty());
  }
}
