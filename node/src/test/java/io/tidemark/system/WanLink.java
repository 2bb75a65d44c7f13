package io.tidemark.system;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Two network namespaces and the line between them: slow, far, lossy, damaging or cut, as told.
 * Nothing else leads out of them. Needs root, {@code ip} and a TUN device; see {@code wan.py} for
 * what carries the packets.
 */
final class WanLink implements AutoCloseable {
  static final double MBIT = 20;
  static final int ROUND_TRIP_MILLIS = 80;
  private static final String ADDRESS_A = "10.98.0.1";
  private static final String ADDRESS_B = "10.98.0.2";
  private static final long STOP_SECONDS = 10;
  private static final Path TUN = Path.of("/dev/net/tun");
  private static final Pattern OWN = Pattern.compile("tidemark-(\\d+)-[ab]\\b");

  /** Which packets are dropped. */
  enum Direction {
    /** From A to B. */
    TO,
    /** From B to A. */
    BACK,
    BOTH
  }

  /**
   * What passed and what did not since the start.
   *
   * @param to bytes delivered to B
   * @param back bytes delivered to A
   */
  record Count(long to, long back, long damaged, long lost) {}

  final Namespace a;
  final Namespace b;
  private final Process carrier;
  private final BufferedReader answers;
  private final BufferedWriter orders;
  private final Thread hook = new Thread(this::removeAtExit);

  /** Skips the test, visibly, where there can be none. */
  static void require() {
    Shell.requires("ip", "python3");
    Shell.requiresRoot(TUN);
    boolean able;
    try {
      String probe = "tidemark-" + ProcessHandle.current().pid() + "-a";
      able = Shell.run("ip", "netns", "add", probe).exitCode() == 0;
      Shell.run("ip", "netns", "del", probe);
    } catch (IOException | InterruptedException e) {
      throw new AssertionError("'ip netns' did not run", e);
    }
    if (!able) {
      System.out.println("SKIPPED: network namespaces cannot be made here");
    }
    assumeTrue(able, "network namespaces cannot be made here");
  }

  /**
   * @param directory where the carrier's program is put
   */
  WanLink(Path directory) throws IOException, InterruptedException {
    removeLeftovers();
    String prefix = "tidemark-" + ProcessHandle.current().pid() + "-";
    a = new Namespace(prefix + "a", ADDRESS_A);
    b = new Namespace(prefix + "b", ADDRESS_B);
    Runtime.getRuntime().addShutdownHook(hook);
    for (Namespace one : List.of(a, b)) {
      Shell.run("ip", "netns", "add", one.name()).orFail();
      Shell.run("ip", "-n", one.name(), "link", "set", "lo", "up").orFail();
    }
    Path program = Files.createDirectories(directory).resolve("wan.py");
    try (InputStream resource = WanLink.class.getResourceAsStream("wan.py")) {
      Files.write(program, resource.readAllBytes());
    }
    carrier =
        new ProcessBuilder("python3", program.toString(), a.name(), ADDRESS_A, b.name(), ADDRESS_B)
            .redirectError(directory.resolve("wan.log").toFile())
            .start();
    answers = carrier.inputReader(StandardCharsets.US_ASCII);
    orders = carrier.outputWriter(StandardCharsets.US_ASCII);
    if (!"up".equals(answers.readLine())) {
      throw new IOException("no line: " + Files.readString(directory.resolve("wan.log")));
    }
    order("rate " + MBIT);
    order("delay " + ROUND_TRIP_MILLIS / 2.0);
  }

  /** What an earlier run was killed over: its processes, then its namespaces. */
  private static void removeLeftovers() throws IOException, InterruptedException {
    Matcher found = OWN.matcher(Shell.read("ip", "netns", "list"));
    while (found.find()) {
      if (ProcessHandle.of(Long.parseLong(found.group(1))).isEmpty()) {
        remove(found.group());
      }
    }
  }

  private static void remove(String namespace) throws IOException, InterruptedException {
    for (String pid : Shell.read("ip", "netns", "pids", namespace).split("\\s+")) {
      if (!pid.isEmpty()) {
        ProcessHandle.of(Long.parseLong(pid)).ifPresent(ProcessHandle::destroyForcibly);
      }
    }
    Shell.run("ip", "netns", "del", namespace).orFail();
  }

  void cut(Direction which) throws IOException {
    order("cut " + which.name().toLowerCase(Locale.ROOT));
  }

  /**
   * @param percent of the packets with data of which one bit is turned, half of them unnoticed by
   *     TCP
   */
  void damage(double percent) throws IOException {
    order("damage " + percent);
  }

  /**
   * @param percent of all packets that do not arrive
   */
  void lose(double percent) throws IOException {
    order("lose " + percent);
  }

  /** Neither cut nor loss nor damage; rate and delay stay. */
  void heal() throws IOException {
    order("heal");
  }

  Count count() throws IOException {
    String[] words = ask("count").split(" ");
    return new Count(
        Long.parseLong(words[0]),
        Long.parseLong(words[1]),
        Long.parseLong(words[2]),
        Long.parseLong(words[3]));
  }

  private void order(String line) throws IOException {
    String answer = ask(line);
    if (!"ok".equals(answer)) {
      throw new IOException("the line did not take '" + line + "': " + answer);
    }
  }

  private synchronized String ask(String line) throws IOException {
    orders.write(line + "\n");
    orders.flush();
    return answers.readLine();
  }

  private void removeBoth() throws IOException {
    try {
      for (Namespace one : List.of(a, b)) {
        remove(one.name());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while a namespace was removed", e);
    }
  }

  private void removeAtExit() {
    try {
      removeBoth();
    } catch (IOException | AssertionError e) {
      System.err.println("a namespace is left behind: " + e.getMessage());
    }
  }

  /** Kills what still runs inside. */
  @Override
  public void close() throws IOException {
    orders.close();
    try {
      carrier.onExit().orTimeout(STOP_SECONDS, TimeUnit.SECONDS).join();
    } catch (CompletionException e) {
      carrier.destroyForcibly().onExit().join();
    }
    removeBoth();
    Runtime.getRuntime().removeShutdownHook(hook);
  }
}
