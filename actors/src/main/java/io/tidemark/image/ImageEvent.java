package io.tidemark.image;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.serialization.TidemarkMessage;

/** What has happened to an image. */
public sealed interface ImageEvent extends TidemarkMessage {
  /** It was asked for; nothing is served yet. */
  @JsonTypeName("image-requested")
  record ImageRequested(ImageSpec spec) implements ImageEvent {}

  /**
   * Its node serves it, for the first time or at another address than before.
   *
   * @param uri where clients find it
   * @param openMillis from the request to ready, in milliseconds
   */
  @JsonTypeName("image-served")
  record ImageServed(String uri, long openMillis) implements ImageEvent {}

  /** It is to end: its node stops serving it and drops the overlay. */
  @JsonTypeName("image-closing")
  record ImageClosingBegan() implements ImageEvent {}

  /** Nothing of it is left. */
  @JsonTypeName("image-closed")
  record ImageClosed() implements ImageEvent {}
}
