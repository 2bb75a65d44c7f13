package io.tidemark.nbd.connection;

import io.tidemark.nbd.protocol.Transport;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;

/** A client that sends fixed bytes in steps of fixed sizes, and keeps what it is answered. */
final class ScriptedTransport implements Transport {
  private final byte[] script;
  private final int firstStep;
  private final int step;
  private final ByteArrayOutputStream answers = new ByteArrayOutputStream();
  private int at;
  private boolean closed;

  /** Sends {@code firstStep} bytes at first, then {@code step} at a time. */
  ScriptedTransport(byte[] script, int firstStep, int step) {
    this.script = script;
    this.firstStep = firstStep;
    this.step = step;
  }

  @Override
  public int read(ByteBuffer into) {
    if (at == script.length) {
      return -1;
    }
    int most = at < firstStep ? firstStep - at : step;
    int n = Math.min(Math.min(most, script.length - at), into.remaining());
    into.put(script, at, n);
    at += n;
    return n;
  }

  @Override
  public synchronized void write(ByteBuffer[] from, int count) {
    for (int i = 0; i < count; i++) {
      byte[] bytes = new byte[from[i].remaining()];
      from[i].get(bytes);
      answers.writeBytes(bytes);
    }
  }

  @Override
  public void endInput() {}

  @Override
  public void close() {
    closed = true;
  }

  boolean closed() {
    return closed;
  }

  synchronized byte[] answers() {
    return answers.toByteArray();
  }
}
