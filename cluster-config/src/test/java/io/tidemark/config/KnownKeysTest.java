package io.tidemark.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import org.junit.jupiter.api.Test;

class KnownKeysTest {
  private static final String SECTION = "tidemark.cassandra";

  private static Config with(String text) {
    return ConfigFactory.parseString(text).withFallback(ConfigFactory.defaultReference()).resolve();
  }

  @Test
  void shouldAcceptTheReferenceAndItsOverrides() {
    KnownKeys.check(with(""), SECTION);
    KnownKeys.check(with("tidemark.cassandra.keyspace = other"), SECTION);
    KnownKeys.check(with("tidemark.cassandra.replication { east = 3, west = 3 }"), SECTION);
    KnownKeys.check(ConfigFactory.empty(), SECTION);
  }

  @Test
  void shouldNameTheUnknownKeyAndTheNearestOne() {
    Refusal refusal =
        assertThrows(
            Refusal.class,
            () -> KnownKeys.check(with("tidemark.cassandra.tls.trust-store = x"), SECTION));
    assertEquals(ErrorCode.INVALID, refusal.code());
    assertTrue(
        refusal.getMessage().contains("'tidemark.cassandra.tls.trust-store'")
            && refusal.getMessage().contains("'tidemark.cassandra.tls.truststore'"),
        refusal.getMessage());
  }

  @Test
  void shouldMeasureEditDistance() {
    assertEquals(0, KnownKeys.distance("heap", "heap"));
    assertEquals(3, KnownKeys.distance("kitten", "sitting"));
    assertEquals(4, KnownKeys.distance("", "heap"));
  }
}
