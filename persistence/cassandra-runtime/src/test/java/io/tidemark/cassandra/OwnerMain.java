package io.tidemark.cassandra;

import java.io.IOException;
import java.nio.file.Path;

/** A process that owns an embedded Cassandra, to be killed by a test. */
public final class OwnerMain {
  private OwnerMain() {}

  /**
   * @param args the data directory
   */
  public static void main(String[] args) throws IOException {
    EmbeddedCassandra cassandra =
        EmbeddedCassandra.start(TestCassandra.settings("").server(), Path.of(args[0]));
    System.out.println("cassandra " + cassandra.pid());
    while (System.in.read() >= 0) {
      // Lives until the test closes its end or kills it.
    }
    cassandra.close();
  }
}
