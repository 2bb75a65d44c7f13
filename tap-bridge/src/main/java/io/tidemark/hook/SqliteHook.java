package io.tidemark.hook;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * SQLite through its shell: the write lock is held, and in WAL mode everything is in the data base
 * file, so that nothing is left to recover.
 */
final class SqliteHook extends SessionHook {
  /** Longer than a short reader needs to let the log be emptied. */
  private static final long READER_MILLIS = 500;

  private final ApplicationSpec.Sqlite spec;

  SqliteHook(ApplicationSpec.Sqlite spec) {
    super(spec.runAs());
    this.spec = spec;
  }

  @Override
  List<String> client() throws HookFailure {
    if (!Files.isRegularFile(spec.database())) {
      throw HookFailure.failed(spec.database() + " is no file: the shell would make one");
    }
    return List.of("sqlite3", "-init", "/dev/null", "-batch", "-bail", spec.database().toString());
  }

  @Override
  String mark(String mark) {
    return ".print " + mark;
  }

  @Override
  Optional<CredentialsFile> credentials() {
    return Optional.empty();
  }

  @Override
  String hold(Session session, long until, long frozenUntil) throws HookFailure {
    session.ask(".timeout " + millisUntil(until), until);
    Path log = Path.of(spec.database() + "-wal");
    String mode = session.value("PRAGMA journal_mode;", until);
    boolean wal = mode.equals("wal");
    long tryUntil = System.nanoTime() + (until - System.nanoTime()) / 2;
    while (wal && System.nanoTime() < tryUntil) {
      session.ask(".timeout " + READER_MILLIS, until);
      session.ask("PRAGMA wal_checkpoint(TRUNCATE);", until);
      session.ask(".timeout " + millisUntil(until), until);
      session.ask("BEGIN IMMEDIATE;", until);
      if (empty(log)) {
        return "write lock held, the write-ahead log is empty";
      }
      session.ask("ROLLBACK;", until); // a writer was faster
    }
    session.ask(".timeout " + millisUntil(until), until);
    session.ask("BEGIN IMMEDIATE;", until);
    return wal
        ? "write lock held; readers or writers kept the write-ahead log from being emptied"
        : "write lock held, journal mode " + mode;
  }

  private static boolean empty(Path log) throws HookFailure {
    try {
      return !Files.exists(log) || Files.size(log) == 0;
    } catch (IOException e) {
      throw HookFailure.failed(log + " cannot be looked at: " + e.getMessage());
    }
  }

  @Override
  String release(Session session, long until) throws HookFailure {
    session.ask("ROLLBACK;", until);
    return "write lock released";
  }
}
