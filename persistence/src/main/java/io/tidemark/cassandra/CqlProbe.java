package io.tidemark.cassandra;

import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;

/** Asks a Cassandra whether it serves clients: OPTIONS, answered by SUPPORTED. */
final class CqlProbe {
  private static final int TIMEOUT_MILLIS = 2000;
  private static final byte REQUEST_V4 = 0x04;
  private static final int RESPONSE_V4 = 0x84;
  private static final byte OPTIONS = 0x05;
  private static final int SUPPORTED = 0x06;

  private CqlProbe() {}

  static boolean answers(InetSocketAddress address) {
    try (Socket socket = new Socket()) {
      socket.connect(address, TIMEOUT_MILLIS);
      socket.setSoTimeout(TIMEOUT_MILLIS);
      // version, flags, stream (2), opcode, length (4)
      socket.getOutputStream().write(new byte[] {REQUEST_V4, 0, 0, 0, OPTIONS, 0, 0, 0, 0});
      DataInputStream in = new DataInputStream(socket.getInputStream());
      int version = in.readUnsignedByte();
      in.skipNBytes(3);
      return version == RESPONSE_V4 && in.readUnsignedByte() == SUPPORTED;
    } catch (IOException e) {
      return false;
    }
  }
}
