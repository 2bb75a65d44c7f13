package io.tidemark.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.typed.ActorRef;
import akka.persistence.testkit.PersistenceTestKitPlugin;
import akka.persistence.testkit.javadsl.EventSourcedBehaviorTestKit;
import com.typesafe.config.ConfigFactory;
import io.tidemark.image.ImageEntity.Close;
import io.tidemark.image.ImageEntity.Command;
import io.tidemark.image.ImageEntity.ConfirmClosed;
import io.tidemark.image.ImageEntity.ConfirmServing;
import io.tidemark.image.ImageEntity.Described;
import io.tidemark.image.ImageEntity.GetImage;
import io.tidemark.image.ImageEntity.Gone;
import io.tidemark.image.ImageEntity.Open;
import io.tidemark.image.ImageEntity.Refused;
import io.tidemark.image.ImageEntity.Reply;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ImageEntityTest {
  private static final String NAME = "disk-seq9";
  private static final ImageSpec SPEC = spec("node-1");
  private static ActorTestKit kit;
  private EventSourcedBehaviorTestKit<Command, ImageEvent, ImageState> image;

  private static ImageSpec spec(String node) {
    return new ImageSpec(
        NAME,
        new VolumeName("disk"),
        new VolumeId(new java.util.UUID(1, 2)),
        1 << 20,
        new RecoveryPoint(new WriteSeq(9), new MicroTime(8), RecoveryPoint.MAIN_BRANCH),
        true,
        node,
        new MicroTime(7));
  }

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
    image = EventSourcedBehaviorTestKit.create(kit.system(), ImageEntity.create(NAME));
    image.clear();
  }

  /** Each answer is the same after a restart. */
  private Reply ask(Function<ActorRef<Reply>, Command> command) {
    Reply reply = image.runCommand(command::apply).reply();
    image.restart();
    return reply;
  }

  private void assertState(String state) {
    assertEquals(state, assertInstanceOf(Described.class, ask(GetImage::new)).state());
  }

  private void assertRefused(ErrorCode code, Function<ActorRef<Reply>, Command> command) {
    assertEquals(code, assertInstanceOf(Refused.class, ask(command)).code());
  }

  /** Opening, serving, closing, and the name is free again. */
  @Test
  void shouldLiveThroughAllItsStates() {
    assertInstanceOf(Gone.class, ask(GetImage::new));
    ask(ref -> new Open(SPEC, ref));
    assertState("Opening");
    Described serving =
        assertInstanceOf(Described.class, ask(ref -> new ConfirmServing("nbd://a/x", 12, ref)));
    assertEquals(new Described(SPEC, "Serving", "nbd://a/x", 12), serving);
    assertEquals(serving, ask(GetImage::new));
    ask(Close::new);
    assertState("Closing");
    assertInstanceOf(Gone.class, ask(ConfirmClosed::new));
    assertInstanceOf(Gone.class, ask(GetImage::new));
    ask(ref -> new Open(spec("node-2"), ref));
    assertState("Opening");
  }

  /** Whatever was asked twice has happened once. */
  @Test
  void shouldBearRepetition() {
    ask(ref -> new Open(SPEC, ref));
    ask(ref -> new Open(SPEC, ref));
    assertState("Opening");
    ask(ref -> new ConfirmServing("nbd://a/x", 12, ref));
    ask(ref -> new ConfirmServing("nbd://a/x", 99, ref));
    assertInstanceOf(Described.class, ask(ref -> new Open(SPEC, ref)));
    assertEquals(new Described(SPEC, "Serving", "nbd://a/x", 12), ask(GetImage::new));
    ask(Close::new);
    ask(Close::new);
    assertState("Closing");
    ask(ConfirmClosed::new);
    assertInstanceOf(Gone.class, ask(ConfirmClosed::new));
  }

  /** A node that comes back at another address says so; the time it took stays. */
  @Test
  void shouldFollowTheAddress() {
    ask(ref -> new Open(SPEC, ref));
    ask(ref -> new ConfirmServing("nbd://a/x", 12, ref));
    ask(ref -> new ConfirmServing("nbd://b/x", 99, ref));
    assertEquals(new Described(SPEC, "Serving", "nbd://b/x", 12), ask(GetImage::new));
  }

  /** Every command in every state has its answer, and a refusal changes nothing. */
  @Test
  void shouldRefuseWhatDoesNotFit() {
    assertRefused(ErrorCode.NOT_FOUND, ref -> new ConfirmServing("u", 1, ref));
    assertRefused(ErrorCode.NOT_FOUND, Close::new);
    assertInstanceOf(Gone.class, ask(ConfirmClosed::new));
    ask(ref -> new Open(SPEC, ref));
    assertRefused(ErrorCode.ALREADY_EXISTS, ref -> new Open(spec("node-2"), ref));
    assertRefused(ErrorCode.BUSY, ConfirmClosed::new);
    assertState("Opening");
    ask(ref -> new ConfirmServing("u", 1, ref));
    assertRefused(ErrorCode.ALREADY_EXISTS, ref -> new Open(spec("node-2"), ref));
    assertRefused(ErrorCode.BUSY, ConfirmClosed::new);
    assertState("Serving");
    ask(Close::new);
    assertRefused(ErrorCode.BUSY, ref -> new Open(SPEC, ref));
    assertRefused(ErrorCode.NOT_FOUND, ref -> new ConfirmServing("u", 1, ref));
    assertState("Closing");
  }

  /** An image that never came to be served can be closed. */
  @Test
  void shouldCloseWhileOpening() {
    ask(ref -> new Open(SPEC, ref));
    ask(Close::new);
    assertState("Closing");
    assertInstanceOf(Gone.class, ask(ConfirmClosed::new));
  }

  /** Names are unique: an asked-for one or none, a generated one with a number. */
  @Test
  void shouldKeepNames() {
    EventSourcedBehaviorTestKit<ImageDirectory.Command, ImageDirectory.Event, ImageDirectory.Names>
        directory = EventSourcedBehaviorTestKit.create(kit.system(), ImageDirectory.create());
    for (String expected : List.of("d", "d-2", "d-3")) {
      ImageDirectory.Reply reply =
          directory
              .<ImageDirectory.Reply>runCommand(
                  ref -> new ImageDirectory.TakeName("d", false, "node-1", ref))
              .reply();
      assertEquals(new ImageDirectory.Taken(expected), reply);
      directory.restart();
    }
    ImageDirectory.Reply refused =
        directory
            .<ImageDirectory.Reply>runCommand(
                ref -> new ImageDirectory.TakeName("d-2", true, "node-2", ref))
            .reply();
    assertEquals(
        ErrorCode.ALREADY_EXISTS, assertInstanceOf(ImageDirectory.Refused.class, refused).code());
    for (int i = 0; i < 2; i++) {
      ImageDirectory.Reply listed =
          directory
              .<ImageDirectory.Reply>runCommand(ref -> new ImageDirectory.FreeName("d-2", ref))
              .reply();
      assertEquals(new ImageDirectory.Listed(Map.of("d", "node-1", "d-3", "node-1")), listed);
      directory.restart();
    }
    assertTrue(directory.getState().nodes().containsKey("d-3"));
  }

  /** Names are bounded in number. */
  @Test
  void shouldBoundNames() {
    EventSourcedBehaviorTestKit<ImageDirectory.Command, ImageDirectory.Event, ImageDirectory.Names>
        directory =
            EventSourcedBehaviorTestKit.create(
                kit.system(),
                ImageDirectory.create(),
                EventSourcedBehaviorTestKit.disabledSerializationSettings());
    directory.clear();
    ImageDirectory.Reply last = null;
    for (int i = 0; i <= ImageDirectory.IMAGES_MAX; i++) {
      String name = "n" + i;
      last =
          directory
              .<ImageDirectory.Reply>runCommand(
                  ref -> new ImageDirectory.TakeName(name, true, "node-1", ref))
              .reply();
    }
    assertEquals(ErrorCode.LIMIT, assertInstanceOf(ImageDirectory.Refused.class, last).code());
  }
}
