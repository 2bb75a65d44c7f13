package io.tidemark.nbd;

import io.tidemark.nbd.connection.Frames;
import io.tidemark.nbd.protocol.Nbd;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;

/** A plain NBD client with simple replies, one request at a time or pipelined by hand. */
public final class NbdTestClient implements AutoCloseable {
  private final SocketChannel socket;
  private final DataInputStream in;
  private long size;
  private long cookies;

  public NbdTestClient(NbdListenAddress address) throws IOException {
    if (address instanceof NbdListenAddress.Unix unix) {
      socket = SocketChannel.open(UnixDomainSocketAddress.of(unix.path()));
    } else {
      NbdListenAddress.Tcp tcp = (NbdListenAddress.Tcp) address;
      socket = SocketChannel.open(new InetSocketAddress(tcp.host(), tcp.port()));
    }
    in = new DataInputStream(Channels.newInputStream(socket));
  }

  public static NbdTestClient connect(NbdListenAddress address, String export) throws IOException {
    NbdTestClient client = new NbdTestClient(address);
    client.in.readFully(new byte[18]);
    client.send(new Frames().u32(3).option(Nbd.OPT_EXPORT_NAME, export.getBytes()));
    client.size = client.in.readLong();
    client.in.readUnsignedShort();
    return client;
  }

  public long size() {
    return size;
  }

  public SocketChannel socket() {
    return socket;
  }

  public DataInputStream in() {
    return in;
  }

  public void send(Frames frames) throws IOException {
    java.nio.ByteBuffer bytes = java.nio.ByteBuffer.wrap(frames.bytes());
    while (bytes.hasRemaining()) {
      socket.write(bytes);
    }
  }

  /** Sends one request and waits for its reply; returns the error, 0 for none. */
  public int call(int flags, int type, long offset, long length, byte[] out, byte[] into)
      throws IOException {
    long cookie = ++cookies;
    Frames frames = new Frames().request(flags, type, cookie, offset, length);
    if (out != null) {
      frames.raw(out);
    }
    send(frames);
    return reply(cookie, into);
  }

  public int reply(long cookie, byte[] into) throws IOException {
    if (in.readInt() != Nbd.SIMPLE_REPLY_MAGIC) {
      throw new IOException("not a simple reply");
    }
    int error = in.readInt();
    long answered = in.readLong();
    if (answered != cookie) {
      throw new IOException("reply to " + answered + " instead of " + cookie);
    }
    if (error == 0 && into != null) {
      in.readFully(into);
    }
    return error;
  }

  public int write(long offset, byte[] data) throws IOException {
    return call(0, Nbd.CMD_WRITE, offset, data.length, data, null);
  }

  public int read(long offset, byte[] into) throws IOException {
    return call(0, Nbd.CMD_READ, offset, into.length, null, into);
  }

  public int zero(long offset, long length) throws IOException {
    return call(0, Nbd.CMD_WRITE_ZEROES, offset, length, null, null);
  }

  public int trim(long offset, long length) throws IOException {
    return call(0, Nbd.CMD_TRIM, offset, length, null, null);
  }

  public int flush() throws IOException {
    return call(0, Nbd.CMD_FLUSH, 0, 0, null, null);
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
