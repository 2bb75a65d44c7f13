package io.tidemark.hook;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.hook.ApplicationSpec.MariaDb;
import io.tidemark.hook.ApplicationSpec.Postgres;
import io.tidemark.hook.ApplicationSpec.PostgresMode;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ApplicationsFileTest {
  @TempDir Path directory;

  private ApplicationsFile load(String text) throws IOException {
    return ApplicationsFile.load(Files.writeString(directory.resolve("apps.conf"), text));
  }

  private Path secret(String mode, String text) throws IOException {
    Path file = Files.writeString(directory.resolve("secret-" + mode), text);
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(mode));
  }

  @Test
  void shouldReadEveryKind() throws Exception {
    Path pass = secret("rw-------", "*:*:*:tidemark:s3cret\n");
    ApplicationsFile file =
        load(
            """
            frozen-max = 7 s
            applications {
              fs { kind = fsfreeze, mount-point = /srv/db/, time-limit = 3 s }
              pg { kind = postgresql, mode = lock, host = /run/pg, port = 5433, pass-file = "%s"
                   run-as = postgres, on = [fs], on-failure = crash }
              maria { kind = mariadb, socket = /run/m.sock, option-file = "%s", on = [fs] }
              my { kind = mysql, mode = lock }
              lite { kind = sqlite, database = /srv/db/x.db }
              old { kind = scripts, directory = /etc/qemu/fsfreeze-hook.d }
            }
            """
                .formatted(pass, pass));
    assertEquals(Duration.ofSeconds(7), file.frozenMax());
    assertEquals(
        List.of("fs", "pg", "maria", "my", "lite", "old"),
        List.copyOf(file.applications().keySet()));
    ApplicationSpec pg = file.applications().get("pg");
    assertTrue(pg.crashAllowed());
    assertEquals(PostgresMode.LOCK, ((Postgres) pg.kind()).mode());
    assertEquals(Duration.ofSeconds(3), file.applications().get("fs").timeLimit());
    assertFalse(((MariaDb) file.applications().get("my").kind()).innodbCheckpoint());
    assertTrue(((MariaDb) file.applications().get("maria").kind()).innodbCheckpoint());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "aplications {}| there is no setting",
        "applications { a { kind = oracle } }| is none of",
        "applications { a { } }| is none of",
        "applications { a { kind = fsfreeze, mount-point = x } }| no absolute path",
        "applications { a { kind = fsfreeze, mount-pont = /x } }| 'applications.a.mount-point'",
        "applications { a { kind = sqlite } }| database is missing",
        "applications { a { kind = postgresql, port = 70000 } }| is no port",
        "applications { a { kind = postgresql, mode = dump } }| 'dump' is none of",
        "applications { a { kind = postgresql, run-as = \"a;b\" } }| is no user",
        "applications { a { kind = postgresql, pass-file = /nowhere/x } }| is no file",
        "applications { a { kind = mysql, innodb-checkpoint = on } }| there is no setting",
        "applications { a { kind = mysql, on = [b] } }| is no application of kind fsfreeze",
        "applications { a { kind = mysql, on-failure = shrug } }| neither fail nor crash",
        "applications { a { kind = mysql, time-limit = 0 s } }| more than nothing",
        "applications { \"a b\" { kind = mysql } }| names no application",
        "applications = 3| applications",
        "frozen-max = soon| frozen-max",
        "applications {| applications",
      })
  void shouldRefuseWithASentence(String text, String words) {
    Refusal refusal = assertThrows(Refusal.class, () -> load(text));
    assertEquals(ErrorCode.INVALID, refusal.code());
    assertTrue(refusal.getMessage().contains(words), refusal.getMessage());
  }

  @Test
  void shouldRefuseCredentialsThatOthersMayRead() throws Exception {
    Path open = secret("rw-r-----", "[client]\npassword=x\n");
    Refusal refusal =
        assertThrows(
            Refusal.class,
            () -> load("applications { a { kind = mariadb, option-file = \"" + open + "\" } }"));
    assertTrue(refusal.getMessage().contains("chmod 0600"), refusal.getMessage());
  }

  @Test
  void shouldRefuseFileSystemsThatLieOnThemselves() {
    assertThrows(
        Refusal.class,
        () ->
            load(
                "applications { a { kind = fsfreeze, mount-point = /a, on = [b] }, b { kind ="
                    + " fsfreeze, mount-point = /b, on = [a] } }"));
  }

  /** Data bases first, then the deeper file system; what a data base lies on comes with it. */
  @Test
  void shouldOrderTheSteps() throws Exception {
    ApplicationsFile file =
        load(
            """
            applications {
              top { kind = fsfreeze, mount-point = /srv }
              low { kind = fsfreeze, mount-point = /srv/db }
              image { kind = fsfreeze, mount-point = /mnt, on = [low] }
              db { kind = mysql, on = [image] }
              other { kind = mysql }
              hooks { kind = scripts, directory = /etc/hooks }
            }
            """);
    assertEquals("[hooks][db other][low][image top]".length(), steps(file, List.of()).length());
    assertEquals("[db][image][low]", steps(file, List.of("db")));
    assertEquals("[hooks][low]", steps(file, List.of("low", "hooks", "unheard-of")));
    String all = steps(file, List.of());
    assertTrue(all.indexOf("image") < all.indexOf("low"), all);
    assertTrue(all.indexOf("db") < all.indexOf("image"), all);
  }

  private static String steps(ApplicationsFile file, List<String> names) {
    return QuiesceSteps.of(file.applications(), names).stream()
        .map(s -> s.stream().map(ApplicationSpec::name).collect(Collectors.joining(" ", "[", "]")))
        .collect(Collectors.joining());
  }

  /** H5: passwords of both formats are found, whatever is around them. */
  @Test
  void shouldKeepSecretsOutOfOutput() throws Exception {
    Path pass = secret("rw-------", "# a note\nlocalhost:5432:*:tide:pa\\:ss\\\\wörd\n");
    assertEquals(List.of("pa:ss\\wörd"), new CredentialsFile(pass).secrets());
    Path options = secret("r--------", "[client]\nuser = u\npassword = \"tr0ub4dor\"\n");
    List<String> secrets = new CredentialsFile(options).secrets();
    assertEquals(List.of("tr0ub4dor"), secrets);
    BoundedOutput output = new BoundedOutput();
    byte[] line = "password tr0ub4dor was wrong\u0007\n".getBytes("UTF-8");
    output.add(line, line.length);
    assertEquals("password *** was wrong?", output.text(secrets));
    for (int i = 0; i < 100_000; i++) {
      output.add(line, line.length);
    }
    String text = output.text(secrets);
    assertTrue(text.contains("bytes left out"), text);
    assertTrue(text.length() < 512, text.length() + " characters");
    assertFalse(text.contains("tr0u") || text.contains("4dor"), text);
  }
}
