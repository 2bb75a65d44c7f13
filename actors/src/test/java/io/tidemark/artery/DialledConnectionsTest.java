package io.tidemark.artery;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import org.junit.jupiter.api.Test;

/** What is broken off, and what is not. */
class DialledConnectionsTest {
  private static SSLEngine engine() throws Exception {
    SSLEngine engine = SSLContext.getDefault().createSSLEngine("node", 1);
    engine.setUseClientMode(true);
    return engine;
  }

  private static int hello(SSLEngine engine) throws Exception {
    ByteBuffer to = ByteBuffer.allocate(engine.getSession().getPacketBufferSize());
    return engine.wrap(ByteBuffer.allocate(0), to).bytesProduced();
  }

  /** A1: by its age; A2: at the next byte. */
  @Test
  void shouldBreakOffWhatLeadsToASilentNodeUnlessItIsNew() throws Exception {
    DialledConnections dialled = new DialledConnections();
    SSLEngine engine = dialled.dialled(engine(), "node", 1);
    SSLEngine other = dialled.dialled(engine(), "node", 2);
    assertEquals(0, dialled.breakOff("node", 1, Duration.ofHours(1)), "it is new");
    assertTrue(hello(engine) > 0);
    assertEquals(1, dialled.breakOff("node", 1, Duration.ZERO));
    assertEquals(0, dialled.breakOff("node", 1, Duration.ZERO), "once");
    assertThrows(BreakableEngine.BrokenOff.class, () -> hello(engine));
    assertTrue(hello(other) > 0, "another node's");
    assertEquals(0, dialled.breakOff("elsewhere", 1, Duration.ZERO));
    assertTrue(hello(dialled.dialled(engine(), "node", 1)) > 0, "dialled anew");
  }
}
