package io.tidemark.imageserver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.typed.ActorRef;
import akka.cluster.sharding.typed.javadsl.ClusterSharding;
import akka.cluster.typed.Cluster;
import akka.cluster.typed.Join;
import com.typesafe.config.ConfigFactory;
import io.tidemark.image.ImageDirectory;
import io.tidemark.image.ImageEntity;
import io.tidemark.image.ImageSpec;
import io.tidemark.image.ImageSummary;
import io.tidemark.image.OpenImage;
import io.tidemark.image.VolumePoints.Located;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdServer;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.position.At;
import io.tidemark.position.MicroClock;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The site's images over real sharding; the entities' journal outlives the node's serving. */
class SiteImagesTest {
  private static final int SIZE = 1 << 20;
  private static final Duration SOON = Duration.ofSeconds(30);

  private final ExecutorService io = Executors.newFixedThreadPool(4);
  private final MemoryPoints points = new MemoryPoints(SIZE, io);
  @TempDir Path scratch;
  private ActorTestKit kit;
  private ImageServer server;
  private NbdServer nbd;
  private SiteImages images;

  @BeforeEach
  void start() throws IOException {
    points.write(0, 512, new byte[512]);
    points.write(8192, 4096, filled());
    kit =
        ActorTestKit.create(
            ConfigFactory.parseString(
                    """
                    akka.actor.provider = cluster
                    akka.remote.artery.canonical { hostname = "127.0.0.1", port = 0 }
                    akka.cluster.jmx.multi-mbeans-in-same-jvm = on
                    akka.persistence.journal.plugin = "akka.persistence.journal.inmem"
                    akka.persistence.journal.inmem.test-serialization = on
                    akka.persistence.snapshot-store.plugin = "akka.persistence.snapshot-store.local"
                    akka.coordinated-shutdown.run-by-actor-system-terminate = off
                    """
                        + "akka.persistence.snapshot-store.local.dir = \""
                        + scratch.resolve("snapshots")
                        + "\"\n")
                .withFallback(ConfigFactory.load()));
    Cluster cluster = Cluster.get(kit.system());
    cluster.manager().tell(Join.create(cluster.selfMember().address()));
    startNode("node-1");
  }

  private static byte[] filled() {
    byte[] data = new byte[4096];
    java.util.Arrays.fill(data, (byte) 5);
    return data;
  }

  private void startNode(String name) throws IOException {
    server = new ImageServer(scratch.resolve("images"), points);
    nbd =
        NbdServer.start(
            new NbdListenAddress.Tcp("127.0.0.1", 0),
            server.exports(),
            NbdServerSettings.defaults());
    images =
        SiteImages.start(
            kit.system(), name, server, points, nbd.addresses().get(0)::uri, MicroClock.system());
  }

  private void stopNode() throws IOException {
    images.stop();
    nbd.close();
    server.close();
  }

  private void restartNode() throws IOException {
    stopNode();
    startNode("node-1");
  }

  @AfterEach
  void stop() throws IOException {
    stopNode();
    kit.shutdownTestKit();
    io.shutdown();
  }

  private static <T> T await(CompletionStage<T> stage) {
    return stage.toCompletableFuture().orTimeout(60, TimeUnit.SECONDS).join();
  }

  private static ErrorCode refusal(CompletionStage<?> stage) {
    CompletionException e = assertThrows(CompletionException.class, () -> await(stage));
    return ((Refusal) e.getCause()).code();
  }

  private ImageSummary open(long seq, boolean writable, String name) {
    return await(
        images.open(
            new OpenImage(
                MemoryPoints.NAME,
                new At.Seq(new WriteSeq(seq)),
                writable,
                Optional.ofNullable(name))));
  }

  /** Polls until the supplier gives true, within {@link #SOON}. */
  private void eventually(Supplier<Boolean> condition) {
    kit.createTestProbe().awaitAssert(SOON, Duration.ofMillis(50), () -> check(condition.get()));
  }

  private static Void check(boolean holds) {
    assertTrue(holds);
    return null;
  }

  /** Open, list, get, close; generated names are unique. */
  @Test
  void shouldOpenListAndClose() {
    ImageSummary first = open(1, false, null);
    assertEquals("vol-seq1", first.name());
    assertEquals("Serving", first.state());
    assertEquals(nbd.addresses().get(0).uri("vol-seq1"), first.uri());
    assertEquals(1, first.at().seq().value());
    assertEquals("vol-seq1-2", open(1, true, null).name());
    assertEquals("mine", open(2, true, "mine").name());
    assertEquals(
        List.of("mine", "vol-seq1", "vol-seq1-2"),
        await(images.list()).stream().map(ImageSummary::name).toList());
    assertEquals(first, await(images.get("vol-seq1")));
    await(images.close("vol-seq1-2", false));
    assertFalse(Files.exists(scratch.resolve("images/vol-seq1-2")));
    assertEquals(2, await(images.list()).size());
    assertEquals(ErrorCode.NOT_FOUND, refusal(images.get("vol-seq1-2")));
    assertEquals(ErrorCode.NOT_FOUND, refusal(images.close("vol-seq1-2", false)));
    assertEquals("vol-seq1-2", open(1, false, null).name());
  }

  /** What cannot be opened is refused, and leaves no name behind. */
  @Test
  void shouldRefuse() {
    open(1, false, "mine");
    At one = new At.Seq(new WriteSeq(1));
    assertEquals(
        ErrorCode.ALREADY_EXISTS,
        refusal(images.open(new OpenImage(MemoryPoints.NAME, one, false, Optional.of("mine")))));
    for (String name : List.of("", "../x", "a b", ".hidden", "x".repeat(129))) {
      assertEquals(
          ErrorCode.INVALID,
          refusal(images.open(new OpenImage(MemoryPoints.NAME, one, false, Optional.of(name)))));
      assertEquals(ErrorCode.NOT_FOUND, refusal(images.get(name)));
    }
    assertEquals(
        ErrorCode.NOT_FOUND,
        refusal(images.open(new OpenImage(new VolumeName("no"), one, false, Optional.empty()))));
    points.openFailures.set(1);
    assertEquals(
        ErrorCode.NOT_ACKNOWLEDGED,
        refusal(images.open(new OpenImage(MemoryPoints.NAME, one, true, Optional.of("broken")))));
    assertEquals(1, await(images.list()).size());
    assertEquals("broken", open(1, true, "broken").name());
  }

  /** After a restart of the node each image is there again, with its changes. */
  @Test
  void shouldServeAgainAfterRestart() throws IOException {
    Tools.requires("qemu-io");
    open(2, false, "plain");
    ImageSummary mine = open(2, true, "mine");
    Tools.run(0, "qemu-io", "-f", "raw", "-c", "write -P 9 100 600", "-c", "flush", mine.uri());
    restartNode();
    assertEquals("Unreachable", await(images.get("mine")).state());
    await(images.resume());
    ImageSummary again = await(images.get("mine"));
    assertEquals("Serving", again.state());
    assertEquals(nbd.addresses().get(0).uri("mine"), again.uri());
    assertEquals(mine.openMillis(), again.openMillis());
    assertTrue(again.overlayBytes() > 0);
    Tools.run(0, "qemu-io", "-r", "-f", "raw", "-c", "read -P 9 100 600", again.uri());
    Tools.run(0, "qemu-io", "-r", "-f", "raw", "-c", "read -P 5 8192 4096", again.uri());
    assertEquals("Serving", await(images.get("plain")).state());
    await(images.close("mine", false));
  }

  /** An image that cannot be served at once is served as soon as it can be. */
  @Test
  void shouldTryAgain() throws IOException {
    open(2, true, "mine");
    restartNode();
    points.openFailures.set(2);
    await(images.resume());
    assertEquals("Unreachable", await(images.get("mine")).state());
    eventually(() -> await(images.get("mine")).state().equals("Serving"));
  }

  /** What a crash interrupted is finished or undone at the next start (I2). */
  @Test
  void shouldFinishWhatACrashInterrupted() throws IOException {
    open(2, true, "closing");
    open(2, true, "whole");
    ask("closing", ImageEntity.Close::new);
    take("never-opened");
    take("opening");
    Located located = await(points.locate(MemoryPoints.NAME, new At.Latest()));
    ImageSpec spec =
        new ImageSpec(
            "opening",
            located.name(),
            located.volume(),
            SIZE,
            located.point(),
            true,
            "node-1",
            MicroTime.ZERO);
    ask("opening", ref -> new ImageEntity.Open(spec, ref));
    Files.createDirectories(scratch.resolve("images/orphan"));
    restartNode();
    await(images.resume());
    eventually(() -> await(images.list()).size() == 1);
    assertEquals("whole", await(images.list()).get(0).name());
    try (var left = Files.list(scratch.resolve("images"))) {
      assertEquals(List.of("whole"), left.map(path -> path.getFileName().toString()).toList());
    }
    assertEquals("opening", open(1, true, "opening").name());
    assertEquals("never-opened", open(1, true, "never-opened").name());
  }

  /** The images of a volume that is gone are closed. */
  @Test
  void shouldCloseImagesOfDeletedVolumes() throws IOException {
    open(2, true, "mine");
    restartNode();
    points.deleted = true;
    await(images.resume());
    eventually(() -> await(images.list()).isEmpty());
  }

  /** An image with clients is not closed unless it must be. */
  @Test
  void shouldNotCloseUnderClients() {
    open(2, true, "mine");
    NbdExport export = server.exports().find("mine").orElseThrow();
    export.clientEntered();
    assertEquals(1, await(images.get("mine")).clients());
    assertEquals(ErrorCode.BUSY, refusal(images.close("mine", false)));
    assertEquals("Serving", await(images.get("mine")).state());
    await(images.close("mine", true));
    export.clientLeft();
    assertTrue(await(images.list()).isEmpty());
  }

  /** A client that is just leaving is waited for, and the answer comes when it has left. */
  @Test
  void shouldCloseOnceTheLastClientHasLeft() {
    open(2, true, "mine");
    NbdExport export = server.exports().find("mine").orElseThrow();
    export.clientEntered();
    CompletionStage<Void> closing = images.close("mine", false);
    export.clientLeft();
    await(closing);
    assertTrue(await(images.list()).isEmpty());
  }

  /** Another node sees and closes the image; a node that is away cannot be asked. */
  @Test
  void shouldCloseFromAnotherNode() throws IOException {
    open(2, true, "mine");
    ImageServer otherServer = new ImageServer(scratch.resolve("other-images"), points);
    SiteImages other =
        SiteImages.start(
            kit.system(), "node-2", otherServer, points, name -> name, MicroClock.system());
    eventually(() -> await(other.get("mine")).state().equals("Serving"));
    await(other.close("mine", false));
    assertTrue(await(images.list()).isEmpty());
    assertFalse(Files.exists(scratch.resolve("images/mine")));
    await(
        other.open(
            new OpenImage(MemoryPoints.NAME, new At.Latest(), false, Optional.of("theirs"))));
    eventually(() -> await(images.get("theirs")).state().equals("Serving"));
    assertEquals("node-2", await(images.get("theirs")).node());
    other.stop();
    otherServer.close();
  }

  private void ask(
      String name,
      akka.japi.function.Function<ActorRef<ImageEntity.Reply>, ImageEntity.Command> command) {
    await(
        ClusterSharding.get(kit.system())
            .entityRefFor(ImageEntity.TYPE_KEY, name)
            .ask(command, SOON));
  }

  private void take(String name) {
    await(
        ClusterSharding.get(kit.system())
            .entityRefFor(ImageDirectory.TYPE_KEY, ImageDirectory.ENTITY_ID)
            .<ImageDirectory.Reply>ask(
                ref -> new ImageDirectory.TakeName(name, true, "node-1", ref), SOON));
  }
}
