package io.tidemark.replication;

import io.tidemark.volume.VolumeEntity.Progress;
import io.tidemark.wan.PackCounts;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/**
 * What is known of one volume's way to the other site: how far source and target are, what is on
 * the way, and what it took. Thread-safe; outlives the lines.
 */
public final class LaneGauge {
  /** What was sent and is not acknowledged. */
  record Sent(
      long lastSeq,
      long eventNr,
      long firstMicros,
      long lastMicros,
      long rawBytes,
      boolean endsSync) {}

  /**
   * How things stand.
   *
   * @param connected whether a line is open
   * @param resyncing whether source and target are still to be compared
   * @param headSeq the source's newest write
   * @param headMicros its time
   * @param ackedSeq the newest write that the target holds
   * @param ackedMicros its time, 0 when it is not known
   * @param ackedEventNr the newest event that the target certainly knows, 0 when none is known
   * @param ackedRawBytes data of all writes up to it
   * @param lagBytes data that the target lacks
   * @param oldestMicros time of the oldest write that the target lacks, 0 when it has all
   * @param sourceMicros when the source was last heard of, 0 for never
   * @param targetMicros when the target was last heard of, 0 for never
   * @param sent what became of the data that was packed; a copy
   */
  public record Reading(
      boolean connected,
      boolean resyncing,
      long headSeq,
      long headMicros,
      long ackedSeq,
      long ackedMicros,
      long ackedEventNr,
      long ackedRawBytes,
      long lagBytes,
      long oldestMicros,
      long sourceMicros,
      long targetMicros,
      PackCounts sent) {}

  private final Deque<Sent> sent = new ArrayDeque<>();
  private final PackCounts counts = new PackCounts();
  private boolean connected;
  private boolean resync;
  private Progress progress;
  private long ackedParcels;
  private long ackedSeq;
  private long ackedMicros;
  private long ackedEventNr;

  /** Of the source's own count of data, what is not after the acknowledged write. */
  private long ackedRawBytes;

  private long sourceMicros;
  private long targetMicros;

  /** What was known before the node started. */
  public LaneGauge(
      long ackedSeq, long ackedMicros, long ackedEventNr, long ackedRawBytes, boolean resync) {
    this.resync = resync;
    this.ackedSeq = ackedSeq;
    this.ackedMicros = ackedMicros;
    this.ackedEventNr = ackedEventNr;
    this.ackedRawBytes = ackedRawBytes;
  }

  /** The source told how far it is. */
  synchronized void source(Progress newest, long nowMicros) {
    progress = newest;
    sourceMicros = nowMicros;
    if (newest.headSeq() == ackedSeq) {
      ackedRawBytes = newest.rawBytes();
      ackedMicros = newest.headMicros();
    }
  }

  /** The target let the line in at {@code seq}. */
  synchronized void granted(long seq, long micros, long nowMicros) {
    sent.clear();
    ackedParcels = 0;
    connected = true;
    if (seq != ackedSeq) {
      ackedEventNr = 0;
      ackedRawBytes = share(seq);
    }
    ackedSeq = seq;
    ackedMicros = micros;
    targetMicros = nowMicros;
  }

  /** Nobody knows how much data was written up to there; as if all writes were alike. */
  private long share(long seq) {
    return progress == null || progress.headSeq() == 0
        ? 0
        : (long) ((double) progress.rawBytes() * seq / Math.max(seq, progress.headSeq()));
  }

  public synchronized void ended() {
    connected = false;
    sent.clear();
  }

  /** Something is on its way. */
  synchronized void sent(Sent parcel) {
    sent.add(parcel);
  }

  /** The target said something. */
  synchronized void heard(long nowMicros) {
    targetMicros = nowMicros;
  }

  synchronized void packed(PackCounts more) {
    counts.add(more);
  }

  /** The target holds everything up to {@code seq}: so many parcels of this line. */
  synchronized void acknowledged(long seq, long parcels) {
    ackedSeq = Math.max(ackedSeq, seq);
    for (; ackedParcels < parcels && !sent.isEmpty(); ackedParcels++) {
      Sent first = sent.remove();
      ackedMicros = first.lastMicros() > 0 ? first.lastMicros() : ackedMicros;
      ackedRawBytes += first.rawBytes();
      ackedEventNr = first.eventNr() > 0 ? first.eventNr() : ackedEventNr;
      resync &= !first.endsSync();
    }
  }

  /** Source and target are to be compared with the next line. */
  public synchronized void orderResync() {
    resync = true;
  }

  /** They were compared and are equal. */
  synchronized void resynced() {
    resync = false;
  }

  synchronized boolean toResync() {
    return resync;
  }

  public synchronized long ackedSeq() {
    return ackedSeq;
  }

  public synchronized Optional<Progress> source() {
    return Optional.ofNullable(progress);
  }

  public synchronized Reading read() {
    long headSeq = progress == null ? ackedSeq : Math.max(ackedSeq, progress.headSeq());
    long oldest = 0;
    if (headSeq > ackedSeq) {
      oldest = sent.isEmpty() ? oldestUnsent() : sent.peek().firstMicros();
    }
    long rawBytes = progress == null ? ackedRawBytes : progress.rawBytes();
    PackCounts copy = new PackCounts();
    copy.add(counts);
    return new Reading(
        connected,
        resync,
        headSeq,
        progress == null ? ackedMicros : progress.headMicros(),
        ackedSeq,
        ackedMicros,
        ackedEventNr,
        ackedRawBytes,
        headSeq == ackedSeq ? 0 : Math.max(0, rawBytes - ackedRawBytes),
        oldest,
        sourceMicros,
        targetMicros,
        copy);
  }

  /**
   * The write after the acknowledged one is not older than that; without any, the head's is all.
   */
  private long oldestUnsent() {
    return ackedMicros > 0 ? ackedMicros : progress.headMicros();
  }
}
