package io.tidemark.taplink;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;

/** A tap's connection: one thread reads while another writes; any thread may close it. */
interface LinkChannel extends Closeable {
  /** Writes all of the buffers. */
  void write(ByteBuffer[] buffers) throws IOException;

  /** Reads at least a byte; -1 when the peer has closed. */
  int read(ByteBuffer into) throws IOException;

  /** Plain TCP: gathering writes straight from the buffers. */
  static LinkChannel plain(InetSocketAddress node, int timeoutMillis) throws IOException {
    SocketChannel channel = SocketChannel.open();
    try {
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
      channel.socket().connect(node, timeoutMillis);
    } catch (IOException e) {
      channel.close();
      throw e;
    }
    return new Plain(channel);
  }

  /** TLS with both certificates; the node's must name the host that was asked for. */
  static LinkChannel tls(InetSocketAddress node, int timeoutMillis, SSLContext context)
      throws IOException {
    Socket raw = new Socket();
    try {
      raw.setTcpNoDelay(true);
      raw.setKeepAlive(true);
      raw.connect(node, timeoutMillis);
      raw.setSoTimeout(timeoutMillis);
      SSLSocket socket =
          (SSLSocket)
              context
                  .getSocketFactory()
                  .createSocket(raw, node.getHostString(), node.getPort(), true);
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      parameters.setProtocols(new String[] {"TLSv1.3"});
      socket.setSSLParameters(parameters);
      socket.startHandshake();
      raw.setSoTimeout(0);
      return new Tls(raw, socket.getInputStream(), socket.getOutputStream());
    } catch (IOException e) {
      raw.close();
      throw e;
    }
  }

  /** See {@link #plain}. */
  record Plain(SocketChannel channel) implements LinkChannel {
    private static final int BUFFERS_MAX = 1024;

    @Override
    public void write(ByteBuffer[] buffers) throws IOException {
      int first = 0;
      while (first < buffers.length) {
        channel.write(buffers, first, Math.min(BUFFERS_MAX, buffers.length - first));
        while (first < buffers.length && !buffers[first].hasRemaining()) {
          first++;
        }
      }
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
      return channel.read(into);
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }

  /** See {@link #tls}. */
  record Tls(Socket raw, InputStream in, OutputStream out) implements LinkChannel {
    private static final int COPY_BYTES = 64 << 10;

    @Override
    public void write(ByteBuffer[] buffers) throws IOException {
      byte[] copy = new byte[COPY_BYTES];
      int filled = 0;
      for (ByteBuffer buffer : buffers) {
        while (buffer.hasRemaining()) {
          int take = Math.min(buffer.remaining(), COPY_BYTES - filled);
          buffer.get(copy, filled, take);
          filled += take;
          if (filled == COPY_BYTES) {
            out.write(copy, 0, filled);
            filled = 0;
          }
        }
      }
      out.write(copy, 0, filled);
      out.flush();
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
      int read = in.read(into.array(), into.arrayOffset() + into.position(), into.remaining());
      if (read > 0) {
        into.position(into.position() + read);
      }
      return read;
    }

    /** Without TLS's farewell, which could wait for a writer that is stuck. */
    @Override
    public void close() throws IOException {
      raw.close();
    }
  }
}
