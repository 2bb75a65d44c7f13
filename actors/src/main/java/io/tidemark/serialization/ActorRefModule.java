package io.tidemark.serialization;

import akka.actor.ExtendedActorSystem;
import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorRefResolver;
import akka.actor.typed.javadsl.Adapter;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.deser.std.StdDeserializer;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import java.io.IOException;

/** Actor references travel as their full addresses. */
@SuppressWarnings("rawtypes")
final class ActorRefModule extends SimpleModule {
  private static final long serialVersionUID = 1L;

  ActorRefModule(ExtendedActorSystem system) {
    super("tidemark-actor-ref");
    addSerializer(ActorRef.class, new Writer(system));
    addDeserializer(ActorRef.class, new Reader(system));
  }

  private static ActorRefResolver resolver(ExtendedActorSystem system) {
    return ActorRefResolver.get(Adapter.toTyped(system));
  }

  private static final class Writer extends StdSerializer<ActorRef> {
    private static final long serialVersionUID = 1L;
    private final transient ExtendedActorSystem system;

    Writer(ExtendedActorSystem system) {
      super(ActorRef.class);
      this.system = system;
    }

    @Override
    public void serialize(ActorRef ref, JsonGenerator out, SerializerProvider provider)
        throws IOException {
      ActorRef<?> typed = ref;
      out.writeString(resolver(system).toSerializationFormat(typed));
    }
  }

  private static final class Reader extends StdDeserializer<ActorRef> {
    private static final long serialVersionUID = 1L;
    private final transient ExtendedActorSystem system;

    Reader(ExtendedActorSystem system) {
      super(ActorRef.class);
      this.system = system;
    }

    @Override
    public ActorRef deserialize(JsonParser in, DeserializationContext context) throws IOException {
      return resolver(system).resolveActorRef(in.getText());
    }
  }
}
