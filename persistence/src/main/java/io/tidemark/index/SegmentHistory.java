package io.tidemark.index;

import java.util.List;
import java.util.concurrent.CompletionStage;

/** The journal's segments as the index reads them: one volume's events by persistence id. */
public interface SegmentHistory {
  /** The segments whose events lie in {@code [fromEventNr, toEventNr]}, in order. */
  CompletionStage<List<SegmentEntry>> segments(long fromEventNr, long toEventNr);
}
