package io.tidemark.remote;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.ExtendedActorSystem;
import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import akka.actor.typed.javadsl.Adapter;
import com.fasterxml.jackson.dataformat.cbor.databind.CBORMapper;
import com.typesafe.config.ConfigFactory;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.remote.GatewayMessage.Reply;
import io.tidemark.remote.GatewayMessage.SiteRefusal;
import io.tidemark.remote.GatewayMessage.SiteReply;
import io.tidemark.remote.GatewayMessage.SiteRequest;
import io.tidemark.serialization.EventSerializer;
import java.io.IOException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Bytes that the first version sent between sites, and what a site makes of a later version's. */
class SiteMessagesTest {
  private static final HexFormat HEX = HexFormat.of();

  /** As recorded from version 1, by logical name. */
  private static final Map<String, String> RECORDED =
      Map.of(
          "describe-site",
          "bf64736974656161646e6f64656e31302e302e302e313a3235353230ff",
          "site-description",
          "bf647369746561626776657273696f6e63312e306b636c6f636b4d6963726f73056d7374"
              + "61727465644d6963726f73046d636c75737465724d6963726f7303676d656d6265727381"
              + "7031302e302e302e323a3235353230233769616464726573736573bf687461702d6c696e"
              + "6b6d31302e302e302e323a38343731ff6b696e6361726e6174696f6e07ff",
          "rejoin-sites",
          "bf66726561736f6e67796f756e676572ff",
          "forget-site",
          "bf64736974656163ff",
          "site-heeded",
          "bfff",
          "site-reply",
          "bf64747970656b736974652d68656564656464626f647942bfffff",
          "site-refusal",
          "bf64636f64656b4245594f4e445f48454144676d65737361676567746f6f20666172ff");

  private static final SiteQuery.Describe DESCRIBE = new SiteQuery.Describe("a", "10.0.0.1:25520");
  private static final SiteQuery.Description DESCRIPTION =
      new SiteQuery.Description(
          "b", "1.0", 5, 4, 3, List.of("10.0.0.2:25520#7"), Map.of("tap-link", "10.0.0.2:8471"), 7);

  private static ActorTestKit kit;
  private static EventSerializer serializer;

  @BeforeAll
  static void start() {
    kit = ActorTestKit.create(ConfigFactory.load());
    serializer = new EventSerializer((ExtendedActorSystem) Adapter.toClassic(kit.system()));
  }

  @AfterAll
  static void stop() {
    kit.shutdownTestKit();
  }

  private static Map<String, Object> today() {
    return Map.of(
        "describe-site",
        DESCRIBE,
        "site-description",
        DESCRIPTION,
        "rejoin-sites",
        new SiteQuery.RejoinSites("younger"),
        "forget-site",
        new SiteQuery.ForgetSite("c"),
        "site-heeded",
        new SiteQuery.Heeded(),
        "site-reply",
        new SiteReply("site-heeded", new byte[] {(byte) 0xbf, (byte) 0xff}),
        "site-refusal",
        new SiteRefusal("BEYOND_HEAD", "too far"));
  }

  @Test
  void shouldReadRecordedBytesOfEveryMessage() {
    Map<String, String> now = new TreeMap<>();
    today().forEach((name, one) -> now.put(name, HEX.formatHex(serializer.toBinary(one))));
    assertEquals(new TreeMap<>(RECORDED), now);
    for (Map.Entry<String, Object> entry : today().entrySet()) {
      String name = entry.getKey();
      Object old = serializer.fromBinary(HEX.parseHex(RECORDED.get(name)), name);
      if (old instanceof SiteReply reply) {
        assertEquals("site-heeded", reply.type());
        assertArrayEquals(new byte[] {(byte) 0xbf, (byte) 0xff}, reply.body());
      } else {
        assertEquals(entry.getValue(), old);
      }
    }
  }

  /** Fields that a later version adds are passed over; those that it lacks have their defaults. */
  @Test
  void shouldReadLongerAndShorterMessages() throws IOException {
    byte[] longer =
        new CBORMapper()
            .writeValueAsBytes(Map.of("site", "b", "clockMicros", 7, "mood", "of version 9"));
    SiteQuery.Description read =
        (SiteQuery.Description) serializer.fromBinary(longer, "site-description");
    assertEquals("b", read.site());
    assertEquals(List.of(), read.members());
    assertEquals(Map.of(), read.addresses());
  }

  /** A command of a later version is refused in words, not lost; so is one that is damaged (R2). */
  @Test
  void shouldRefuseWhatItDoesNotKnow() {
    Envelopes envelopes = new Envelopes(kit.system(), "b");
    SiteGateway.Handlers handlers = new SiteGateway.Handlers();
    handlers.put(SiteQuery.Describe.class, query -> CompletableFuture.completedStage(DESCRIPTION));
    ActorRef<SiteRequest> gateway = kit.spawn(SiteGateway.create(envelopes, handlers));
    TestProbe<Reply> probe = kit.createTestProbe();

    gateway.tell(new SiteRequest("of-version-9", new byte[] {1}, "a", probe.getRef()));
    SiteRefusal unknown = assertInstanceOf(SiteRefusal.class, probe.receiveMessage());
    assertEquals("INVALID", unknown.code());
    assertTrue(unknown.message().contains("does not know 'of-version-9'"), unknown.message());

    gateway.tell(new SiteRequest("describe-site", new byte[] {1, 2}, "a", probe.getRef()));
    assertEquals("INVALID", assertInstanceOf(SiteRefusal.class, probe.receiveMessage()).code());

    gateway.tell(new SiteRequest("describe-site", envelopes.body(DESCRIBE), "a", probe.getRef()));
    assertEquals(DESCRIPTION, envelopes.open(probe.receiveMessage()));
  }

  /** A code of a later version keeps its sentence (R2). */
  @Test
  void shouldKeepTheSentenceOfAnUnknownCode() {
    Envelopes envelopes = new Envelopes(kit.system(), "a");
    Refusal later =
        assertThrows(
            Refusal.class, () -> envelopes.open(new SiteRefusal("OF_VERSION_9", "look up")));
    assertEquals(ErrorCode.FAILED, later.code());
    assertEquals("OF_VERSION_9: look up", later.getMessage());
  }
}
