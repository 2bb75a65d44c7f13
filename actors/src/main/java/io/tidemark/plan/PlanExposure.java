package io.tidemark.plan;

import io.tidemark.position.VolumeName;
import java.util.Optional;

/**
 * What a forced failover would lose of a volume now (P4).
 *
 * @param sourceSeq the source's last journaled write, -1 when its site does not answer
 * @param targetSeq the newest write that the target holds, -1 when it has no such volume
 * @param targetMicros its time, 0 for none
 * @param lostWrites writes that the target lacks; empty when they cannot be counted
 * @param lostBytes data of them; empty when it is not known
 * @param lostSeconds age of the oldest one; when the source does not answer, of the target's newest
 *     write, so that no more than so much is lost
 * @param problem why the volume would not be failed over without more
 */
public record PlanExposure(
    VolumeName volume,
    long sourceSeq,
    long targetSeq,
    long targetMicros,
    Optional<Long> lostWrites,
    Optional<Long> lostBytes,
    double lostSeconds,
    Optional<String> problem) {}
