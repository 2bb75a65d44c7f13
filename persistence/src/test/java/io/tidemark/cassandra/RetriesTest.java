package io.tidemark.cassandra;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datastax.oss.driver.api.core.NoNodeAvailableException;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

class RetriesTest {
  private final AtomicInteger attempts = new AtomicInteger();

  private <T> T run(Duration deadline, Supplier<CompletionStage<T>> attempt) throws Exception {
    return new Retries(deadline, ForkJoinPool.commonPool())
        .run(
            () -> {
              attempts.incrementAndGet();
              return attempt.get();
            })
        .toCompletableFuture()
        .get(30, TimeUnit.SECONDS);
  }

  private Throwable failure(Duration deadline, RuntimeException each) {
    return assertThrows(
            ExecutionException.class,
            () -> run(deadline, () -> CompletableFuture.failedStage(each)))
        .getCause();
  }

  @Test
  void shouldAskAgainUntilCassandraIsBack() throws Exception {
    Supplier<CompletionStage<String>> third =
        () ->
            attempts.get() < 3
                ? CompletableFuture.failedStage(new NoNodeAvailableException())
                : CompletableFuture.completedStage("rows");
    assertEquals("rows", run(Duration.ofSeconds(10), third));
    assertEquals(3, attempts.get());
  }

  @Test
  void shouldGiveUpAtTheDeadline() {
    Refusal refusal =
        assertInstanceOf(
            Refusal.class, failure(Duration.ofSeconds(1), new NoNodeAvailableException()));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, refusal.code());
    assertTrue(attempts.get() >= 2, () -> attempts + " attempts");
  }

  /** What cannot be decoded is no silence of Cassandra, and does not get better. */
  @Test
  void shouldPassOnWhatIsNotOfCassandra() {
    RuntimeException broken = new ClassCastException("an event of no known kind");
    assertSame(broken, failure(Duration.ofSeconds(10), broken));
    assertEquals(1, attempts.get());
  }

  @Test
  void shouldNotAskAClosedSessionAgain() {
    Refusal refusal =
        assertInstanceOf(
            Refusal.class,
            failure(Duration.ofSeconds(10), new IllegalStateException("Session is closed")));
    assertEquals(ErrorCode.NOT_ACKNOWLEDGED, refusal.code());
    assertEquals(1, attempts.get());
  }
}
