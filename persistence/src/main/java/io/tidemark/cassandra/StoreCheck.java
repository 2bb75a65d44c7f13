package io.tidemark.cassandra;

import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.Key;
import java.security.KeyStore;
import java.util.Collections;

/** Opens stores of keys and certificates when the settings are read, long before TLS needs them. */
final class StoreCheck {
  private StoreCheck() {}

  /**
   * @param withKey whether it is to hold a private key, else a certificate to trust
   * @throws Refusal {@code INVALID} that names the setting
   */
  static void require(CassandraSettings.Store store, String setting, boolean withKey) {
    char[] password = store.password().toCharArray();
    try {
      KeyStore keys = KeyStore.getInstance(store.path().toFile(), password);
      boolean found = false;
      for (String alias : Collections.list(keys.aliases())) {
        if (withKey && keys.isKeyEntry(alias)) {
          Key key = keys.getKey(alias, password);
          found |= key != null;
        }
        found |= !withKey && keys.isCertificateEntry(alias);
      }
      if (!found) {
        throw refusal(
            store,
            setting,
            withKey
                ? "holds no private key: import the client's key and its certificate"
                : "holds no certificate to trust: import that of your authority (keytool"
                    + " -importcert)",
            null);
      }
    } catch (IOException | GeneralSecurityException e) {
      throw refusal(
          store,
          setting,
          "cannot be opened with the password of %s-password-file (%s): it must be JKS or PKCS#12"
              .formatted(setting, e.getMessage()),
          e);
    }
  }

  private static Refusal refusal(
      CassandraSettings.Store store, String setting, String what, Exception cause) {
    return new Refusal(
        ErrorCode.INVALID,
        "%s: '%s' %s".formatted(setting, Refusal.printable(store.path().toString()), what),
        cause);
  }
}
