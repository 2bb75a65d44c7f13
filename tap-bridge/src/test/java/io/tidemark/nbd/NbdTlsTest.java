package io.tidemark.nbd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.nbd.connection.Frames;
import io.tidemark.nbd.protocol.Nbd;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Base64;
import java.util.Random;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** STARTTLS with a certificate made by keytool. */
class NbdTlsTest {
  private static final char[] PASSWORD = "changeit".toCharArray();
  private static final NbdListenAddress ANY_PORT = NbdListenAddress.parse("127.0.0.1:0");
  @TempDir Path dir;
  private final MemoryExport disk = new MemoryExport("disk", 4 << 20, false, 1);
  private SSLContext context;
  private KeyStore keys;

  @BeforeEach
  void createCertificate() throws Exception {
    Path store = dir.resolve("keys.p12");
    String keytool = Path.of(System.getProperty("java.home"), "bin", "keytool").toString();
    Process made =
        new ProcessBuilder(
                keytool,
                "-genkeypair",
                "-alias",
                "k",
                "-keyalg",
                "EC",
                "-dname",
                "CN=localhost",
                "-ext",
                "SAN=dns:localhost,ip:127.0.0.1",
                "-ext",
                "BC=ca:true",
                "-validity",
                "30",
                "-storetype",
                "PKCS12",
                "-keystore",
                store.toString(),
                "-storepass",
                new String(PASSWORD))
            .redirectErrorStream(true)
            .redirectOutput(dir.resolve("keytool.log").toFile())
            .start();
    assertEquals(0, made.waitFor(), "keytool");
    keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(store)) {
      keys.load(in, PASSWORD);
    }
    KeyManagerFactory own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    own.init(keys, PASSWORD);
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    trusted.setCertificateEntry("ca", keys.getCertificate("k"));
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    context = SSLContext.getInstance("TLS");
    context.init(own.getKeyManagers(), trust.getTrustManagers(), null);
  }

  private NbdServer start(boolean required, boolean clientCertificate) {
    NbdServerSettings settings =
        NbdServerSettings.defaults().withTls(new NbdTls(context, required, clientCertificate));
    return NbdServer.start(ANY_PORT, MemoryExport.exports(disk), settings);
  }

  private static byte[] optionReply(DataInputStream in, int type) throws IOException {
    assertEquals(Nbd.OPTION_REPLY_MAGIC, in.readLong());
    in.readInt();
    assertEquals(type, in.readInt());
    byte[] data = new byte[in.readInt()];
    in.readFully(data);
    return data;
  }

  @Test
  void shouldServeEncrypted() throws Exception {
    try (NbdServer server = start(true, true);
        Socket plain = new Socket("127.0.0.1", port(server))) {
      DataInputStream in = new DataInputStream(plain.getInputStream());
      in.readFully(new byte[18]);
      plain
          .getOutputStream()
          .write(new Frames().u32(3).option(Nbd.OPT_LIST).option(Nbd.OPT_STARTTLS).bytes());
      optionReply(in, Nbd.REP_ERR_TLS_REQD);
      optionReply(in, Nbd.REP_ACK);
      try (SSLSocket tls =
          (SSLSocket) context.getSocketFactory().createSocket(plain, "localhost", 0, true)) {
        DataInputStream secret = new DataInputStream(tls.getInputStream());
        tls.getOutputStream()
            .write(new Frames().option(Nbd.OPT_STARTTLS).info(Nbd.OPT_GO, "disk").bytes());
        optionReply(secret, Nbd.REP_ERR_INVALID);
        optionReply(secret, Nbd.REP_INFO);
        optionReply(secret, Nbd.REP_ACK);
        byte[] data = new byte[1_500_000];
        new Random(1).nextBytes(data);
        tls.getOutputStream()
            .write(new Frames().request(0, Nbd.CMD_WRITE, 1, 7, data.length).raw(data).bytes());
        assertEquals(Nbd.SIMPLE_REPLY_MAGIC, secret.readInt());
        assertEquals(0, secret.readInt());
        secret.readLong();
        tls.getOutputStream()
            .write(new Frames().request(0, Nbd.CMD_READ, 2, 7, data.length).bytes());
        secret.readFully(new byte[16]);
        byte[] back = new byte[data.length];
        secret.readFully(back);
        assertArrayEquals(data, back);
      }
    }
  }

  @Test
  void shouldRefuseExportsInClearTextWhenTlsIsRequired() throws Exception {
    try (NbdServer server = start(true, false)) {
      assertThrows(
          IOException.class, () -> NbdTestClient.connect(server.addresses().get(0), "disk"));
    }
    try (NbdServer server = start(false, false);
        NbdTestClient client = NbdTestClient.connect(server.addresses().get(0), "disk")) {
      assertEquals(0, client.flush(), "optional means optional");
    }
  }

  /** What is sent in clear text right behind STARTTLS must not be taken for an encrypted option. */
  @Test
  void shouldNotTakeInjectedOptions() throws Exception {
    try (NbdServer server = start(true, false);
        Socket plain = new Socket("127.0.0.1", port(server))) {
      DataInputStream in = new DataInputStream(plain.getInputStream());
      in.readFully(new byte[18]);
      plain
          .getOutputStream()
          .write(
              new Frames()
                  .u32(3)
                  .option(Nbd.OPT_STARTTLS)
                  .option(Nbd.OPT_EXPORT_NAME, "disk".getBytes())
                  .bytes());
      optionReply(in, Nbd.REP_ACK);
      byte[] rest = in.readAllBytes();
      assertTrue(rest.length < 100, "at most a TLS alert");
    }
  }

  /** libnbd's own TLS, when this machine has it. */
  @Test
  void shouldServeLibnbdEncrypted() throws Exception {
    RealClient.requires("nbdinfo");
    Path certificates = Files.createDirectory(dir.resolve("tls"));
    String pem = pem("CERTIFICATE", keys.getCertificate("k").getEncoded());
    Files.writeString(certificates.resolve("ca-cert.pem"), pem);
    try (NbdServer server = start(true, false)) {
      String uri = "nbds://localhost:" + port(server) + "/disk?tls-certificates=" + certificates;
      String answer = RealClient.run("nbdinfo", uri);
      assertTrue(answer.contains("with TLS"), answer);
      assertTrue(answer.contains("export-size: 4194304"), answer);
      RealClient.Outcome plain =
          RealClient.attempt("nbdinfo", "nbd://localhost:" + port(server) + "/disk");
      assertTrue(plain.exit() != 0, plain.output());
    }
  }

  private static String pem(String kind, byte[] der) {
    String body = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der);
    return "-----BEGIN " + kind + "-----\n" + body + "\n-----END " + kind + "-----\n";
  }

  private static int port(NbdServer server) {
    return ((NbdListenAddress.Tcp) server.addresses().get(0)).port();
  }
}
