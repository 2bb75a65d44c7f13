package io.tidemark.hook;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/**
 * An application of the protected host, as the tap's file of applications describes it.
 *
 * @param name by which a tag asks for it
 * @param on names of the file systems that it lies on: quiesced with it, after it
 * @param timeLimit of quiescing, and of thawing
 * @param crashAllowed whether a tag is still worth having when this fails
 */
public record ApplicationSpec(
    String name, Set<String> on, Duration timeLimit, boolean crashAllowed, Kind kind) {

  /** What it is. */
  public sealed interface Kind permits FileSystem, Scripts, Postgres, MariaDb, Sqlite {}

  /**
   * A mounted file system, frozen by fsfreeze.
   *
   * @param mountPoint absolute
   */
  public record FileSystem(Path mountPoint) implements Kind {}

  /**
   * Scripts that are called with {@code freeze}, in the order of their names, and with {@code thaw}
   * in reverse, as the hooks of the QEMU guest agent are.
   */
  public record Scripts(Path directory) implements Kind {}

  /** What is done to PostgreSQL. */
  public enum PostgresMode {
    /** Two checkpoints, the second a short one. Nothing is locked. */
    CHECKPOINT,
    /** An online backup is open meanwhile; its label is kept with the tag. */
    BACKUP,
    /** No transaction writes to the tables of the data base named; then a checkpoint. */
    LOCK
  }

  /**
   * A PostgreSQL server, 15 or later.
   *
   * @param host name, address, or directory of its socket; psql's default when empty
   * @param runAs user of this machine that psql runs as
   * @param passFile in the format of {@code .pgpass}, mode 0600
   */
  public record Postgres(
      PostgresMode mode,
      Optional<String> host,
      Optional<Integer> port,
      Optional<String> user,
      String database,
      Optional<String> runAs,
      Optional<Path> passFile)
      implements Kind {}

  /** What is done to MariaDB or MySQL. */
  public enum MariaDbMode {
    /** The global read lock is held: no statement writes. */
    LOCK,
    /** Commits and changes of tables are blocked, other statements go on. MariaDB only. */
    BACKUP_STAGE
  }

  /**
   * A MariaDB or MySQL server.
   *
   * @param client the program
   * @param runAs user of this machine that the client runs as
   * @param optionFile with a section {@code [client]}, mode 0600
   * @param innodbCheckpoint whether MariaDB's InnoDB is brought to a checkpoint under the lock
   */
  public record MariaDb(
      String client,
      MariaDbMode mode,
      Optional<String> socket,
      Optional<String> host,
      Optional<Integer> port,
      Optional<String> user,
      Optional<String> runAs,
      Optional<Path> optionFile,
      boolean innodbCheckpoint)
      implements Kind {}

  /**
   * A SQLite data base.
   *
   * @param runAs user of this machine that the shell runs as
   */
  public record Sqlite(Path database, Optional<String> runAs) implements Kind {}
}
