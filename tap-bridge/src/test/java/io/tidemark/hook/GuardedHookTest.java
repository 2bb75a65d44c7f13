package io.tidemark.hook;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.hook.HookResult.Outcome;
import io.tidemark.hook.HookResult.Phase;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Scripts, and what all kinds have in common; with real processes. */
class GuardedHookTest {
  @TempDir Path directory;
  private Path hooks;
  private Path journal;

  @BeforeEach
  void tools() throws Exception {
    Host.requires("sh", "setsid", "timeout");
    hooks = Files.createDirectory(directory.resolve("hooks.d"));
    journal = directory.resolve("journal");
    Files.writeString(journal, "");
    writable("rwxr-xr-x", hooks);
  }

  private static void writable(String mode, Path path) throws IOException {
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(mode));
  }

  /** Each script notes its calls; then come its own lines. */
  private void script(String name, String... lines) throws IOException {
    String text =
        "#!/bin/sh\necho %s $1 >> %s\n%s\n".formatted(name, journal, String.join("\n", lines));
    writable("rwxr-xr-x", Files.writeString(hooks.resolve(name), text));
  }

  private Path file(String more) throws IOException {
    return Files.writeString(
        directory.resolve("apps.conf"),
        "applications { old { kind = scripts, directory = \"%s\" } }\n%s".formatted(hooks, more));
  }

  private Applications applications(String more) throws IOException {
    return new Applications(ApplicationsFile.load(file(more)), Set.of());
  }

  private List<String> calls() throws IOException {
    return Files.readAllLines(journal);
  }

  /** The scripts' names order the freeze, the thaw is in reverse; left-overs are not run. */
  @Test
  void shouldCallScriptsInOrder() throws Exception {
    script("20-b", "echo frozen b");
    script("10-a", "echo a says something >&2");
    script("30-c");
    script("10-a~");
    script("15-x.dpkg-old");
    writable("rw-r--r--", Files.writeString(hooks.resolve("README"), "text"));
    try (Applications applications = applications("")) {
      long ticket = Host.ticket();
      HookResult frozen = Host.quiesce(applications, ticket).get(0);
      assertEquals(Outcome.DONE, frozen.outcome(), frozen.output());
      assertEquals(0, frozen.exitCode());
      assertEquals("a says something\nfrozen b", frozen.output());
      assertEquals(List.of("10-a freeze", "20-b freeze", "30-c freeze"), calls());
      HookResult thawed = Host.get(applications.thaw(ticket)).get(0);
      assertEquals(Outcome.DONE, thawed.outcome(), thawed.output());
      assertEquals(
          List.of("30-c thaw", "20-b thaw", "10-a thaw"), calls().subList(3, calls().size()));
      assertEquals(List.of(thawed), Host.get(applications.thaw(ticket)), "said again");
      assertEquals(List.of(frozen), Host.quiesce(applications, ticket), "said again");
      assertEquals(6, calls().size(), "nothing is done twice");
    }
  }

  /** H3: what failed is told to thaw, too; what was not begun is not. */
  @Test
  void shouldThawWhenAScriptFails() throws Exception {
    script("1");
    script("2", "[ $1 = freeze ] && { echo no license; exit 42; }", "exit 0");
    script("3");
    try (Applications applications = applications("")) {
      HookResult result = Host.quiesce(applications, Host.ticket()).get(0);
      assertEquals(Outcome.FAILED, result.outcome());
      assertEquals(42, result.exitCode());
      assertTrue(result.output().contains("no license"), result.output());
      assertEquals(List.of("1 freeze", "2 freeze", "2 thaw", "1 thaw"), calls());
    }
  }

  /** H3: a script that hangs is killed with what it started, and then told to thaw. */
  @Test
  void shouldKillAScriptThatHangs() throws Exception {
    Path pid = directory.resolve("pid");
    script("1", "[ $1 = thaw ] && exit 0", "trap '' TERM", "sleep 600 & echo $! > " + pid, "wait");
    Files.writeString(
        file(""),
        "applications.old { kind = scripts, directory = \"%s\", time-limit = 1 s }"
            .formatted(hooks));
    try (Applications applications =
        new Applications(ApplicationsFile.load(directory.resolve("apps.conf")), Set.of())) {
      HookResult result = Host.quiesce(applications, Host.ticket()).get(0);
      assertEquals(Outcome.TIMED_OUT, result.outcome(), result.output());
      assertTrue(result.millis() < 6_000, result.millis() + " ms");
      assertEquals(List.of("1 freeze", "1 thaw"), calls());
      long sleeper = Long.parseLong(Files.readString(pid).strip());
      Host.await("the script's child is gone", Host.LIMIT, () -> !running(sleeper));
    }
  }

  private static boolean running(long pid) {
    return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
  }

  /** Megabytes are read, and a little is kept. */
  @Test
  void shouldBoundTheOutput() throws Exception {
    script("1", "echo first", "head -c 8000000 /dev/zero | tr '\\0' x", "echo; echo last >&2");
    try (Applications applications = applications("")) {
      HookResult result = Host.quiesce(applications, Host.ticket()).get(0);
      assertEquals(Outcome.DONE, result.outcome());
      assertTrue(result.output().length() <= 520);
      assertTrue(result.output().startsWith("first\n"), result.output());
      assertTrue(result.output().endsWith("last"), result.output());
    }
  }

  /** H1: nobody says thaw. */
  @Test
  void shouldThawAtItsLimit() throws Exception {
    script("1");
    try (Applications applications = applications("frozen-max = 700 ms")) {
      long ticket = Host.ticket();
      assertEquals(Outcome.DONE, Host.quiesce(applications, ticket).get(0).outcome());
      Host.await("thawed at the limit", Host.LIMIT, () -> calls().contains("1 thaw"));
      assertEquals(Outcome.EXPIRED, Host.get(applications.thaw(ticket)).get(0).outcome());
      assertEquals(List.of("1 freeze", "1 thaw"), calls());
    }
  }

  /** H1: the tap is killed with -9, while frozen and while a script still freezes. */
  @Test
  void shouldThawWhenTheTapIsKilled() throws Exception {
    script("1", "[ $1 = freeze ] && echo $$ > " + directory.resolve("pid"), "exit 0");
    Process holder = HolderMain.start(directory.resolve("holder.log"), file(""));
    Host.await("frozen", Host.LIMIT, () -> holderSays().contains("DONE"));
    holder.destroyForcibly();
    Host.await("thawed", Duration.ofSeconds(5), () -> calls().contains("1 thaw"));

    Path go = directory.resolve("go");
    script("2", "[ $1 = thaw ] && exit 0", "until [ -e " + go + " ]; do sleep 0.05; done");
    Process second = HolderMain.start(directory.resolve("holder.log"), file(""));
    Host.await("it freezes", Host.LIMIT, () -> calls().contains("2 freeze"));
    second.destroyForcibly();
    second.onExit().join();
    Files.writeString(go, "");
    Host.await("thawed", Duration.ofSeconds(5), () -> calls().size() == 6);
    assertEquals(
        List.of("1 freeze", "1 thaw", "1 freeze", "2 freeze", "2 thaw", "1 thaw"), calls());
  }

  private String holderSays() throws IOException {
    return Files.readString(directory.resolve("holder.log"));
  }

  /** A stop of the tap thaws. */
  @Test
  void shouldThawWhenClosed() throws Exception {
    script("1");
    Applications applications = applications("");
    long ticket = Host.ticket();
    Host.quiesce(applications, ticket);
    applications.close();
    assertEquals(List.of("1 freeze", "1 thaw"), calls());
    assertEquals(Outcome.EXPIRED, Host.get(applications.thaw(ticket)).get(0).outcome());
    assertEquals(
        ErrorCode.BUSY,
        refusal(applications.quiesce(Host.ticket(), List.of(), Host.LIMIT, Host.LIMIT)).code());
  }

  /** H4: one after the other, a few wait, the rest is refused. */
  @Test
  void shouldTakeOneFlightAtATime() throws Exception {
    script("1");
    try (Applications applications = applications("")) {
      long first = Host.ticket();
      Host.quiesce(applications, first);
      List<Long> tickets = new ArrayList<>();
      List<CompletionStage<List<HookResult>>> waiting = new ArrayList<>();
      for (int i = 0; i < Applications.WAITING_MAX; i++) {
        tickets.add(Host.ticket());
        waiting.add(applications.quiesce(tickets.get(i), List.of(), Host.LIMIT, Host.LIMIT));
      }
      long tooMany = Host.ticket();
      assertEquals(
          ErrorCode.BUSY,
          refusal(applications.quiesce(tooMany, List.of(), Host.LIMIT, Host.LIMIT)).code());
      assertEquals(ErrorCode.NOT_FOUND, refusal(applications.thaw(tooMany)).code());
      assertEquals(1, calls().size());
      Host.get(applications.thaw(tickets.get(0))); // it gives up waiting
      assertEquals(Outcome.SKIPPED, Host.get(waiting.get(0)).get(0).outcome());
      Host.get(applications.thaw(first));
      for (int i = 1; i < tickets.size(); i++) {
        assertEquals(Outcome.DONE, Host.get(waiting.get(i)).get(0).outcome());
        assertEquals(Outcome.DONE, Host.get(applications.thaw(tickets.get(i))).get(0).outcome());
      }
      List<String> whole = new ArrayList<>();
      for (int i = 0; i < Applications.WAITING_MAX; i++) {
        whole.addAll(List.of("1 freeze", "1 thaw"));
      }
      assertEquals(whole, calls());
    }
  }

  private static Refusal refusal(CompletionStage<?> stage) {
    ExecutionException failure =
        assertThrows(ExecutionException.class, () -> stage.toCompletableFuture().get());
    assertSame(Refusal.class, failure.getCause().getClass());
    return (Refusal) failure.getCause();
  }

  /** An unknown name is told; by its policy a failure takes the others back, or does not. */
  @Test
  void shouldFollowThePolicy() throws Exception {
    script("1", "exit 1");
    Path good = Files.createDirectory(directory.resolve("good.d"));
    writable("rwxr-xr-x", good);
    Path noted = directory.resolve("noted");
    writable(
        "rwxr-xr-x",
        Files.writeString(good.resolve("g"), "#!/bin/sh\necho $1 >> %s\n".formatted(noted)));
    String good1 = "applications.good { kind = scripts, directory = \"" + good + "\" }\n";
    try (Applications applications = applications(good1)) {
      List<HookResult> results = Host.quiesce(applications, Host.ticket(), "good", "old", "nobody");
      assertEquals(2, results.size(), "what is not of this host is passed over");
      assertEquals(Outcome.FAILED, of(results, "old", Phase.QUIESCE));
      assertEquals(Outcome.DONE, of(results, "good", Phase.QUIESCE));
      assertEquals(List.of("freeze", "thaw"), Files.readAllLines(noted));
    }
    try (Applications applications =
        applications(good1 + "applications.old.on-failure = crash\n")) {
      long ticket = Host.ticket();
      List<HookResult> results = Host.quiesce(applications, ticket);
      assertTrue(results.stream().anyMatch(r -> !r.done() && r.crashAllowed()));
      assertEquals(3, Files.readAllLines(noted).size(), "the other one stays frozen");
      List<HookResult> thawed = Host.get(applications.thaw(ticket));
      assertEquals(List.of("good"), thawed.stream().map(HookResult::application).toList());
    }
  }

  private static Outcome of(List<HookResult> results, String name, Phase phase) {
    return results.stream()
        .filter(r -> r.application().equals(name) && r.phase() == phase)
        .findFirst()
        .orElseThrow()
        .outcome();
  }

  /** Scripts that somebody else could change are not run as the tap's user. */
  @Test
  void shouldNotRunWhatOthersMayChange() throws Exception {
    script("1");
    writable("rwxrwxrwx", hooks.resolve("1"));
    try (Applications applications = applications("")) {
      HookResult result = Host.quiesce(applications, Host.ticket()).get(0);
      assertEquals(Outcome.FAILED, result.outcome());
      assertTrue(result.output().contains("could be changed by others"), result.output());
      assertFalse(Files.readString(journal).contains("freeze"));
      assertNotEquals(0, result.exitCode());
    }
  }
}
