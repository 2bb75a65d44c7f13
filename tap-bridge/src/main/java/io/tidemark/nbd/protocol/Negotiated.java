package io.tidemark.nbd.protocol;

import io.tidemark.nbd.NbdExport;

/**
 * What a client and the server agreed on for the transmission phase.
 *
 * @param export the export, for as long as the connection lasts
 * @param structured replies in chunks
 * @param extended requests and replies with 64-bit lengths; implies structured
 * @param allocationContext id of {@code base:allocation}, 0 when it was not chosen
 * @param transport the stream to go on with: STARTTLS may have replaced the first one
 */
public record Negotiated(
    NbdExport export,
    boolean structured,
    boolean extended,
    int allocationContext,
    Transport transport) {}
