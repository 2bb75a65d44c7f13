package io.tidemark.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NodeSettingsTest {
  @TempDir Path directory;

  private NodeSettings load(String text) throws IOException {
    Path file = directory.resolve("site.conf");
    Files.writeString(file, text);
    return NodeSettings.load(Optional.of(file), Map.of());
  }

  /** The documented defaults. */
  @Test
  void shouldListenOnLoopbackByDefault() {
    NodeSettings settings = NodeSettings.load(Optional.empty(), Map.of());
    assertEquals(new Endpoint("127.0.0.1", 8470), settings.http());
    assertEquals(new Endpoint("127.0.0.1", 8471), settings.tapLink());
    assertEquals(new Endpoint("127.0.0.1", 10809), settings.images());
    assertEquals(Optional.of(new Endpoint("127.0.0.1", 8558)), settings.management());
    assertTrue(settings.data().isAbsolute());
  }

  /** The command line wins over the file, the file over the reference. */
  @Test
  void shouldLayerSettings() throws IOException {
    Path file = directory.resolve("site.conf");
    Files.writeString(
        file, "tidemark { http.port = 1234, data = \"/a\", management.enabled = off }");
    NodeSettings settings =
        NodeSettings.load(Optional.of(file), Map.of("tidemark.data", "/b/../c"));
    assertEquals(1234, settings.http().port());
    assertEquals(Path.of("/c"), settings.data());
    assertEquals(Optional.empty(), settings.management());
  }

  /** Each mistake is refused with its code, in words that name the setting. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "tidemark.http.prot = 1 | INVALID | tidemark.http.port",
        "tidemark.htpp.port = 1 | INVALID | tidemark.http",
        "tidemark.dta = x | INVALID | tidemark.data",
        "http.port = 1 | INVALID | below 'tidemark'",
        "tidemark.http.port = many | INVALID | port",
        "tidemark.http.port = 65536 | INVALID | 0 to 65535",
        "tidemark.http.port = -1 | INVALID | 0 to 65535",
        "tidemark { | INVALID | site.conf",
        "tidemark.http.address = 0.0.0.0 | FORBIDDEN | TLS",
        "tidemark.images.address = 192.0.2.1 | FORBIDDEN | tidemark.images.address",
        "tidemark.tls.key = k.pem | INVALID | tidemark.tls.authority is missing",
        "tidemark.tls { authority = a, certificate = c } | INVALID | tidemark.tls.key is missing",
        "tidemark.tap-link.address = no-such-host.invalid | INVALID | no known address",
      })
  void shouldRefuse(String text, ErrorCode code, String words) {
    Refusal refusal = assertThrows(Refusal.class, () -> load(text));
    assertEquals(code, refusal.code(), refusal.getMessage());
    assertTrue(refusal.getMessage().contains(words.strip()), refusal.getMessage());
  }

  /** Certificates open what they protect, and nothing else. */
  @Test
  void shouldAllowOtherMachinesWithTls() throws IOException {
    String tls = "tls { authority = a.pem, certificate = c.pem, key = k.pem }";
    NodeSettings settings =
        load("tidemark { tap-link.address = 0.0.0.0, images.address = 192.0.2.1, " + tls + " }");
    assertEquals("0.0.0.0", settings.tapLink().host());
    assertEquals("k.pem", settings.tls().orElseThrow().key().getFileName().toString());
    for (String local : List.of("http", "management")) {
      Refusal refusal =
          assertThrows(
              Refusal.class,
              () -> load("tidemark { " + local + ".address = 0.0.0.0, " + tls + " }"));
      assertEquals(ErrorCode.FORBIDDEN, refusal.code(), refusal.getMessage());
    }
  }

  @Test
  void shouldRefuseAFileThatIsNotThere() {
    Refusal refusal =
        assertThrows(
            Refusal.class,
            () -> NodeSettings.load(Optional.of(directory.resolve("none.conf")), Map.of()));
    assertEquals(ErrorCode.INVALID, refusal.code());
    assertTrue(refusal.getMessage().contains("none.conf"));
  }
}
