package io.tidemark.nbd.protocol;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLEngineResult.Status;

/**
 * TLS over another transport. Reading and writing may happen at the same time; what the peer makes
 * the engine say after the handshake (key updates, session tickets) is written by the reader under
 * the writer's lock.
 */
public final class TlsTransport implements Transport {
  private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

  private final Transport under;
  private final SSLEngine engine;
  private final Object writing = new Object();
  private final ByteBuffer[] one = new ByteBuffer[1];
  private final ByteBuffer received;
  private ByteBuffer opened;
  private ByteBuffer sealed;

  public TlsTransport(Transport under, SSLEngine engine) {
    this.under = under;
    this.engine = engine;
    this.received = ByteBuffer.allocateDirect(4 * engine.getSession().getPacketBufferSize()).flip();
    this.opened = ByteBuffer.allocate(engine.getSession().getApplicationBufferSize()).flip();
    this.sealed = ByteBuffer.allocateDirect(4 * engine.getSession().getPacketBufferSize());
  }

  /**
   * The handshake, on the side that the engine is set to.
   *
   * @throws IOException also when the peer has no acceptable certificate
   */
  public void handshake() throws IOException {
    engine.beginHandshake();
    while (true) {
      HandshakeStatus status = engine.getHandshakeStatus();
      switch (status) {
        case NEED_WRAP -> say(NOTHING);
        case NEED_TASK -> runTasks();
        case NEED_UNWRAP, NEED_UNWRAP_AGAIN -> {
          if (!unwrapOnce()) {
            throw new EOFException("the peer left during the TLS handshake");
          }
        }
        default -> {
          return;
        }
      }
    }
  }

  @Override
  public int read(ByteBuffer into) throws IOException {
    while (!opened.hasRemaining()) {
      if (!unwrapOnce()) {
        return -1;
      }
      HandshakeStatus status = engine.getHandshakeStatus();
      if (status == HandshakeStatus.NEED_TASK) {
        runTasks();
      } else if (status == HandshakeStatus.NEED_WRAP) {
        say(NOTHING);
      }
    }
    int n = Math.min(opened.remaining(), into.remaining());
    into.put(into.position(), opened, opened.position(), n);
    into.position(into.position() + n);
    opened.position(opened.position() + n);
    return n;
  }

  /** Decrypts one record into the empty {@code opened}; false at the end of the stream. */
  private boolean unwrapOnce() throws IOException {
    while (true) {
      opened.clear();
      SSLEngineResult result;
      try {
        result = engine.unwrap(received, opened);
      } finally {
        opened.flip();
      }
      switch (result.getStatus()) {
        case OK -> {
          return true;
        }
        case CLOSED -> {
          return false;
        }
        case BUFFER_OVERFLOW ->
            opened = ByteBuffer.allocate(engine.getSession().getApplicationBufferSize()).flip();
        case BUFFER_UNDERFLOW -> {
          received.compact();
          int n = under.read(received);
          received.flip();
          if (n < 0) {
            return false;
          }
        }
      }
    }
  }

  @Override
  public void write(ByteBuffer[] from, int count) throws IOException {
    synchronized (writing) {
      for (int i = 0; i < count; i++) {
        while (from[i].hasRemaining()) {
          seal(from[i]);
        }
      }
      send();
    }
  }

  private void say(ByteBuffer nothing) throws IOException {
    synchronized (writing) {
      seal(nothing);
      send();
    }
  }

  private void seal(ByteBuffer plain) throws IOException {
    while (true) {
      SSLEngineResult result = engine.wrap(plain, sealed);
      if (result.getStatus() == Status.OK) {
        return;
      }
      if (result.getStatus() == Status.CLOSED) {
        throw new EOFException("the TLS session is over");
      }
      if (sealed.position() == 0) {
        sealed = ByteBuffer.allocateDirect(4 * engine.getSession().getPacketBufferSize());
      } else {
        send();
      }
    }
  }

  private void send() throws IOException {
    sealed.flip();
    try {
      if (sealed.hasRemaining()) {
        one[0] = sealed;
        under.write(one, 1);
      }
    } finally {
      sealed.clear();
    }
  }

  private void runTasks() {
    Runnable task = engine.getDelegatedTask();
    while (task != null) {
      task.run();
      task = engine.getDelegatedTask();
    }
  }

  @Override
  public void endInput() {
    under.endInput();
  }

  @Override
  public void close() {
    under.close();
  }
}
