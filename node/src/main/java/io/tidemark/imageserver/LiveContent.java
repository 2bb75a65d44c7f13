package io.tidemark.imageserver;

import java.nio.ByteBuffer;
import java.util.concurrent.CompletionStage;

/** What an image holds now, for readers inside the node. */
public interface LiveContent {
  long sizeBytes();

  /** Requests that changed it since it is served here. */
  long changes();

  /** The bytes of a range inside the image; fails as a client's read does. */
  CompletionStage<ByteBuffer> read(long offset, int length);
}
