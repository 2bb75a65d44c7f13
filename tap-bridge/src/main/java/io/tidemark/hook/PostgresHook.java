package io.tidemark.hook;

import java.util.List;
import java.util.Optional;

/**
 * PostgreSQL through psql. What each mode promises is in docs/operations.md: in all of them a
 * recovered data base replays what was logged after its last checkpoint, if anything.
 */
final class PostgresHook extends SessionHook {
  private static final int VERSION_MIN = 150_000;

  /**
   * Locks every table that a transaction of this data base could be writing. Transactions take them
   * in orders of their own: who holds one and waits for the next lets all go well before anybody's
   * deadlock check is due, so that none of the application's transactions is ever its victim, and
   * begins again with the one that he could not have. For the first one nothing is held meanwhile,
   * so it is waited for as long as there is time.
   */
  private static final String LOCK_TABLES =
      """
      DO $tidemark$
      DECLARE
        due interval := current_setting('deadlock_timeout')::interval;
        first oid[] := '{}';
        tables oid[];
        wanted oid;
        ends timestamptz;
        millis int;
      BEGIN
        LOOP
          SELECT array_agg(c.oid ORDER BY array_position(first, c.oid), c.oid) INTO tables
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
              AND n.nspname NOT IN ('pg_catalog', 'information_schema');
          ends := NULL;
          BEGIN
            FOREACH wanted IN ARRAY coalesce(tables, '{}') LOOP
              millis := 0;
              IF ends IS NOT NULL THEN
                millis := 1000 * least(extract(epoch FROM due * 0.25),
                  extract(epoch FROM ends - clock_timestamp()));
                IF millis < 1 THEN
                  RAISE lock_not_available;
                END IF;
              END IF;
              PERFORM set_config('lock_timeout', millis::text, true);
              EXECUTE format('LOCK TABLE ONLY %s IN EXCLUSIVE MODE', wanted::regclass);
              ends := coalesce(ends, clock_timestamp() + due * 0.6);
            END LOOP;
            EXIT;
          EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            first := wanted || array_remove(first, wanted);
          END;
          PERFORM pg_sleep(0.02);
        END LOOP;
      END $tidemark$;""";

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
