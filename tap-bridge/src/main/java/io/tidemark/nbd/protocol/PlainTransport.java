package io.tidemark.nbd.protocol;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A blocking socket as it is: one system call for each read and each batch of replies. */
public final class PlainTransport implements Transport {
  private static final Logger LOG = LoggerFactory.getLogger(PlainTransport.class);
  private final SocketChannel socket;

  public PlainTransport(SocketChannel socket) {
    this.socket = socket;
  }

  @Override
  public int read(ByteBuffer into) throws IOException {
    return socket.read(into);
  }

  @Override
  public void write(ByteBuffer[] from, int count) throws IOException {
    int done = 0;
    while (done < count) {
      if (done == count - 1) {
        socket.write(from[done]);
      } else {
        socket.write(from, done, count - done);
      }
      while (done < count && !from[done].hasRemaining()) {
        done++;
      }
    }
  }

  @Override
  public void endInput() {
    try {
      socket.shutdownInput();
    } catch (ClosedChannelException e) {
      LOG.trace("closed already", e);
    } catch (IOException e) {
      LOG.debug("cannot end the input of a client; closing it", e);
      close();
    }
  }

  @Override
  public void close() {
    try {
      socket.close();
    } catch (IOException e) {
      LOG.debug("closing a client's socket", e);
    }
  }
}
