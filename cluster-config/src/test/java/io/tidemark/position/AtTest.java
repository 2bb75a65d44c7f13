package io.tidemark.position;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AtTest {
  /** What a person types comes back as the same position, to the microsecond and far ahead. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "latest",
        "seq:0",
        "seq:9223372036854775807",
        "time:2026-01-31T12:00:00.000001Z",
        "time:1960-01-01T00:00:00Z",
        "time:2999-01-01T00:00:00Z",
        "tag:before the upgrade"
      })
  void shouldReadWhatItPrints(String text) {
    assertEquals(text, At.parse(text).toString());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "yesterday",
        "seq:",
        "seq:-1",
        "seq:1.5",
        "seq:9223372036854775808",
        "time:",
        "time:2026-01-31",
        "time:2026-02-30T00:00:00Z",
        "time:+999999999-12-31T23:59:59Z",
        "tag:"
      })
  void shouldRefuseEverythingElse(String text) {
    assertEquals(ErrorCode.INVALID, assertThrows(Refusal.class, () -> At.parse(text)).code());
  }

  /** Another offset names the same moment. */
  @Test
  void shouldReadOffsets() {
    At at = At.parse("time:2026-01-31T13:00:00+01:00");
    assertEquals(new At.Time(MicroTime.of(Instant.parse("2026-01-31T12:00:00Z"))), at);
  }
}
