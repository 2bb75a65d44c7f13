package io.tidemark.volume;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.Address;
import org.junit.jupiter.api.Test;

class AttachAttemptTest {
  private static final Address HERE = new Address("akka", "site");
  private static final Address THERE = new Address("akka", "site", "10.0.0.2", 25520);
  private static final long FIVE_MINUTES = 300_000_000;

  @Test
  void shouldKeepOutWhatWasGivenUpHere() {
    AttachAttempt attempt = new AttachAttempt(HERE, 1000);
    assertFalse(attempt.isLate(1000));
    assertTrue(attempt.isLate(1001));
    assertFalse(new AttachAttempt(HERE, 0).isLate(1001), "nobody said until when");
    assertTrue(attempt.isBefore(new AttachAttempt(HERE, 1001)));
    assertFalse(attempt.isBefore(attempt));
  }

  @Test
  void shouldLetInWhatANodeWithAnotherClockSends() {
    AttachAttempt attempt = new AttachAttempt(THERE, 1000);
    assertFalse(attempt.isLate(1000 + FIVE_MINUTES));
    assertFalse(attempt.isBefore(new AttachAttempt(HERE, 1000 + FIVE_MINUTES)));
    assertTrue(attempt.isBefore(new AttachAttempt(THERE, 1001)));
  }
}
