/**
 * The admin interface: HTTP with JSON under {@code /api/v1}, metrics, health and the console page.
 * {@code docs/http-api.yaml} is its contract and is served as {@code /openapi.yaml}.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>H1 Every answer that is no success is a problem document (RFC 9457) with a stable {@code
 *       code}, whatever was sent.
 *   <li>H2 Nothing of a request is read past a named limit.
 *   <li>H3 A page of another origin can change nothing: a changing request from a browser must come
 *       from the console itself.
 *   <li>H4 A changing request is answered with success only once the journal acknowledged it.
 * </ol>
 */
package io.tidemark.http;
