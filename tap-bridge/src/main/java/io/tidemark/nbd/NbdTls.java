package io.tidemark.nbd;

import javax.net.ssl.SSLContext;

/**
 * TLS by STARTTLS.
 *
 * @param context the server's key and what it trusts
 * @param required refuse everything before STARTTLS on TCP (the specification's FORCEDTLS), else a
 *     client may choose (OPTIONALTLS), as it always may on a Unix socket
 * @param clientCertificate whether the client must show a certificate that the context trusts
 */
public record NbdTls(SSLContext context, boolean required, boolean clientCertificate) {
  NbdTls optional() {
    return new NbdTls(context, false, clientCertificate);
  }
}
