package io.tidemark.hook;

import java.util.List;
import java.util.Optional;

/**
 * PostgreSQL through psql. What each mode promises is in docs/operations.md: in all of them a
 * recovered data base replays what was logged after its last checkpoint, if anything.
 */
final class PostgresHook extends SessionHook {
  private static final int VERSION_MIN = 150_000;

  /** Every table that a transaction of this data base could be writing. */
  private static final String LOCK_TABLES =
      "DO $tidemark$ DECLARE t regclass; BEGIN FOR t IN SELECT c.oid FROM pg_class c JOIN"
          + " pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND"
          + " c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
          + " ORDER BY c.oid LOOP EXECUTE format('LOCK TABLE ONLY %s IN EXCLUSIVE MODE', t);"
          + " END LOOP; END $tidemark$;";

  private final ApplicationSpec.Postgres spec;

  PostgresHook(ApplicationSpec.Postgres spec) {
    super(spec.runAs());
    this.spec = spec;
  }

  @Override
  List<String> client() {
    StringBuilder connection = new StringBuilder();
    parameter(connection, "host", spec.host());
    parameter(connection, "port", spec.port().map(String::valueOf));
    parameter(connection, "user", spec.user());
    parameter(connection, "dbname", Optional.of(spec.database()));
    credentials().ifPresent(f -> parameter(connection, "passfile", Optional.of("" + f.path())));
    parameter(connection, "connect_timeout", Optional.of("10"));
    parameter(connection, "application_name", Optional.of("tidemark"));
    return List.of(
        "psql",
        "--no-psqlrc",
        "--quiet",
        "--no-align",
        "--tuples-only",
        "--no-password",
        "--set=ON_ERROR_STOP=1",
        "--set=VERBOSITY=terse",
        "--dbname=" + connection);
  }

  private static void parameter(StringBuilder to, String name, Optional<String> value) {
    value.ifPresent(
        text ->
            to.append(name)
                .append("='")
                .append(text.replace("\\", "\\\\").replace("'", "\\'"))
                .append("' "));
  }

  @Override
  String mark(String mark) {
    return "\\echo " + mark;
  }

  @Override
  Optional<CredentialsFile> credentials() {
    return spec.passFile().map(CredentialsFile::new);
  }

  @Override
  String hold(Session session, long until, long frozenUntil) throws HookFailure {
    int version = Integer.parseInt(session.value("SHOW server_version_num;", until));
    if (version < VERSION_MIN) {
      throw HookFailure.failed(
          "this is PostgreSQL " + version / 10_000 + "; 15 is the oldest known");
    }
    // The server's own limits: it ends the session if nobody here is left to do it (H1).
    session.ask("SET statement_timeout = %d;".formatted(millisUntil(until)), until);
    long frozenMillis = millisUntil(frozenUntil);
    session.ask("SET idle_session_timeout = %d;".formatted(frozenMillis), until);
    session.ask("SET idle_in_transaction_session_timeout = %d;".formatted(frozenMillis), until);
    session.ask("SET lock_timeout = %d;".formatted(millisUntil(until)), until);
    // The first may take long; so the second has little to do.
    session.ask("CHECKPOINT;", until);
    switch (spec.mode()) {
      case CHECKPOINT -> session.ask("CHECKPOINT;", until);
      case BACKUP -> session.ask("SELECT pg_backup_start('tidemark', fast => true);", until);
      case LOCK -> {
        session.ask("BEGIN;", until);
        session.ask(LOCK_TABLES, until);
        session.ask("CHECKPOINT;", until);
      }
      default -> throw new IllegalStateException("no such mode: " + spec.mode());
    }
    String found =
        session.value(
            "SELECT 'checkpoint at ' || redo_lsn || ', log at ' || pg_current_wal_insert_lsn() ||"
                + " ', ' || (pg_current_wal_insert_lsn() - redo_lsn)::bigint ||"
                + " ' bytes to replay' FROM pg_control_checkpoint();",
            until);
    session.ask("SET statement_timeout = 0;", until);
    return found;
  }

  @Override
  String release(Session session, long until) throws HookFailure {
    return switch (spec.mode()) {
      case CHECKPOINT -> session.value("SELECT 'log at ' || pg_current_wal_insert_lsn();", until);
      case BACKUP ->
          String.join(
              "\n",
              session.ask(
                  "SELECT labelfile FROM pg_backup_stop(wait_for_archive => false);", until));
      case LOCK -> {
        String found = session.value("SELECT 'log at ' || pg_current_wal_insert_lsn();", until);
        session.ask("COMMIT;", until);
        yield found;
      }
    };
  }
}
