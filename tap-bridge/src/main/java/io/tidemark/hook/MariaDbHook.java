package io.tidemark.hook;

import io.tidemark.hook.ApplicationSpec.MariaDbMode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * MariaDB or MySQL through its client. Under the global read lock, MariaDB's InnoDB is brought to a
 * checkpoint with nothing logged after it, from which it starts without crash recovery.
 */
final class MariaDbHook extends SessionHook {
  /** Longer than InnoDB's purge needs to come round with a short history. */
  private static final Duration SETTLE_MAX = Duration.ofSeconds(8);

  /** InnoDB's master thread wakes purge once a second. */
  private static final Duration STILL = Duration.ofMillis(1_200);

  private static final long NONE = -1;

  private static final String LSN =
      "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME ="
          + " 'INNODB_LSN_CURRENT';";
  private static final String CHECKPOINT_NOW = "SET GLOBAL innodb_log_checkpoint_now = ON;";

  private final ApplicationSpec.MariaDb spec;
  private long checkpoint = NONE;

  MariaDbHook(ApplicationSpec.MariaDb spec) {
    super(spec.runAs());
    this.spec = spec;
  }

  @Override
  List<String> client() {
    List<String> command = new ArrayList<>(List.of(spec.client()));
    command.add(
        credentials().map(file -> "--defaults-file=" + file.path()).orElse("--no-defaults"));
    command.addAll(
        List.of(
            "--batch",
            "--skip-column-names",
            "--unbuffered",
            "--skip-reconnect",
            "--no-auto-rehash",
            "--connect-timeout=10"));
    spec.socket().ifPresent(socket -> command.add("--socket=" + socket));
    spec.host().ifPresent(host -> command.add("--host=" + host));
    spec.port().ifPresent(port -> command.add("--port=" + port));
    spec.user().ifPresent(user -> command.add("--user=" + user));
    return command;
  }

  @Override
  String mark(String mark) {
    return "SELECT '" + mark + "';";
  }

  @Override
  Optional<CredentialsFile> credentials() {
    return spec.optionFile().map(CredentialsFile::new);
  }

  @Override
  String hold(Session session, long until, long frozenUntil) throws HookFailure {
    boolean mariaDb = session.value("SELECT VERSION();", until).contains("MariaDB");
    // The server's own limits: it ends the session if nobody here is left to do it (H1).
    session.ask(
        "SET SESSION lock_wait_timeout = %d, SESSION wait_timeout = %d;"
            .formatted(secondsUntil(until), secondsUntil(frozenUntil)),
        until);
    if (mariaDb) {
      session.ask("SET SESSION max_statement_time = %d;".formatted(secondsUntil(until)), until);
    }
    // Under the lock only: without it the server goes on for as long as it is written to.
    boolean settles = mariaDb && spec.innodbCheckpoint();
    checkpoint = NONE;
    if (spec.mode() == MariaDbMode.BACKUP_STAGE) {
      for (String stage : List.of("START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT")) {
        session.ask("BACKUP STAGE " + stage + ";", until);
      }
      return "commits are blocked";
    }
    session.ask("FLUSH TABLES WITH READ LOCK;", until);
    return settles ? settle(session, until) : "tables are locked";
  }

  /** Purge and the like still write, once a second at least: until the log has stood still. */
  private String settle(Session session, long until) throws HookFailure {
    long settleUntil = Math.min(until, System.nanoTime() + SETTLE_MAX.toNanos());
    session.ask(CHECKPOINT_NOW, until);
    long stillSince = System.nanoTime();
    checkpoint = Long.parseLong(session.value(LSN, until));
    while (true) {
      session.ask("DO SLEEP(0.1);", until);
      session.ask(CHECKPOINT_NOW, until);
      long now = Long.parseLong(session.value(LSN, until));
      if (now != checkpoint) {
        stillSince = System.nanoTime();
        checkpoint = now;
      } else if (System.nanoTime() - stillSince > STILL.toNanos()) {
        return "tables are locked; InnoDB checkpoint at " + now + ", nothing logged after it";
      }
      if (System.nanoTime() > settleUntil) {
        return "tables are locked; InnoDB checkpoint at " + now + ", but it goes on logging";
      }
    }
  }

  @Override
  String release(Session session, long until) throws HookFailure {
    if (spec.mode() == MariaDbMode.BACKUP_STAGE) {
      session.ask("BACKUP STAGE END;", until);
      return "commits are no longer blocked";
    }
    long logged = checkpoint == NONE ? 0 : Long.parseLong(session.value(LSN, until)) - checkpoint;
    session.ask("UNLOCK TABLES;", until);
    return logged == 0
        ? "tables are unlocked"
        : "tables are unlocked; InnoDB had logged " + logged + " bytes since its checkpoint";
  }
}
