package io.tidemark.tls;

import com.typesafe.config.Config;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Where a process finds its certificate, its key and its authority's certificate.
 *
 * @param authority PEM, one certificate or more: whom to trust
 * @param certificate PEM, the own certificate first, then those between it and the authority
 * @param key PEM, PKCS#8, not encrypted, readable by its owner only
 */
public record TlsFiles(Path authority, Path certificate, Path key) {
  /** File names in a directory that {@code tidemark certs issue} makes. */
  public static final String AUTHORITY_FILE = "ca.pem";

  public static final String CERTIFICATE_FILE = "cert.pem";
  public static final String KEY_FILE = "key.pem";

  private static final int FILE_BYTES_MAX = 1 << 20;
  private static final Pattern KEY =
      Pattern.compile("-----BEGIN PRIVATE KEY-----([^-]{1,65536})-----END PRIVATE KEY-----");
  private static final List<String> KEY_ALGORITHMS = List.of("RSA", "EC", "Ed25519");
  private static final Set<PosixFilePermission> OWNER =
      EnumSet.of(
          PosixFilePermission.OWNER_READ,
          PosixFilePermission.OWNER_WRITE,
          PosixFilePermission.OWNER_EXECUTE);

  /** The three files of a directory. */
  public static TlsFiles in(Path directory) {
    return new TlsFiles(
        directory.resolve(AUTHORITY_FILE),
        directory.resolve(CERTIFICATE_FILE),
        directory.resolve(KEY_FILE));
  }

  /**
   * Reads {@code tidemark.tls}.
   *
   * @return empty when nothing is set there
   * @throws Refusal {@code INVALID} when only some of the three are set
   */
  public static Optional<TlsFiles> of(Config config) {
    List<String> names = List.of("authority", "certificate", "key");
    List<String> values =
        names.stream().map(name -> config.getString("tidemark.tls." + name)).toList();
    if (values.stream().allMatch(String::isEmpty)) {
      return Optional.empty();
    }
    for (int i = 0; i < names.size(); i++) {
      if (values.get(i).isEmpty()) {
        throw new Refusal(
            ErrorCode.INVALID,
            "tidemark.tls.%s is missing: set authority, certificate and key, or none of them"
                .formatted(names.get(i)));
      }
    }
    return Optional.of(
        new TlsFiles(
            Path.of(values.get(0)).toAbsolutePath(),
            Path.of(values.get(1)).toAbsolutePath(),
            Path.of(values.get(2)).toAbsolutePath()));
  }

  /**
   * Reads the files; the context shows the certificate as server and as client and trusts the
   * authority alone (TLS2).
   *
   * @throws Refusal {@code INVALID} for a file that is missing or not what it should be, {@code
   *     FORBIDDEN} for a key that others may read (TLS1)
   */
  public SSLContext context() {
    requirePrivate(key);
    try {
      Collection<? extends Certificate> chain = certificates(certificate);
      KeyStore own = KeyStore.getInstance("PKCS12");
      own.load(null, null);
      own.setKeyEntry("own", privateKey(), new char[0], chain.toArray(Certificate[]::new));
      KeyManagerFactory keys =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      keys.init(own, new char[0]);
      KeyStore trusted = KeyStore.getInstance("PKCS12");
      trusted.load(null, null);
      int number = 0;
      for (Certificate each : certificates(authority)) {
        trusted.setCertificateEntry("authority-" + number++, each);
      }
      TrustManagerFactory trust =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(trusted);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(keys.getKeyManagers(), watched(trust), null);
      return context;
    } catch (GeneralSecurityException | IOException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          "the certificate %s and its key %s cannot be used together: %s"
              .formatted(certificate, key, e.getMessage()),
          e);
    }
  }

  private static TrustManager[] watched(TrustManagerFactory factory) {
    TrustManager[] managers = factory.getTrustManagers();
    for (int i = 0; i < managers.length; i++) {
      if (managers[i] instanceof X509ExtendedTrustManager trust) {
        managers[i] = new WatchedTrust(trust, TlsTroubles.PROCESS);
      }
    }
    return managers;
  }

  /**
   * How long the own certificate is good.
   *
   * @throws Refusal {@code INVALID} for a file that is missing or holds no certificate
   */
  public CertificateLife life() {
    try {
      X509Certificate own = (X509Certificate) certificates(certificate).iterator().next();
      return new CertificateLife(
          own.getSubjectX500Principal().getName(),
          own.getNotBefore().toInstant(),
          own.getNotAfter().toInstant());
    } catch (GeneralSecurityException e) {
      throw new Refusal(
          ErrorCode.INVALID, certificate + " holds no certificate: " + e.getMessage(), e);
    }
  }

  private PrivateKey privateKey() throws GeneralSecurityException {
    Matcher pem = KEY.matcher(new String(read(key), StandardCharsets.US_ASCII));
    if (!pem.find()) {
      throw new Refusal(
          ErrorCode.INVALID,
          key
              + " holds no unencrypted PKCS#8 key (-----BEGIN PRIVATE KEY-----): convert it with"
              + " openssl pkcs8 -topk8 -nocrypt");
    }
    byte[] encoded;
    try {
      encoded = Base64.getMimeDecoder().decode(pem.group(1));
    } catch (IllegalArgumentException e) {
      throw new Refusal(ErrorCode.INVALID, key + " is damaged: " + e.getMessage(), e);
    }
    for (String algorithm : KEY_ALGORITHMS) {
      Optional<PrivateKey> found = decode(algorithm, encoded);
      if (found.isPresent()) {
        return found.get();
      }
    }
    throw new Refusal(
        ErrorCode.INVALID, key + " is no key of a kind that is known: " + KEY_ALGORITHMS);
  }

  private static Optional<PrivateKey> decode(String algorithm, byte[] encoded)
      throws GeneralSecurityException {
    try {
      return Optional.of(
          KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(encoded)));
    } catch (InvalidKeySpecException otherKind) {
      return Optional.empty();
    }
  }

  private static Collection<? extends Certificate> certificates(Path file)
      throws GeneralSecurityException {
    Collection<? extends Certificate> found =
        CertificateFactory.getInstance("X.509")
            .generateCertificates(new ByteArrayInputStream(read(file)));
    if (found.isEmpty()) {
      throw new Refusal(ErrorCode.INVALID, file + " holds no certificate");
    }
    return found;
  }

  private static byte[] read(Path file) {
    try {
      if (Files.size(file) > FILE_BYTES_MAX) {
        throw new Refusal(
            ErrorCode.LIMIT, file + " is longer than " + FILE_BYTES_MAX + " bytes: no PEM file");
      }
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          file + " cannot be read; tidemark certs issue makes one: " + e.getMessage(),
          e);
    }
  }

  private static void requirePrivate(Path file) {
    try {
      Set<PosixFilePermission> given = Files.getPosixFilePermissions(file);
      if (!OWNER.containsAll(given)) {
        throw new Refusal(
            ErrorCode.FORBIDDEN,
            "the key " + file + " can be read by others on this machine: chmod 600 " + file);
      }
    } catch (IOException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          file + " cannot be read; tidemark certs issue makes one: " + e.getMessage(),
          e);
    }
  }
}
