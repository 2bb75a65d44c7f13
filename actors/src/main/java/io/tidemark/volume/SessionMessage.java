package io.tidemark.volume;

/** What a tap session's actor can be told; {@link VolumeEntity.Reply} is what the volume says. */
public interface SessionMessage {}
