package io.tidemark.nbd.client;

import io.tidemark.nbd.protocol.PlainTransport;
import io.tidemark.nbd.protocol.TlsTransport;
import io.tidemark.nbd.protocol.Transport;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;

/**
 * One connection to one export, fixed newstyle with simple replies (NBD protocol specification).
 * Not thread-safe; a protected host with several writers opens several.
 */
public final class NbdClient implements Closeable {
  private static final long MAGIC = 0x4e42444d41474943L;
  private static final long OPTION_MAGIC = 0x49484156454f5054L;
  private static final long OPTION_REPLY_MAGIC = 0x3e889045565a9L;
  private static final int REQUEST_MAGIC = 0x25609513;
  private static final int REPLY_MAGIC = 0x67446698;
  private static final int OPTION_STARTTLS = 5;
  private static final int OPTION_GO = 7;
  private static final int REPLY_ACK = 1;
  private static final int REPLY_INFO = 3;
  private static final int OPTION_REPLY_BYTES_MAX = 64 << 10;
  private static final int COMMAND_READ = 0;
  private static final int COMMAND_WRITE = 1;
  private static final int COMMAND_DISCONNECT = 2;
  private static final int COMMAND_FLUSH = 3;
  private static final int COMMAND_TRIM = 4;
  private static final int COMMAND_WRITE_ZEROES = 6;
  private static final int FLAG_FUA = 1;
  private static final int FLAG_NO_HOLE = 2;

  private final ByteBuffer header = ByteBuffer.allocate(64);
  private final ByteBuffer[] parts = new ByteBuffer[2];
  private Transport transport;
  private long sizeBytes;
  private int transmissionFlags;
  private long cookie;

  private NbdClient(Transport transport) {
    this.transport = transport;
  }

  /** Connects and enters the transmission phase; fails when the server refuses the export. */
  public static NbdClient connect(NbdUri uri) throws IOException {
    return connect(uri, Optional.empty());
  }

  /**
   * As above, encrypted when the URI says so.
   *
   * @param tls the own certificate and whom to trust; the server's must name the URI's host
   */
  public static NbdClient connect(NbdUri uri, Optional<SSLContext> tls) throws IOException {
    if (uri.tls() && tls.isEmpty()) {
      throw new IOException("the server asks for TLS, and there is no certificate to show");
    }
    SocketChannel channel = open(uri.address());
    try {
      NbdClient client = new NbdClient(new PlainTransport(channel));
      client.greet();
      if (uri.tls()) {
        client.encrypt(tls.get(), (InetSocketAddress) uri.address());
      }
      client.go(uri.export());
      return client;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private static SocketChannel open(SocketAddress address) throws IOException {
    SocketChannel channel = SocketChannel.open(address);
    if (address instanceof InetSocketAddress) {
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    }
    return channel;
  }

  private void greet() throws IOException {
    ByteBuffer greeting = receive(18);
    if (greeting.getLong() != MAGIC || greeting.getLong() != OPTION_MAGIC) {
      throw new IOException("not an NBD server of the fixed newstyle");
    }
    sendAll(ByteBuffer.allocate(4).putInt(3).flip());
  }

  private void encrypt(SSLContext context, InetSocketAddress server) throws IOException {
    sendAll(ByteBuffer.allocate(16).putLong(OPTION_MAGIC).putInt(OPTION_STARTTLS).putInt(0).flip());
    awaitAck("TLS");
    SSLEngine engine = context.createSSLEngine(server.getHostString(), server.getPort());
    engine.setUseClientMode(true);
    SSLParameters parameters = engine.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    engine.setSSLParameters(parameters);
    TlsTransport encrypted = new TlsTransport(transport, engine);
    encrypted.handshake();
    transport = encrypted;
  }

  private void go(String export) throws IOException {
    byte[] name = export.getBytes(StandardCharsets.UTF_8);
    ByteBuffer go = ByteBuffer.allocate(16 + 4 + name.length + 2);
    go.putLong(OPTION_MAGIC).putInt(OPTION_GO).putInt(4 + name.length + 2);
    go.putInt(name.length).put(name).putShort((short) 0).flip();
    sendAll(go);
    awaitAck("export '" + export + "'");
  }

  private void awaitAck(String asked) throws IOException {
    while (true) {
      ByteBuffer reply = receive(20);
      if (reply.getLong() != OPTION_REPLY_MAGIC) {
        throw new IOException("the server's option reply has a wrong magic");
      }
      reply.getInt();
      int type = reply.getInt();
      int length = reply.getInt();
      if (length < 0 || length > OPTION_REPLY_BYTES_MAX) {
        throw new IOException("the server's option reply is too long: " + length);
      }
      ByteBuffer body = ByteBuffer.allocate(length);
      receiveInto(body);
      if (type == REPLY_ACK) {
        return;
      }
      if (type < 0) {
        String text = StandardCharsets.UTF_8.decode(body).toString();
        throw new NbdClientException(type & 0xffff, "the server refused " + asked + ": " + text);
      }
      if (type == REPLY_INFO && body.getShort() == 0) {
        sizeBytes = body.getLong();
        transmissionFlags = body.getShort() & 0xffff;
      }
    }
  }

  /** The export's size. */
  public long sizeBytes() {
    return sizeBytes;
  }

  public boolean readOnly() {
    return (transmissionFlags & 2) != 0;
  }

  /** Reads {@code into.remaining()} bytes and flips nothing: the buffer ends up full. */
  public void read(long offset, ByteBuffer into) throws IOException {
    request(COMMAND_READ, 0, offset, into.remaining(), null);
    receiveInto(into, false);
  }

  public byte[] read(long offset, int length) throws IOException {
    byte[] bytes = new byte[length];
    read(offset, ByteBuffer.wrap(bytes));
    return bytes;
  }

  public void write(long offset, ByteBuffer data) throws IOException {
    request(COMMAND_WRITE, 0, offset, data.remaining(), data);
  }

  /** Writes and returns once the data is on stable storage. */
  public void writeThrough(long offset, ByteBuffer data) throws IOException {
    request(COMMAND_WRITE, FLAG_FUA, offset, data.remaining(), data);
  }

  public void trim(long offset, int length) throws IOException {
    request(COMMAND_TRIM, 0, offset, length, null);
  }

  public void zero(long offset, int length, boolean keepAllocated) throws IOException {
    request(COMMAND_WRITE_ZEROES, keepAllocated ? FLAG_NO_HOLE : 0, offset, length, null);
  }

  public void flush() throws IOException {
    request(COMMAND_FLUSH, 0, 0, 0, null);
  }

  private void request(int command, int flags, long offset, int length, ByteBuffer data)
      throws IOException {
    send(command, flags, offset, length, data);
    ByteBuffer reply = receive(16);
    int magic = reply.getInt();
    int error = reply.getInt();
    long answered = reply.getLong();
    if (magic != REPLY_MAGIC || answered != cookie) {
      throw new IOException("the server's reply is not one to this request");
    }
    if (error != 0) {
      throw new NbdClientException(
          error,
          "NBD command %d at %d+%d failed: error %d".formatted(command, offset, length, error));
    }
  }

  private void send(int command, int flags, long offset, int length, ByteBuffer data)
      throws IOException {
    cookie++;
    header.clear();
    header.putInt(REQUEST_MAGIC).putShort((short) flags).putShort((short) command);
    header.putLong(cookie).putLong(offset).putInt(length).flip();
    if (data == null) {
      sendAll(header);
      return;
    }
    parts[0] = header;
    parts[1] = data.duplicate();
    transport.write(parts, 2);
  }

  private void sendAll(ByteBuffer bytes) throws IOException {
    parts[0] = bytes;
    transport.write(parts, 1);
  }

  private ByteBuffer receive(int length) throws IOException {
    header.clear().limit(length);
    receiveInto(header);
    return header;
  }

  private void receiveInto(ByteBuffer buffer) throws IOException {
    receiveInto(buffer, true);
  }

  private void receiveInto(ByteBuffer buffer, boolean flip) throws IOException {
    while (buffer.hasRemaining()) {
      if (transport.read(buffer) < 0) {
        throw new EOFException("the server closed the connection");
      }
    }
    if (flip) {
      buffer.flip();
    }
  }

  /** Says goodbye and closes; an answer is not expected. */
  @Override
  public void close() throws IOException {
    try {
      send(COMMAND_DISCONNECT, 0, 0, 0, null);
    } finally {
      transport.close();
    }
  }

  /** Closes without a word, as a host does that loses its power. */
  public void abort() throws IOException {
    transport.close();
  }
}
