package io.tidemark.demo;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.cli.NodeClient;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/** What happens in the demonstration, in order; each step says what it did and what it saw. */
final class Story {
  private static final long VOLUME_BYTES = 32L << 20;
  private static final int TRANSACTIONS_BEFORE = 12;
  private static final int TRANSACTIONS_WITHOUT_NODE = 6;
  private static final int TRANSACTIONS_AFTER = 4;
  private static final int SINGLE_WRITES = 6;

  private final Stage stage;
  private final long seed;
  private final Random random;
  private final DemoSite site;
  private final long begun = System.nanoTime();
  private int step;

  Story(Stage stage, long seed) throws IOException {
    this.stage = stage;
    this.seed = seed;
    this.random = new Random(seed);
    this.site = new DemoSite(stage);
  }

  void tell() throws IOException, InterruptedException, SQLException {
    System.out.println("Everything below happens in " + stage.directory() + "; seed " + seed);
    protect();
    try (ShopServer shop = openShop()) {
      List<ShopServer.Moment> moments = new ArrayList<>(sell(shop, TRANSACTIONS_BEFORE));
      moments.addAll(killTheNodeWhileSelling(shop));
      ShopServer.Moment before = moments.get(moments.size() - 1);
      mistake(shop, before);
      String image = recover(before);
      everySingleWrite(shop, moments);
      killTheNodeAgain(before, image);
      equality(shop);
      verifyAndExport(before);
      writableImage(before, shop);
    }
    goHome();
  }

  private void chapter(String title) {
    step++;
    System.out.printf(
        Locale.ROOT, "%n%d. %s  (%.1f s)%n", step, title, (System.nanoTime() - begun) / 1e9);
  }

  private static void saw(String text) {
    System.out.println("   " + text);
  }

  /** A claim that must hold; the demonstration ends at the first that does not (E1). */
  private static void claim(boolean holds, String text) {
    if (!holds) {
      throw new Refusal(ErrorCode.FAILED, "this claim does not hold: " + text);
    }
    System.out.println("   [proven] " + text);
  }

  private void protect() throws IOException, InterruptedException {
    chapter("A site, a volume and its tap");
    long start = System.nanoTime();
    site.startNode();
    saw(
        String.format(
            Locale.ROOT,
            "a node with its own Cassandra is ready after %.1f s",
            (System.nanoTime() - start) / 1e9));
    JsonNode volume =
        site.client()
            .post(
                "/volumes",
                NodeClient.object().put("name", DemoSite.VOLUME).put("sizeBytes", VOLUME_BYTES));
    claim(volume.path("state").asText().equals("Created"), "volume 'shop' of 32 MiB is created");
    try (var file = new java.io.RandomAccessFile(site.backing().toFile(), "rw")) {
      file.setLength(VOLUME_BYTES);
    }
    site.startTap();
    site.awaitVolume("the tap was not let in", v -> v.at("/tap/connected").asBoolean());
    claim(true, "a tap of at most 128 MiB heap serves it over NBD and is attached to the node");
  }

  private ShopServer openShop() throws IOException, InterruptedException, SQLException {
    chapter("A server with a file system and a database on that volume");
    ShopServer shop = ShopServer.open(stage.directory(), site.volumeUri(), random);
    saw(
        "ext4 with an SQLite database of a shop is on the volume: "
            + shop.writeCount()
            + " writes");
    site.awaitVolume(
        "the first writes were not journaled",
        v ->
            v.path("state").asText().equals("Protected")
                && v.at("/head/seq").asLong() == shop.writeCount());
    claim(true, "all of them are in the journal; the volume is Protected");
    return shop;
  }

  private List<ShopServer.Moment> sell(ShopServer shop, int transactions)
      throws IOException, InterruptedException, SQLException {
    List<ShopServer.Moment> moments = new ArrayList<>();
    for (int i = 0; i < transactions; i++) {
      moments.add(shop.sell());
    }
    ShopServer.Moment last = moments.get(moments.size() - 1);
    saw(transactions + " transactions sold something: " + last.books() + "; seq " + last.seq());
    return moments;
  }

  private List<ShopServer.Moment> killTheNodeWhileSelling(ShopServer shop)
      throws IOException, InterruptedException, SQLException {
    chapter("The node is killed with -9 while the shop goes on selling");
    site.killNode();
    saw("the node is dead, and its Cassandra has ended with it");
    List<ShopServer.Moment> moments = sell(shop, TRANSACTIONS_WITHOUT_NODE);
    claim(true, "the shop's writes went on without the node: the tap held them");
    site.startNode();
    JsonNode volume =
        site.awaitVolume(
            "what the tap held was not journaled",
            v -> v.at("/head/seq").asLong() == shop.writeCount());
    claim(
        volume.path("dark").isEmpty(),
        "after the restart all "
            + shop.writeCount()
            + " writes are in the journal, and there is no gap");
    return moments;
  }

  private void mistake(ShopServer shop, ShopServer.Moment before)
      throws IOException, InterruptedException, SQLException {
    chapter("The mistake: DELETE FROM orders, and the WHERE was forgotten");
    ShopServer.Moment after = shop.forgetTheWhere();
    saw("before: " + before.books());
    saw("after:  " + after.books());
    sell(shop, TRANSACTIONS_AFTER);
    saw("it is noticed only " + TRANSACTIONS_AFTER + " transactions later");
    site.awaitVolume(
        "the last writes were not journaled", v -> v.at("/head/seq").asLong() == shop.writeCount());
  }

  /** Opens the moment before the mistake and proves it right; returns the image's name. */
  private String recover(ShopServer.Moment before)
      throws IOException, InterruptedException, SQLException {
    chapter("The moment before the mistake, as a disk");
    JsonNode image = open("time:" + before.time(), false);
    claim(
        image.at("/at/seq").asLong() == before.seq(),
        "time:" + before.time() + " is seq " + before.seq());
    saw("opened in " + image.path("openMillis").asText() + " ms: " + image.path("uri").asText());
    byte[] disk = ShopServer.readAll(uri(image));
    claim(
        ShopServer.sha256(disk).equals(before.sha256()),
        "the disk has the SHA-256 that it had then, " + before.sha256().substring(0, 16) + "...");
    Ext4 recovered = ShopServer.asFileSystem(disk, stage.directory().resolve("recovered.img"));
    String trouble = recovered.check();
    claim(trouble.isEmpty(), "e2fsck finds its file system clean" + trouble);
    Path database = stage.directory().resolve("recovered.db");
    Files.deleteIfExists(database);
    recovered.get(ShopServer.DATABASE, database);
    ShopDatabase.Books books = new ShopDatabase(database).books();
    claim(
        books.balanced() && books.equals(before.books()),
        "the recovered database is sound, every order is there: " + books);
    return image.path("name").asText();
  }

  private void everySingleWrite(ShopServer shop, List<ShopServer.Moment> moments)
      throws IOException {
    chapter("Not only between transactions: any single write");
    for (int i = 0; i < SINGLE_WRITES; i++) {
      long seq = 1 + random.nextInt((int) moments.get(moments.size() - 1).seq());
      JsonNode image = open("seq:" + seq, false);
      claim(
          ShopServer.sha256(ShopServer.readAll(uri(image))).equals(shop.sha256After(seq)),
          "image at seq "
              + seq
              + " is the disk just after that write, opened in "
              + image.path("openMillis").asText()
              + " ms");
      close(image.path("name").asText());
    }
    try {
      open("seq:" + (shop.writeCount() + 1), false);
      throw new Refusal(ErrorCode.FAILED, "a write that never happened was given as an image");
    } catch (Refusal refusal) {
      claim(
          refusal.code() == ErrorCode.BEYOND_HEAD,
          "a write that never happened is refused: " + refusal.getMessage());
    }
  }

  private void killTheNodeAgain(ShopServer.Moment before, String image)
      throws IOException, InterruptedException {
    chapter("The node is killed with -9 once more, with the image open");
    site.killNode();
    site.startNode();
    JsonNode again = site.client().get("/images/" + image);
    claim(
        ShopServer.sha256(ShopServer.readAll(uri(again))).equals(before.sha256()),
        "the same image is served again after the restart, the same byte for byte");
    close(image);
  }

  private void equality(ShopServer shop) throws IOException, InterruptedException {
    chapter("The journal and the live disk");
    JsonNode volume =
        site.awaitVolume(
            "the journal did not catch up",
            v ->
                v.at("/head/seq").asLong() == shop.writeCount()
                    && v.path("state").asText().equals("Protected"));
    JsonNode image = open("latest", false);
    claim(
        ShopServer.sha256(ShopServer.readAll(uri(image)))
            .equals(ShopServer.sha256(Files.readAllBytes(site.backing()))),
        "image(latest) equals the live disk byte for byte");
    close(image.path("name").asText());
    saw(
        volume.at("/journal/rawBytes").asText()
            + " bytes were written, the journal keeps them in "
            + volume.at("/journal/storedBytes").asText());
  }

  private void verifyAndExport(ShopServer.Moment before) throws IOException, InterruptedException {
    chapter("The whole history checked, and a moment exported");
    JsonNode verified =
        site.awaitJob(
            site.client().post("/volumes/" + DemoSite.VOLUME + "/verify", NodeClient.object()));
    claim(
        verified.path("state").asText().equals("done"),
        "every checksum holds and the index agrees with the journal" + trouble(verified));
    Path file = stage.directory().resolve("exported.img");
    JsonNode exported =
        site.awaitJob(
            site.client()
                .post(
                    "/exports",
                    NodeClient.object()
                        .put("volume", DemoSite.VOLUME)
                        .put("at", "seq:" + before.seq())
                        .put("format", "raw")
                        .put("path", file.toString())));
    claim(
        exported.path("state").asText().equals("done")
            && ShopServer.sha256(Files.readAllBytes(file)).equals(before.sha256()),
        "the moment before the mistake is a raw disk image in a file" + trouble(exported));
  }

  private static String trouble(JsonNode job) {
    JsonNode error = job.path("error");
    return error.isObject() ? ": " + error.path("message").asText() : "";
  }

  private void writableImage(ShopServer.Moment before, ShopServer shop) throws IOException {
    chapter("A writable image, to try things out");
    JsonNode image = open("seq:" + before.seq(), true);
    byte[] scribble = "scribbled over".getBytes(java.nio.charset.StandardCharsets.UTF_8);
    try (NbdClient client = NbdClient.connect(uri(image))) {
      client.write(0, ByteBuffer.wrap(scribble));
      client.flush();
      claim(
          java.util.Arrays.equals(client.read(0, scribble.length), scribble),
          "what is written to the image can be read back from it");
    }
    JsonNode volume = site.client().get("/volumes/" + DemoSite.VOLUME);
    claim(
        volume.at("/head/seq").asLong() == shop.writeCount(),
        "the protected volume and its history know nothing of it");
    close(image.path("name").asText());
  }

  private void goHome() {
    chapter("The end");
    site.stop();
    claim(stage.running().isEmpty(), "tap, node and Cassandra have stopped in order");
  }

  private JsonNode open(String at, boolean writable) {
    return site.client()
        .post(
            "/images",
            NodeClient.object()
                .put("volume", DemoSite.VOLUME)
                .put("at", at)
                .put("writable", writable));
  }

  private static NbdUri uri(JsonNode image) {
    return NbdUri.parse(image.path("uri").asText());
  }

  private void close(String image) {
    site.client().delete("/images/" + NodeClient.escaped(image) + "?force=true");
  }
}
