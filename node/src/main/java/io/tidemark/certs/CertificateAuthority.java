package io.tidemark.certs;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.tls.TlsFiles;
import java.io.IOException;
import java.io.StringWriter;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/** Makes an authority and issues certificates with it. RSA, which every part of a node can use. */
final class CertificateAuthority {
  static final String KEY_FILE = "ca-key.pem";
  static final Duration AUTHORITY_LIFE = Duration.ofDays(3650);
  static final int DAYS_MAX = 3650;
  static final int HOSTS_MAX = 100;

  private static final int KEY_BITS = 3072;
  private static final int SERIAL_BITS = 128;
  private static final String SIGNATURE = "SHA256withRSA";

  /** What libnbd and QEMU call the same files. */
  private static final Map<String, String> ALIASES =
      Map.of(
          "ca-cert.pem", TlsFiles.AUTHORITY_FILE,
          "client-cert.pem", TlsFiles.CERTIFICATE_FILE,
          "client-key.pem", TlsFiles.KEY_FILE,
          "server-cert.pem", TlsFiles.CERTIFICATE_FILE,
          "server-key.pem", TlsFiles.KEY_FILE);

  /** Clocks differ. */
  private static final Duration BACKDATED = Duration.ofHours(1);

  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");
  private static final Pattern HOST = Pattern.compile("[A-Za-z0-9*][A-Za-z0-9.*-]{0,252}");
  private static final Pattern ADDRESS = Pattern.compile("[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*");
  private static final FileAttribute<?> PRIVATE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));
  private static final FileAttribute<?> PUBLIC =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-r--r--"));

  private final Path directory;
  private final Instant now;
  private final SecureRandom random = new SecureRandom();

  /**
   * @param directory where the authority's certificate and key are
   * @param now when what is issued begins
   */
  CertificateAuthority(Path directory, Instant now) {
    this.directory = directory;
    this.now = now;
  }

  /**
   * Makes the authority; gives its certificate's file.
   *
   * @throws Refusal {@code ALREADY_EXISTS} when there is one (CA1)
   */
  Path init(String name) {
    requireName(name);
    Path certificate = directory.resolve(TlsFiles.AUTHORITY_FILE);
    Path key = directory.resolve(KEY_FILE);
    refuseExisting(certificate, key);
    try {
      KeyPair pair = newKey();
      X500Name subject = commonName(name);
      JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
      JcaX509v3CertificateBuilder builder =
          new JcaX509v3CertificateBuilder(
              subject,
              serial(),
              Date.from(now.minus(BACKDATED)),
              Date.from(now.plus(AUTHORITY_LIFE)),
              subject,
              pair.getPublic());
      builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(0));
      builder.addExtension(
          Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign));
      builder.addExtension(
          Extension.subjectKeyIdentifier,
          false,
          extensions.createSubjectKeyIdentifier(pair.getPublic()));
      Files.createDirectories(directory);
      write(key, pem(new JcaPKCS8Generator(pair.getPrivate(), null)), PRIVATE);
      write(certificate, pem(sign(builder, pair.getPrivate())), PUBLIC);
      return certificate;
    } catch (GeneralSecurityException | OperatorCreationException | IOException e) {
      throw failed("the authority in " + directory + " was not made", e);
    }
  }

  /**
   * Issues a certificate into a directory of its own, as {@link TlsFiles#in} reads it.
   *
   * @param hosts names and addresses that the holder is reached at, at least one
   * @throws Refusal {@code NOT_FOUND} without an authority, {@code INVALID} for a name, host or
   *     life that cannot be, {@code ALREADY_EXISTS} when the files exist (CA1)
   */
  void issue(String name, List<String> hosts, int days, Path into) {
    requireName(name);
    if (hosts.isEmpty() || hosts.size() > HOSTS_MAX || days < 1 || days > DAYS_MAX) {
      throw new Refusal(
          ErrorCode.INVALID,
          "a certificate names 1 to %d hosts and lasts 1 to %d days"
              .formatted(HOSTS_MAX, DAYS_MAX));
    }
    GeneralName[] names =
        hosts.stream().map(CertificateAuthority::host).toArray(GeneralName[]::new);
    TlsFiles files = TlsFiles.in(into);
    refuseExisting(files.certificate(), files.key(), files.authority());
    try {
      X509Certificate authority = authority();
      PrivateKey signing = authorityKey();
      KeyPair pair = newKey();
      Date end = Date.from(now.plus(Duration.ofDays(days)));
      JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
      JcaX509v3CertificateBuilder builder =
          new JcaX509v3CertificateBuilder(
              authority,
              serial(),
              Date.from(now.minus(BACKDATED)),
              end.after(authority.getNotAfter()) ? authority.getNotAfter() : end,
              commonName(name),
              pair.getPublic());
      builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(false));
      builder.addExtension(
          Extension.keyUsage,
          true,
          new KeyUsage(KeyUsage.digitalSignature | KeyUsage.keyEncipherment));
      builder.addExtension(
          Extension.extendedKeyUsage,
          false,
          new ExtendedKeyUsage(
              new KeyPurposeId[] {KeyPurposeId.id_kp_serverAuth, KeyPurposeId.id_kp_clientAuth}));
      builder.addExtension(Extension.subjectAlternativeName, false, new GeneralNames(names));
      builder.addExtension(
          Extension.authorityKeyIdentifier,
          false,
          extensions.createAuthorityKeyIdentifier(authority));
      Files.createDirectories(into);
      write(files.key(), pem(new JcaPKCS8Generator(pair.getPrivate(), null)), PRIVATE);
      write(files.certificate(), pem(sign(builder, signing)), PUBLIC);
      write(files.authority(), Files.readAllBytes(authorityFile()), PUBLIC);
      for (Map.Entry<String, String> alias : ALIASES.entrySet()) {
        Files.createSymbolicLink(into.resolve(alias.getKey()), Path.of(alias.getValue()));
      }
    } catch (GeneralSecurityException | OperatorCreationException | IOException e) {
      throw failed("the certificate for '" + name + "' was not issued", e);
    }
  }

  private Path authorityFile() {
    return directory.resolve(TlsFiles.AUTHORITY_FILE);
  }

  private X509Certificate authority() throws IOException, GeneralSecurityException {
    if (parsed(authorityFile()) instanceof X509CertificateHolder holder) {
      return new JcaX509CertificateConverter().getCertificate(holder);
    }
    throw new Refusal(ErrorCode.INVALID, authorityFile() + " holds no certificate");
  }

  private PrivateKey authorityKey() throws IOException {
    Path file = directory.resolve(KEY_FILE);
    if (parsed(file) instanceof PrivateKeyInfo info) {
      return new JcaPEMKeyConverter().getPrivateKey(info);
    }
    throw new Refusal(ErrorCode.INVALID, file + " holds no unencrypted PKCS#8 key");
  }

  private Object parsed(Path file) throws IOException {
    if (!Files.isReadable(file)) {
      throw new Refusal(
          ErrorCode.NOT_FOUND,
          file + " cannot be read: make an authority with tidemark certs init " + directory);
    }
    try (PEMParser parser = new PEMParser(Files.newBufferedReader(file))) {
      return parser.readObject();
    }
  }

  private static GeneralName host(String host) {
    if (ADDRESS.matcher(host).matches()) {
      try {
        return new GeneralName(GeneralName.iPAddress, InetAddress.getByName(host).getHostAddress());
      } catch (java.net.UnknownHostException e) {
        throw new Refusal(
            ErrorCode.INVALID, Refusal.printable(host) + " is no address of a host", e);
      }
    }
    if (!HOST.matcher(host).matches()) {
      throw new Refusal(ErrorCode.INVALID, Refusal.printable(host) + " is no name of a host");
    }
    return new GeneralName(GeneralName.dNSName, host);
  }

  private static void requireName(String name) {
    if (!NAME.matcher(name).matches()) {
      throw new Refusal(
          ErrorCode.INVALID,
          Refusal.printable(name)
              + " is no name for a certificate: use 1 to 63 letters, digits, '.', '_' and '-'");
    }
  }

  private static X500Name commonName(String name) {
    return new X500NameBuilder(BCStyle.INSTANCE)
        .addRDN(BCStyle.O, "Tidemark")
        .addRDN(BCStyle.CN, name)
        .build();
  }

  private KeyPair newKey() throws GeneralSecurityException {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
    generator.initialize(KEY_BITS, random);
    return generator.generateKeyPair();
  }

  private BigInteger serial() {
    return new BigInteger(SERIAL_BITS, random).setBit(SERIAL_BITS);
  }

  private static X509CertificateHolder sign(JcaX509v3CertificateBuilder builder, PrivateKey key)
      throws OperatorCreationException {
    return builder.build(new JcaContentSignerBuilder(SIGNATURE).build(key));
  }

  private static byte[] pem(Object object) throws IOException {
    StringWriter text = new StringWriter();
    try (JcaPEMWriter writer = new JcaPEMWriter(text)) {
      writer.writeObject(object);
    }
    return text.toString().getBytes(StandardCharsets.US_ASCII);
  }

  /** Never over a file that exists, and with its mode from the first moment (CA1, CA2). */
  private static void write(Path file, byte[] content, FileAttribute<?> mode) throws IOException {
    try {
      Files.createFile(file, mode);
    } catch (FileAlreadyExistsException e) {
      throw existing(file);
    }
    Files.write(file, content, StandardOpenOption.WRITE, StandardOpenOption.SYNC);
  }

  private static void refuseExisting(Path... files) {
    for (Path file : files) {
      if (Files.exists(file)) {
        throw existing(file);
      }
    }
  }

  private static Refusal existing(Path file) {
    return new Refusal(
        ErrorCode.ALREADY_EXISTS, file + " exists and is left as it is: choose another directory");
  }

  private static Refusal failed(String what, Exception cause) {
    return new Refusal(ErrorCode.FAILED, what + ": " + cause.getMessage(), cause);
  }
}
