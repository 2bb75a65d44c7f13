package io.tidemark.witness;

import java.util.Optional;
import java.util.UUID;

/**
 * What an arbiter says of a plan's vote.
 *
 * @param site the arbiter's
 * @param armed whether the target may claim it at all
 * @param config of the automatic failover that it was armed for
 * @param claim by which the target has it; empty: it is the source's
 * @param silentMillis since the source was heard, or the arbiter started
 * @param heard whether the source was heard since then
 * @param promisedMillis how long it is still promised to the source, 0 for not
 * @param leaseMillis what a promise is worth when it is made
 * @param behindSeconds how far the target was behind when the source was heard
 */
public record ArbiterWord(
    String site,
    boolean armed,
    Optional<UUID> config,
    Optional<UUID> claim,
    long silentMillis,
    boolean heard,
    long promisedMillis,
    long leaseMillis,
    double behindSeconds) {}
