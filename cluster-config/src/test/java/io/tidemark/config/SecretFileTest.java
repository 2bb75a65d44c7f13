package io.tidemark.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** C2: a password file is read only if it is nobody else's. */
class SecretFileTest {
  @TempDir private Path directory;

  private Path file(String content, String mode) throws Exception {
    Path file = Files.writeString(directory.resolve("secret"), content);
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(mode));
  }

  private static void refuses(Path file, ErrorCode code, String word) {
    Refusal refusal = assertThrows(Refusal.class, () -> SecretFile.firstLine(file, "a.setting"));
    assertEquals(code, refusal.code(), refusal.getMessage());
    assertTrue(refusal.getMessage().startsWith("a.setting: "), refusal.getMessage());
    assertTrue(refusal.getMessage().contains(word), refusal.getMessage());
    assertFalse(refusal.getMessage().contains("s3cret"), refusal.getMessage());
  }

  @Test
  void shouldReadTheFirstLine() throws Exception {
    assertEquals("s3cret ä", SecretFile.firstLine(file("s3cret ä\nmore\n", "r--------"), "s"));
    assertEquals("s3cret", SecretFile.firstLine(file("s3cret", "rw-------"), "s"));
  }

  @Test
  void shouldRefuseWhatOthersCanReadOrChange() throws Exception {
    for (String mode : new String[] {"rw-r--r--", "rw-----w-", "rw--w----", "rw----r--"}) {
      refuses(file("s3cret\n", mode), ErrorCode.FORBIDDEN, "chmod 600");
    }
    Path shared = file("s3cret\n", "rw-r-----");
    if (Files.getOwner(shared).getName().equals("root")) {
      assertEquals("s3cret", SecretFile.firstLine(shared, "s"));
    } else {
      refuses(shared, ErrorCode.FORBIDDEN, "chmod 600");
    }
  }

  @Test
  void shouldRefuseWhatIsNoPassword() throws Exception {
    refuses(directory.resolve("none"), ErrorCode.INVALID, "cannot be read");
    refuses(file("\ns3cret\n", "rw-------"), ErrorCode.INVALID, "empty");
    refuses(file("s3cret".repeat(1000), "rw-------"), ErrorCode.INVALID, "4096");
    Path inner = Files.createDirectory(directory.resolve("inner"));
    Files.setPosixFilePermissions(inner, PosixFilePermissions.fromString("rwx------"));
    refuses(inner, ErrorCode.INVALID, "no file");
  }
}
