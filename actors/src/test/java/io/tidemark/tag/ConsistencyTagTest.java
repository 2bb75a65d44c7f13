package io.tidemark.tag;

import static io.tidemark.testsite.TestSite.VOLUME_BYTES;
import static io.tidemark.testsite.TestSite.await;
import static io.tidemark.testsite.TestSite.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.catalog.TagCatalog;
import io.tidemark.group.GroupSummary;
import io.tidemark.group.Groups;
import io.tidemark.group.Schedule;
import io.tidemark.group.TagRequest;
import io.tidemark.order.ApplicationResult;
import io.tidemark.order.Holds;
import io.tidemark.order.OrderKind;
import io.tidemark.order.Quiescing;
import io.tidemark.order.TapOrder;
import io.tidemark.position.VolumeId;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.site.SiteSystem;
import io.tidemark.testsite.TestSite;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Groups and tags over real entities in a cluster, with taps that do as they are told. */
class ConsistencyTagTest {
  /** After a node's death volumes move, and taps attach to where they went. */
  private static final Duration RETURN_LIMIT = Duration.ofSeconds(40);

  private static final TagCatalog.Query ALL = new TagCatalog.Query(0, Long.MAX_VALUE, "", 1_000);

  private TestSite test;
  private SiteSystem node;
  private final List<FakeTap> taps = new ArrayList<>();

  @BeforeEach
  void start() throws Exception {
    test =
        new TestSite(
            "tidemark.tag.hold-limit = 700 ms\n"
                + "tidemark.tag.find-within = 2 s\n"
                + "tidemark.tag.commit-within = 4 s\n"
                + "tidemark.tag.quiesce-within = 2 s\n");
    node = test.startNode();
    for (String name : List.of("a", "b", "c")) {
      VolumeName volume = new VolumeName(name);
      get(node.site().createVolume(volume, VOLUME_BYTES, false));
      taps.add(new FakeTap(volume).attach(node));
    }
    get(groups().create("g", taps.stream().map(tap -> tap.volume).toList()));
  }

  @AfterEach
  void stop() {
    test.close();
  }

  private Groups groups() {
    return node.groups();
  }

  private static TagRequest crash(String name) {
    return new TagRequest(name, false, List.of(), "a note", 0);
  }

  private TagSummary take(TagRequest request) throws Exception {
    return get(groups().take("g", request));
  }

  private ErrorCode refused(CompletionStage<?> stage) {
    return assertThrows(Refusal.class, () -> get(stage)).code();
  }

  /** Empty while there is none. */
  private String state(String tag) {
    try {
      return TestSite.join(groups().tag("g", tag)).state();
    } catch (java.util.concurrent.CompletionException e) {
      return "";
    }
  }

  private void assertLetGo() throws Exception {
    for (FakeTap tap : taps) {
      await("released " + tap.volume, () -> tap.holding == 0);
    }
  }

  /** Each volume's mark is what it had when it was held; the tag waits for the journal (G2). */
  @Test
  void shouldCommitOnceEveryMarkIsJournaled() throws Exception {
    for (FakeTap tap : taps) {
      tap.write(10);
      tap.journal();
      tap.write(5);
    }
    CompletableFuture<TagSummary> taking = groups().take("g", crash("t1")).toCompletableFuture();
    await("released", () -> taps.stream().allMatch(tap -> tap.orders.size() == 2));
    assertFalse(taking.isDone(), "five writes of each are not journaled");
    await("marked", () -> state("t1").equals("Marked"));
    for (FakeTap tap : taps) {
      tap.write(3);
      tap.journal();
    }
    TagSummary tag = get(taking);
    assertEquals("Committed", tag.state(), tag.reason());
    assertEquals(List.of(15L, 15L, 15L), tag.marks().stream().map(TagMark::seq).toList());
    assertEquals(1_234, tag.holdMicros());
    assertEquals("a note", tag.spec().notes());
    assertEquals(List.of(tag), get(groups().tags("g", ALL)).tags());
    assertEquals(15, get(groups().resolve(new VolumeName("b"), "t1")).seq());
    assertEquals(15, get(groups().resolve(new VolumeName("b"), "g/t1")).seq());
    assertEquals(ErrorCode.NOT_FOUND, refused(groups().resolve(new VolumeName("b"), "t2")));
    assertEquals(ErrorCode.ALREADY_EXISTS, refused(groups().take("g", crash("t1"))));
    assertEquals("Open", get(groups().get("g")).state());
    assertEquals(
        List.of(OrderKind.HOLD, OrderKind.RELEASE), taps.get(0).orders, "in that order, once");
  }

  /** No release before every volume holds (G1): the slowest decides. */
  @Test
  void shouldReleaseOnlyOnceAllHold() throws Exception {
    CompletableFuture<byte[]> late = new CompletableFuture<>();
    FakeTap slow = taps.get(2);
    slow.answers.put(OrderKind.HOLD, order -> late.thenCompose(go -> slow.usual(order)));
    CompletableFuture<TagSummary> taking = groups().take("g", crash("t")).toCompletableFuture();
    await("asked", () -> slow.orders.contains(OrderKind.HOLD));
    await("held", () -> taps.get(0).holding != 0 && taps.get(1).holding != 0);
    assertEquals(List.of(OrderKind.HOLD), taps.get(0).orders);
    late.complete(new byte[0]);
    assertEquals("Committed", get(taking).state());
  }

  /** A tap that refuses, is silent, lets go early or never attests: no tag, and all let go. */
  @Test
  void shouldFailAndLetGoWhateverOneTapDoes() throws Exception {
    FakeTap bad = taps.get(1);
    bad.answers.put(
        OrderKind.HOLD,
        order -> CompletableFuture.failedFuture(new Refusal(ErrorCode.DARK_INTERVAL, "resyncs")));
    assertFailed(take(crash("refused")), ErrorCode.DARK_INTERVAL, "resyncs");

    bad.answers.put(OrderKind.HOLD, order -> new CompletableFuture<>());
    assertFailed(take(crash("silent")), null, "volume");

    bad.answers.remove(OrderKind.HOLD);
    bad.answers.put(
        OrderKind.RELEASE,
        order -> {
          bad.holding = 0;
          return CompletableFuture.completedFuture(new Holds.Released(false, 700_000, 2).encode());
        });
    assertFailed(take(crash("broken")), ErrorCode.HOLD_TIMEOUT, "by itself");

    bad.answers.put(
        OrderKind.RELEASE,
        order -> {
          bad.holding = 0;
          return new CompletableFuture<>();
        });
    assertFailed(take(crash("unattested")), null, "");

    bad.answers.clear();
    get(bad.session.detach());
    await("gone", () -> !TestSite.join(node.site().volume(bad.volume)).tapConnected());
    assertFailed(take(crash("no-tap")), ErrorCode.NOT_ACKNOWLEDGED, "no tap is attached");
    assertEquals(5, get(groups().tags("g", ALL)).tags().size(), "failed tags are shown");
    assertEquals(ErrorCode.NOT_FOUND, refused(groups().resolve(bad.volume, "broken")));
    bad.attach(node);
    assertEquals("Committed", take(crash("again")).state());
  }

  private void assertFailed(TagSummary tag, ErrorCode code, String reason) throws Exception {
    assertEquals("Failed", tag.state());
    if (code != null) {
      assertEquals(code, tag.code().orElseThrow(), tag.reason());
    }
    assertTrue(tag.reason().contains(reason), tag.reason());
    assertLetGo();
  }

  /** Writes up to a mark that were lost before they were journaled make no tag (G2). */
  @Test
  void shouldFailWhenAMarkIsLost() throws Exception {
    taps.forEach(tap -> tap.write(5));
    CompletableFuture<TagSummary> taking = groups().take("g", crash("t")).toCompletableFuture();
    await("released", () -> taps.stream().allMatch(tap -> tap.orders.size() == 2));
    taps.get(0).journal();
    taps.get(1).journal();
    FakeTap killed = taps.get(2);
    killed.lose();
    killed.write(20);
    killed.journal();
    TagSummary tag = get(taking);
    assertEquals(ErrorCode.DARK_INTERVAL, tag.code().orElseThrow(), tag.toString());
    assertTrue(tag.reason().contains("lost"), tag.reason());

    // Lost only after the mark was journaled: a good tag.
    CompletableFuture<TagSummary> second = groups().take("g", crash("t2")).toCompletableFuture();
    await("released", () -> killed.orders.size() == 4);
    killed.write(4);
    killed.lose();
    killed.write(4);
    killed.journal();
    assertEquals("Committed", get(second).state());

    // Never journaled: given up in time.
    taps.get(0).write(1);
    TagSummary late = get(groups().take("g", crash("t3")));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, late.code().orElseThrow(), late.toString());
  }

  /** Each host's applications once, before the hold, and thawed after; a failure fails the tag. */
  @Test
  void shouldQuiesceApplications() throws Exception {
    TagRequest request = new TagRequest("app", true, List.of("pg"), "", 0);
    assertEquals(ErrorCode.NOT_FOUND, take(request).code().orElseThrow());
    assertLetGo();
    // All fake taps have one address: one host, whichever volume stands for it.
    taps.forEach(tap -> tap.applications.put("pg", true));
    taps.forEach(tap -> tap.orders.clear());
    TagSummary tag = take(new TagRequest("app2", true, List.of("pg"), "", 0));
    assertEquals("Committed", tag.state(), tag.reason());
    assertEquals(2, tag.applications().size(), "quiesced and thawed: " + tag.applications());
    List<OrderKind> first = taps.get(0).orders;
    assertEquals(
        List.of(OrderKind.QUIESCE, OrderKind.HOLD, OrderKind.RELEASE, OrderKind.THAW), first);
    assertEquals(List.of(OrderKind.HOLD, OrderKind.RELEASE), taps.get(1).orders);

    taps.forEach(tap -> tap.applications.put("pg", false));
    TagSummary failed = take(new TagRequest("app3", true, List.of(), "", 0));
    assertEquals(ErrorCode.FAILED, failed.code().orElseThrow());
    await("thawed", () -> taps.get(0).orders.get(taps.get(0).orders.size() - 1) == OrderKind.THAW);

    taps.get(0).answers.put(OrderKind.QUIESCE, order -> new CompletableFuture<>());
    TagSummary hung = take(new TagRequest("app4", true, List.of(), "", 0));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, hung.code().orElseThrow(), hung.reason());
  }

  /** A failed application makes the tag fail or crash-consistent, as its policy says (G7). */
  @Test
  void shouldFollowTheApplicationsPolicies() throws Exception {
    FakeTap tap = taps.get(0);
    tap.applications.put("pg", true);
    says(tap, OrderKind.QUIESCE, new ApplicationResult("pg", false, 3, 7, "no", true, true));
    TagSummary soft = take(new TagRequest("soft", true, List.of("pg"), "", 0));
    assertEquals("Committed", soft.state(), soft.reason());
    assertFalse(soft.applicationConsistent());
    assertEquals("no", soft.applications().get(0).output());
    tap.answers.clear();

    // It was quiesced, and went on before the order to thaw; nobody knows since when.
    says(tap, OrderKind.THAW, new ApplicationResult("pg", false, 0, 7, "expired", true, false));
    assertFailed(
        take(new TagRequest("lost", true, List.of("pg"), "", 0)), ErrorCode.FAILED, "expired");
    says(tap, OrderKind.THAW, new ApplicationResult("pg", false, 0, 7, "expired", true, true));
    assertFalse(take(new TagRequest("lost2", true, List.of("pg"), "", 0)).applicationConsistent());

    // It was quiesced until then, and complains about thawing.
    says(tap, OrderKind.THAW, new ApplicationResult("pg", false, 1, 7, "mail", false, false));
    TagSummary grumbled = take(new TagRequest("grumbled", true, List.of("pg"), "", 0));
    assertEquals("Committed", grumbled.state(), grumbled.reason());
    assertTrue(grumbled.applicationConsistent());

    tap.answers.put(
        OrderKind.THAW,
        order -> CompletableFuture.failedFuture(new Refusal(ErrorCode.NOT_FOUND, "restarted")));
    assertFailed(
        take(new TagRequest("silent", true, List.of("pg"), "", 0)), ErrorCode.FAILED, "restarted");
  }

  private static void says(FakeTap tap, OrderKind kind, ApplicationResult result) {
    byte[] answer = Quiescing.encode(List.of(result));
    tap.answers.put(kind, order -> CompletableFuture.completedFuture(answer));
  }

  /** The node of group and tag dies at each step: all let go, and the tag ends (G3, U2). */
  @Test
  void shouldEndEveryTagThoughItsNodeDies() throws Exception {
    SiteSystem second = test.startNode();
    for (OrderKind step : List.of(OrderKind.QUIESCE, OrderKind.HOLD, OrderKind.RELEASE)) {
      FakeTap last = taps.get(2);
      List<FakeTap> all = taps;
      taps.forEach(tap -> tap.applications.put("pg", true));
      CompletableFuture<byte[]> never = new CompletableFuture<>();
      for (FakeTap tap : all) {
        tap.answers.put(
            step,
            order -> {
              if (tap != last && step != OrderKind.QUIESCE) {
                return tap.usual(order);
              }
              return never;
            });
      }
      int before = all.stream().mapToInt(tap -> count(tap, step)).sum();
      String name =
          takeUntil(step, () -> all.stream().mapToInt(tap -> count(tap, step)).sum() > before);
      // The entities move as they would after a crash: their shards are handed over mid-way.
      test.crash(second);
      all.forEach(tap -> tap.answers.clear());
      SiteSystem alive = node;
      await(
          "settled",
          () -> {
            String state = state(name);
            return state.equals("Failed") || state.equals("Committed");
          });
      await("let go", () -> TestSite.join(alive.groups().get("g")).running().isEmpty());
      second = test.startNode();
    }
    String state = "";
    long deadline = System.nanoTime() + RETURN_LIMIT.toNanos();
    for (int attempt = 1; !state.equals("Committed"); attempt++) {
      assertTrue(System.nanoTime() < deadline, state);
      for (FakeTap tap : taps) {
        tap.attachIfEnded(node);
      }
      state = take(crash("after-" + attempt)).state();
    }
  }

  /**
   * Takes tags until one has reached a step, and says which. While the entities settle on a node
   * that has just come, a tag may fail before it gets there; a volume that moved has ended its
   * tap's session.
   */
  private String takeUntil(OrderKind step, BooleanSupplier reached) throws Exception {
    for (int attempt = 1; ; attempt++) {
      for (FakeTap tap : taps) {
        tap.attachIfEnded(node);
      }
      String name = "dies-at-" + step + "-" + attempt;
      CompletableFuture<TagSummary> taken =
          groups().take("g", new TagRequest(name, true, List.of(), "", 0)).toCompletableFuture();
      // It is answered when it has ended, or when nobody knows of it.
      await(name, () -> reached.getAsBoolean() || taken.isDone());
      if (reached.getAsBoolean()) {
        return name;
      }
      assertTrue(attempt < 20, () -> name + ": " + taken);
    }
  }

  private static int count(FakeTap tap, OrderKind kind) {
    synchronized (tap.orders) {
      return (int) tap.orders.stream().filter(kind::equals).count();
    }
  }

  /** A tag whose holds were attested is finished by the entity that starts in place of its own. */
  @Test
  void shouldCommitAfterACrashWhenAllWasAttested() throws Exception {
    taps.forEach(tap -> tap.write(5));
    groups().take("g", crash("t"));
    await("marked", () -> state("t").equals("Marked"));
    test.crash(node);
    node = test.startNode();
    for (FakeTap tap : taps) {
      // The same process attaches again, and sends what it has.
      tap.attach(node);
      tap.journal();
    }
    await("committed", () -> state("t").equals("Committed"));
    await("noted", () -> TestSite.join(groups().get("g")).running().isEmpty());
  }

  /** Died while it held: nothing was attested, so there is no tag, and nothing stays held. */
  @Test
  void shouldFailAfterACrashWhenNothingWasAttested() throws Exception {
    taps.get(1).answers.put(OrderKind.HOLD, order -> new CompletableFuture<>());
    groups().take("g", crash("t"));
    await("held", () -> taps.get(0).holding != 0 && taps.get(2).holding != 0);
    test.crash(node);
    taps.get(1).answers.clear();
    node = test.startNode();
    for (FakeTap tap : taps) {
      tap.attach(node);
    }
    await("failed", () -> state("t").equals("Failed"));
    await("open again", () -> TestSite.join(groups().get("g")).state().equals("Open"));
    assertEquals("Committed", take(crash("t2")).state());
  }

  /** The catalog is down for a while: nobody is told before it has the tag (G5). */
  @Test
  void shouldTellOnceTheCatalogHasIt() throws Exception {
    test.catalog.failPuts.set(2);
    assertEquals("Committed", take(crash("t")).state());
    assertEquals(1, test.catalog.size());
  }

  /** Schedules take tags by themselves, remove what expired, and go on after a crash. */
  @Test
  void shouldTakeTagsOnSchedule() throws Exception {
    get(groups().setSchedule("g", new Schedule("s", 1, 2, "s-{time}", false, List.of())));
    await("three tags", () -> tags().size() >= 3);
    await("the first expired", () -> tags().stream().noneMatch(t -> t.timeMicros() < oldest()));
    test.crash(node);
    node = test.startNode();
    for (FakeTap tap : taps) {
      tap.attach(node);
    }
    long since = io.tidemark.position.MicroClock.system().micros();
    await("goes on", () -> tags().stream().anyMatch(t -> t.committed() && t.timeMicros() > since));
    GroupSummary group = get(groups().removeSchedule("g", "s"));
    assertTrue(group.schedules().isEmpty());
    await("all expired", () -> tags().isEmpty());
    for (Schedule wrong :
        List.of(
            new Schedule("s", 0, 0, "{time}", false, List.of()),
            new Schedule("s", 10, 5, "{time}", false, List.of()),
            new Schedule("s", 10, 0, "same", false, List.of()),
            new Schedule("s/x", 10, 0, "{time}", false, List.of()))) {
      assertThrows(Refusal.class, () -> get(groups().setSchedule("g", wrong)));
    }
  }

  private List<TagSummary> tags() {
    return TestSite.join(groups().tags("g", ALL)).tags();
  }

  private static long oldest() {
    return io.tidemark.position.MicroClock.system().micros() - 4_000_000;
  }

  /** A locked tag outlives its time and its group's end; unlocked, it goes. */
  @Test
  void shouldKeepLockedTags() throws Exception {
    long soon = io.tidemark.position.MicroClock.system().micros() + 4_000_000;
    taps.get(1).write(7);
    taps.get(1).journal();
    assertEquals("Committed", take(new TagRequest("kept", false, List.of(), "", soon)).state());
    assertEquals("Committed", take(new TagRequest("gone", false, List.of(), "", soon)).state());
    assertTrue(get(groups().lock("g", "kept", true)).locked());
    assertTrue(get(groups().lock("g", "kept", true)).locked(), "again");
    assertEquals(7, get(groups().lockedMarks(new VolumeName("b"))).get(0).seq());
    await("one expired", () -> tags().size() == 1);
    assertEquals("kept", tags().get(0).spec().name());
    assertEquals(ErrorCode.NOT_FOUND, refused(groups().tag("g", "gone")));
    assertEquals(ErrorCode.NOT_FOUND, refused(groups().lock("g", "gone", true)));
    assertEquals(ErrorCode.BUSY, refused(groups().delete("g")));
    assertFalse(get(groups().lock("g", "kept", false)).locked());
    assertTrue(get(groups().lockedMarks(new VolumeName("b"))).isEmpty());
    await("the other, too", () -> tags().isEmpty());
    assertEquals("Committed", take(crash("gone")).state(), "its name is free");
    get(groups().delete("g"));
    await("deleted", () -> TestSite.join(groups().list()).isEmpty());
    await("with its tags", () -> test.catalog.size() == 0);
    assertEquals(ErrorCode.NOT_FOUND, refused(groups().get("g")));
    get(groups().create("g", List.of(new VolumeName("a"))));
    assertEquals("Committed", take(crash("t")).state());
  }

  /** Without one of its volumes a group has no tags any more; those it has name the others. */
  @Test
  void shouldRefuseTagsOfADeletedVolume() throws Exception {
    assertEquals("Committed", take(crash("before")).state());
    VolumeName gone = taps.get(2).volume;
    VolumeId old = get(groups().resolve(gone, "before")).id();
    get(node.site().deleteVolume(gone));
    assertFailed(take(crash("after")), ErrorCode.NOT_FOUND, "volume 'c'");
    assertEquals(0, get(groups().resolve(taps.get(0).volume, "before")).seq());
    // Another of the same name is not the one that was tagged.
    get(node.site().createVolume(gone, VOLUME_BYTES, false));
    assertNotEquals(old, TestSite.join(node.site().volume(gone)).id());
    assertEquals(old, get(groups().resolve(gone, "before")).id());
    taps.set(2, new FakeTap(gone).attach(node));
    assertEquals("Committed", take(crash("again")).state());
  }

  /** What cannot be a group, and a tag's name in two groups of a volume. */
  @Test
  void shouldRefuseWhatIsWrong() throws Exception {
    assertEquals(
        ErrorCode.NOT_FOUND, refused(groups().create("x", List.of(new VolumeName("none")))));
    assertThrows(Refusal.class, () -> groups().create("x", List.of()));
    assertThrows(Refusal.class, () -> groups().create("x y", List.of(new VolumeName("a"))));
    assertEquals(
        ErrorCode.INVALID,
        refused(groups().create("x", List.of(new VolumeName("a"), new VolumeName("a")))));
    assertEquals(
        ErrorCode.ALREADY_EXISTS, refused(groups().create("g", List.of(new VolumeName("a")))));
    assertEquals(ErrorCode.NOT_FOUND, refused(groups().take("none", crash("t"))));
    assertThrows(Refusal.class, () -> groups().take("g", crash("a/b")));
    get(groups().create("h", List.of(new VolumeName("a"))));
    assertEquals("Committed", take(crash("same")).state());
    assertEquals(1, get(groups().resolve(new VolumeName("a"), "same")).session());
    assertEquals("Committed", get(groups().take("h", crash("same"))).state());
    assertEquals(ErrorCode.INVALID, refused(groups().resolve(new VolumeName("a"), "same")));
    assertEquals("same", get(groups().tag("h", "same")).spec().name());
    get(groups().resolve(new VolumeName("a"), "h/same"));
    assertEquals(ErrorCode.NOT_FOUND, refused(groups().resolve(new VolumeName("b"), "h/same")));
    assertEquals(2, get(groups().tagsOf(new VolumeName("a"), ALL)).tags().size());
    assertNonePassedBy();
    TapOrder unused = new TapOrder(1, OrderKind.ROLLBACK, Long.MAX_VALUE, new byte[0]);
    assertEquals(0, get(node.site().order(new VolumeName("a"), unused)).length);
  }

  /**
   * A page whose tags all failed shows none, and the older ones of that group come all the same.
   */
  private void assertNonePassedBy() throws Exception {
    assertEquals("Committed", take(crash("later")).state());
    FakeTap bad = taps.get(2);
    bad.answers.put(
        OrderKind.RELEASE,
        order -> {
          bad.holding = 0;
          return CompletableFuture.completedFuture(new Holds.Released(false, 700_000, 2).encode());
        });
    assertEquals("Failed", take(crash("broken")).state());
    List<String> found = new ArrayList<>();
    long to = Long.MAX_VALUE;
    Groups.TagList page;
    do {
      page = get(groups().tagsOf(new VolumeName("a"), new TagCatalog.Query(0, to, "", 1)));
      page.tags().forEach(tag -> found.add(tag.spec().group() + "/" + tag.spec().name()));
      to = page.untilMicros() - 1;
    } while (page.more());
    assertEquals(List.of("g/later", "h/same", "g/same"), found);
  }
}
