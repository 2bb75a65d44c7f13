package io.tidemark.point;

import io.tidemark.position.MicroTime;
import io.tidemark.position.WriteSeq;

/**
 * A resolved recovery point.
 *
 * @param seq the state just after this write
 * @param time the write's timestamp; the volume's creation for seq 0
 * @param branch the line of history, {@code main} until a forced failover forks one
 */
public record RecoveryPoint(WriteSeq seq, MicroTime time, String branch) {
  public static final String MAIN_BRANCH = "main";
}
