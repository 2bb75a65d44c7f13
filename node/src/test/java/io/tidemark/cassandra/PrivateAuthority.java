package io.tidemark.cassandra;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.Key;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A certificate authority of the test's own, and what it signs; every store has one password. */
public final class PrivateAuthority {
  public static final String PASSWORD = "storesecret";
  private static final String ALIAS = "k";

  private final Path directory;
  private final Path keys;
  private final Certificate certificate;

  /** Makes an authority; takes about a second. */
  public PrivateAuthority(Path directory) throws Exception {
    this.directory = Files.createDirectories(directory);
    this.keys = directory.resolve("authority.p12");
    generate(keys, "CN=Test authority of " + directory.getFileName(), "-ext", "BC=ca:true");
    this.certificate = load(keys).getCertificate(ALIAS);
    Path password = Files.writeString(passwordFile(), PASSWORD + "\n");
    Files.setPosixFilePermissions(password, PosixFilePermissions.fromString("rw-------"));
  }

  /** The stores' password, readable for the owner alone. */
  public Path passwordFile() {
    return directory.resolve("password");
  }

  /** A store with this authority's certificate and nothing else. */
  public Path truststore() throws Exception {
    KeyStore store = empty();
    store.setCertificateEntry("authority", certificate);
    return save(store, directory.resolve("trust.p12"));
  }

  /**
   * A key with a certificate that this authority has signed.
   *
   * @param extensions as keytool takes them, such as {@code SAN=ip:127.0.0.1}
   */
  public Path keystore(String name, String... extensions) throws Exception {
    Path own = directory.resolve(name + ".p12");
    Path request = directory.resolve(name + ".csr");
    Path signed = directory.resolve(name + ".crt");
    generate(own, "CN=" + name);
    keytool(own, "-certreq", "-alias", ALIAS, "-file", request.toString());
    List<String> sign = new ArrayList<>(List.of("-gencert", "-alias", ALIAS, "-validity", "30"));
    sign.addAll(List.of("-infile", request.toString(), "-outfile", signed.toString()));
    for (String extension : extensions) {
      sign.addAll(List.of("-ext", extension));
    }
    keytool(keys, sign.toArray(String[]::new));
    KeyStore store = load(own);
    Key key = store.getKey(ALIAS, PASSWORD.toCharArray());
    try (InputStream in = Files.newInputStream(signed)) {
      Certificate leaf = CertificateFactory.getInstance("X.509").generateCertificate(in);
      Certificate[] chain = {leaf, certificate};
      store.setKeyEntry(ALIAS, key, PASSWORD.toCharArray(), chain);
    }
    return save(store, own);
  }

  private static void generate(Path store, String name, String... more) throws Exception {
    List<String> arguments = new ArrayList<>(List.of("-genkeypair", "-alias", ALIAS));
    arguments.addAll(List.of("-keyalg", "EC", "-dname", name, "-validity", "30"));
    arguments.addAll(List.of(more));
    keytool(store, arguments.toArray(String[]::new));
  }

  private static void keytool(Path store, String... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
    command.addAll(List.of(arguments));
    command.addAll(List.of("-storetype", "PKCS12", "-keystore", store.toString()));
    command.addAll(List.of("-storepass", PASSWORD));
    Path log = Path.of(store + ".log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    if (!process.waitFor(60, TimeUnit.SECONDS) || process.exitValue() != 0) {
      throw new IOException("keytool " + arguments[0] + ": " + Files.readString(log));
    }
  }

  private static KeyStore empty() throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    return store;
  }

  private static KeyStore load(Path path) throws GeneralSecurityException, IOException {
    return KeyStore.getInstance(path.toFile(), PASSWORD.toCharArray());
  }

  private static Path save(KeyStore store, Path path) throws GeneralSecurityException, IOException {
    try (OutputStream out = Files.newOutputStream(path)) {
      store.store(out, PASSWORD.toCharArray());
    }
    return path;
  }
}
