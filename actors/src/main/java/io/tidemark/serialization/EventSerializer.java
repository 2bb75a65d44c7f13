package io.tidemark.serialization;

import akka.actor.ExtendedActorSystem;
import akka.serialization.SerializerWithStringManifest;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.dataformat.cbor.databind.CBORMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Set;

/**
 * CBOR through Jackson with a logical name as manifest (Z1). Akka's own Jackson serializer stores
 * the class name, which would tie the journal to today's packages.
 */
public final class EventSerializer extends SerializerWithStringManifest {
  /** Stored with every event: never changes. */
  public static final int IDENTIFIER = 84_701;

  private final ObjectMapper mapper;
  private final TypeNames types;

  /** Called by Akka. */
  public EventSerializer(ExtendedActorSystem system) {
    this.types =
        TypeNames.of(
            system.settings().config().getConfig("tidemark.serialization.types"),
            system.dynamicAccess().classLoader());
    this.mapper =
        CBORMapper.builder()
            .addModule(new Jdk8Module())
            .addModule(new ActorRefModule(system))
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .disable(SerializationFeature.FAIL_ON_EMPTY_BEANS)
            .build();
  }

  /** Every name that this version reads. */
  public Set<String> typeNames() {
    return types.all();
  }

  @Override
  public int identifier() {
    return IDENTIFIER;
  }

  @Override
  public String manifest(Object message) {
    return types.nameOf(message.getClass());
  }

  /** The name under which instances of that class are stored. */
  public String manifestOf(Class<?> type) {
    return types.nameOf(type);
  }

  @Override
  public byte[] toBinary(Object message) {
    try {
      return mapper.writeValueAsBytes(message);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("cannot serialize " + message.getClass(), e);
    }
  }

  @Override
  public Object fromBinary(byte[] bytes, String manifest) {
    try {
      return mapper.readValue(bytes, types.classOf(manifest));
    } catch (IOException e) {
      throw new UncheckedIOException("damaged or incompatible bytes of a '" + manifest + "'", e);
    }
  }
}
