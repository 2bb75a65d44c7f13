package io.tidemark.image;

import com.fasterxml.jackson.annotation.JsonTypeName;
import io.tidemark.image.ImageEvent.ImageClosed;
import io.tidemark.image.ImageEvent.ImageClosingBegan;
import io.tidemark.image.ImageEvent.ImageRequested;
import io.tidemark.image.ImageEvent.ImageServed;
import io.tidemark.serialization.TidemarkMessage;

/** An image's state and its transitions: pure, immutable; {@link #apply} never rejects. */
public sealed interface ImageState extends TidemarkMessage {
  /** Before the first event, and again once closed: the name is free. */
  @JsonTypeName("image-absent")
  record Absent() implements ImageState {}

  /** Asked for, not served yet. */
  @JsonTypeName("image-opening")
  record Opening(ImageSpec spec) implements ImageState {}

  /** Clients may use it; served again whenever its node starts. */
  @JsonTypeName("image-serving")
  record Serving(ImageSpec spec, String uri, long openMillis) implements ImageState {}

  /** Its node is to stop serving it and to drop the overlay. */
  @JsonTypeName("image-closing-state")
  record Closing(ImageSpec spec, String uri, long openMillis) implements ImageState {}

  ImageState EMPTY = new Absent();

  /** The state after the event; unchanged by an event that does not belong here. */
  default ImageState apply(ImageEvent event) {
    if (event instanceof ImageRequested e && this instanceof Absent) {
      return new Opening(e.spec());
    }
    if (event instanceof ImageServed e) {
      if (this instanceof Opening s) {
        return new Serving(s.spec(), e.uri(), e.openMillis());
      }
      if (this instanceof Serving s) {
        return new Serving(s.spec(), e.uri(), e.openMillis());
      }
    }
    if (event instanceof ImageClosingBegan) {
      if (this instanceof Opening s) {
        return new Closing(s.spec(), "", 0);
      }
      if (this instanceof Serving s) {
        return new Closing(s.spec(), s.uri(), s.openMillis());
      }
    }
    if (event instanceof ImageClosed && this instanceof Closing) {
      return EMPTY;
    }
    return this;
  }
}
