package io.tidemark.drill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.typed.ActorRef;
import akka.persistence.testkit.PersistenceTestKitPlugin;
import akka.persistence.testkit.javadsl.EventSourcedBehaviorTestKit;
import com.typesafe.config.ConfigFactory;
import io.tidemark.drill.DrillBook.BeginRun;
import io.tidemark.drill.DrillBook.Book;
import io.tidemark.drill.DrillBook.Command;
import io.tidemark.drill.DrillBook.CreateDrill;
import io.tidemark.drill.DrillBook.DeleteDrill;
import io.tidemark.drill.DrillBook.EndRun;
import io.tidemark.drill.DrillBook.GetDrills;
import io.tidemark.drill.DrillBook.Refused;
import io.tidemark.drill.DrillBook.Reply;
import io.tidemark.drill.DrillResult.Verdict;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The book of drills, restarted after every answer. */
class DrillBookTest {
  private static final long SECOND = 1_000_000;
  private static final VolumeId ID = new VolumeId(new UUID(1, 2));
  private static ActorTestKit kit;
  private EventSourcedBehaviorTestKit<Command, DrillEvent, DrillState> book;

  @BeforeAll
  static void startKit() {
    kit =
        ActorTestKit.create(
            ConfigFactory.parseString("akka.actor.provider = local")
                .withFallback(EventSourcedBehaviorTestKit.config())
                .withFallback(PersistenceTestKitPlugin.getInstance().config())
                .withFallback(ConfigFactory.load()));
  }

  @AfterAll
  static void stopKit() {
    kit.shutdownTestKit();
  }

  @BeforeEach
  void start() {
    book = EventSourcedBehaviorTestKit.create(kit.system(), DrillBook.create());
    book.clear();
  }

  private Reply ask(Function<ActorRef<Reply>, Command> command) {
    Reply reply = book.runCommand(command::apply).reply();
    book.restart();
    return reply;
  }

  private DrillState book(Function<ActorRef<Reply>, Command> command) {
    return assertInstanceOf(Book.class, ask(command)).state();
  }

  private ErrorCode refused(Function<ActorRef<Reply>, Command> command) {
    return assertInstanceOf(Refused.class, ask(command)).code();
  }

  private static DrillSpec spec(String name, long every) {
    return new DrillSpec(name, new VolumeName("disk"), "latest", "fsck", List.of(), every, 60);
  }

  private static Function<ActorRef<Reply>, Command> begin(String run, boolean byHand, long now) {
    return ref -> new BeginRun("d", run, "node-1", byHand, now, now + 60 * SECOND, ref);
  }

  private static DrillResult result(String run, long seq, VolumeId volume, Verdict verdict) {
    RecoveryPoint point =
        new RecoveryPoint(new WriteSeq(seq), new MicroTime(seq), RecoveryPoint.MAIN_BRANCH);
    return new DrillResult(run, Optional.of(volume), Optional.of(point), 1, 2, verdict, "words");
  }

  private static Function<ActorRef<Reply>, Command> end(DrillResult result) {
    return ref -> new EndRun("d", result, ref);
  }

  /** A run at a time, when it is due or by hand; its result is recorded once (D1, D2). */
  @Test
  void shouldRunOneAtATimeWhenDue() {
    book(ref -> new CreateDrill(spec("d", 10), 0, ref));
    book(ref -> new CreateDrill(spec("d", 10), 5, ref));
    assertEquals(ErrorCode.ALREADY_EXISTS, refused(ref -> new CreateDrill(spec("d", 11), 0, ref)));
    assertEquals(ErrorCode.BUSY, refused(begin("r1", false, 9 * SECOND)));
    DrillState running = book(begin("r1", false, 10 * SECOND));
    assertTrue(running.drills().get("d").busy(11 * SECOND));
    book(begin("r1", false, 10 * SECOND));
    assertEquals(ErrorCode.BUSY, refused(begin("r2", true, 11 * SECOND)));
    DrillState ended = book(end(result("r1", 9, ID, Verdict.PASSED)));
    assertFalse(ended.drills().get("d").busy(11 * SECOND));
    assertEquals(
        1, book(end(result("r1", 9, ID, Verdict.PASSED))).drills().get("d").results().size());
    assertFalse(ended.drills().get("d").due(19 * SECOND));
    assertTrue(ended.drills().get("d").due(20 * SECOND));
    book(begin("r2", true, 12 * SECOND));
    assertEquals(ErrorCode.NOT_FOUND, refused(end(result("r9", 9, ID, Verdict.PASSED))));
  }

  /** A node that ends in a run does not end the drill: its time over, another run may begin. */
  @Test
  void shouldGiveUpARunWhoseTimeIsOver() {
    book(ref -> new CreateDrill(spec("d", 0), 0, ref));
    book(begin("r1", true, 0));
    assertEquals(ErrorCode.BUSY, refused(begin("r2", true, 59 * SECOND)));
    book(begin("r2", true, 60 * SECOND));
    assertEquals(ErrorCode.NOT_FOUND, refused(end(result("r1", 9, ID, Verdict.PASSED))));
    assertTrue(book(GetDrills::new).proven().isEmpty());
  }

  /** Only what passed proves, the newest point wins, of another incarnation any does (D4). */
  @Test
  void shouldRememberWhatIsProven() {
    book(ref -> new CreateDrill(spec("d", 0), 0, ref));
    VolumeId other = new VolumeId(new UUID(3, 4));
    DrillResult[] results = {
      result("r1", 10, ID, Verdict.PASSED),
      result("r2", 20, ID, Verdict.FAILED),
      result("r3", 5, ID, Verdict.PASSED),
      result("r4", 30, ID, Verdict.ERROR),
      result("r5", 2, other, Verdict.PASSED)
    };
    long[] proven = {10, 10, 10, 10, 2};
    for (int i = 0; i < results.length; i++) {
      book(begin(results[i].run(), true, i));
      DrillState state = book(end(results[i]));
      assertEquals(proven[i], state.proven().get("disk").point().seq().value(), "after " + i);
    }
    DrillState gone = book(ref -> new DeleteDrill("d", ref));
    assertTrue(gone.drills().isEmpty());
    assertEquals(other, gone.proven().get("disk").volume());
    assertEquals(ErrorCode.NOT_FOUND, refused(ref -> new DeleteDrill("d", ref)));
  }

  /** Drills, results and words are bounded (D3). */
  @Test
  void shouldBeBounded() {
    for (int i = 0; i < DrillBook.DRILLS_MAX; i++) {
      String name = i == 0 ? "d" : "d" + i;
      book.runCommand((ActorRef<Reply> ref) -> new CreateDrill(spec(name, 0), 0, ref));
    }
    assertEquals(ErrorCode.LIMIT, refused(ref -> new CreateDrill(spec("more", 0), 0, ref)));
    for (int i = 0; i < DrillState.RESULTS_MAX + 5; i++) {
      DrillResult result = result("r" + i, i, ID, Verdict.PASSED);
      book.runCommand((ActorRef<Reply> ref) -> begin(result.run(), true, 0).apply(ref));
      book.runCommand((ActorRef<Reply> ref) -> end(result).apply(ref));
    }
    List<DrillResult> kept = book(GetDrills::new).drills().get("d").results();
    assertEquals(DrillState.RESULTS_MAX, kept.size());
    assertEquals("r" + (DrillState.RESULTS_MAX + 4), kept.get(kept.size() - 1).run());
    DrillResult wordy =
        new DrillResult(
            "r", Optional.empty(), Optional.empty(), 0, 0, Verdict.ERROR, "x".repeat(5_000));
    assertEquals(DrillResult.WORDS_MAX, wordy.words().length());
  }

  @Test
  void shouldRefuseWrongSpecs() {
    VolumeName disk = new VolumeName("disk");
    DrillSpec[] wrong = {
      new DrillSpec("a b", disk, "latest", "fsck", List.of(), 0, 60),
      new DrillSpec("d", disk, "noon", "fsck", List.of(), 0, 60),
      new DrillSpec("d", disk, "latest", "magic", List.of(), 0, 60),
      new DrillSpec("d", disk, "latest", "command", List.of(), 0, 60),
      new DrillSpec("d", disk, "latest", "fsck", List.of(), 4, 60),
      new DrillSpec("d", disk, "latest", "fsck", List.of(), 0, 0),
      new DrillSpec("d", disk, "latest", "fsck", List.of("x".repeat(1_001)), 0, 60),
    };
    for (DrillSpec spec : wrong) {
      assertEquals(ErrorCode.INVALID, assertThrows(Refusal.class, spec::checked).code());
    }
  }
}
