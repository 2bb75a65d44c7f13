package io.tidemark.nbd;

import javax.net.ssl.SSLContext;

/**
 * TLS by STARTTLS.
 *
 * @param context the server's key and what it trusts
 * @param required refuse everything before STARTTLS (the specification's FORCEDTLS), else a client
 *     may choose (OPTIONALTLS)
 * @param clientCertificate whether the client must show a certificate that the context trusts
 */
public record NbdTls(SSLContext context, boolean required, boolean clientCertificate) {}
