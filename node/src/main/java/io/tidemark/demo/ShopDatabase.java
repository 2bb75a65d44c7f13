package io.tidemark.demo;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Random;

/**
 * The shop's SQLite database. Its own rule, kept by every transaction: the till holds exactly what
 * the orders add up to.
 */
final class ShopDatabase {
  private static final String[] GOODS = {"anchor", "barometer", "chart", "sextant", "rope", "lamp"};
  private static final int CUSTOMERS = 200;
  private static final int ORDERS_PER_TRANSACTION = 12;

  /**
   * What the application's own checks say.
   *
   * @param integrity SQLite's word, {@code ok} when the file is sound
   * @param till in cents; equals {@code turnover} when the shop's rule holds
   */
  record Books(String integrity, long orders, long turnover, long till) {
    boolean balanced() {
      return integrity.equals("ok") && turnover == till;
    }

    @Override
    public String toString() {
      return "integrity %s, %d orders worth %d.%02d, till %d.%02d"
          .formatted(integrity, orders, turnover / 100, turnover % 100, till / 100, till % 100);
    }
  }

  private final Path file;

  ShopDatabase(Path file) {
    this.file = file;
  }

  private Connection connect() throws SQLException {
    return DriverManager.getConnection("jdbc:sqlite:" + file);
  }

  void create() throws SQLException {
    try (Connection connection = connect();
        Statement statement = connection.createStatement()) {
      statement.execute("PRAGMA page_size = 4096");
      statement.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL)");
      statement.execute(
          "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL,"
              + " item TEXT NOT NULL, cents INTEGER NOT NULL, note TEXT NOT NULL)");
      statement.execute("CREATE INDEX orders_by_customer ON orders (customer)");
      statement.execute("CREATE TABLE till (cents INTEGER NOT NULL)");
      statement.execute("INSERT INTO till VALUES (0)");
      connection.setAutoCommit(false);
      try (PreparedStatement insert =
          connection.prepareStatement("INSERT INTO customer (name) VALUES (?)")) {
        for (int i = 1; i <= CUSTOMERS; i++) {
          insert.setString(1, "customer " + i);
          insert.executeUpdate();
        }
      }
      connection.commit();
    }
  }

  /** One transaction: some orders, and the till grows by as much. */
  void sell(Random random) throws SQLException {
    try (Connection connection = connect()) {
      connection.setAutoCommit(false);
      long sum = 0;
      try (PreparedStatement order =
              connection.prepareStatement(
                  "INSERT INTO orders (customer, item, cents, note) VALUES (?, ?, ?, ?)");
          PreparedStatement till =
              connection.prepareStatement("UPDATE till SET cents = cents + ?")) {
        for (int i = 0; i < ORDERS_PER_TRANSACTION; i++) {
          int cents = 100 + random.nextInt(50_000);
          sum += cents;
          order.setInt(1, 1 + random.nextInt(CUSTOMERS));
          order.setString(2, GOODS[random.nextInt(GOODS.length)]);
          order.setInt(3, cents);
          order.setString(4, Long.toHexString(random.nextLong()).repeat(4));
          order.executeUpdate();
        }
        till.setLong(1, sum);
        till.executeUpdate();
      }
      connection.commit();
    }
  }

  /** The mistake: the WHERE was forgotten. */
  void forgetTheWhere() throws SQLException {
    try (Connection connection = connect();
        Statement statement = connection.createStatement()) {
      statement.executeUpdate("DELETE FROM orders");
      statement.execute("VACUUM");
    }
  }

  Books books() throws SQLException {
    try (Connection connection = connect();
        Statement statement = connection.createStatement()) {
      String integrity = text(statement, "PRAGMA integrity_check");
      long orders = number(statement, "SELECT count(*) FROM orders");
      long turnover = number(statement, "SELECT coalesce(sum(cents), 0) FROM orders");
      return new Books(integrity, orders, turnover, number(statement, "SELECT cents FROM till"));
    }
  }

  private static String text(Statement statement, String query) throws SQLException {
    try (ResultSet result = statement.executeQuery(query)) {
      result.next();
      return result.getString(1);
    }
  }

  private static long number(Statement statement, String query) throws SQLException {
    try (ResultSet result = statement.executeQuery(query)) {
      result.next();
      return result.getLong(1);
    }
  }
}
