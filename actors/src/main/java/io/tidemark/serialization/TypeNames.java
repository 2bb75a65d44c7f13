package io.tidemark.serialization;

import com.fasterxml.jackson.annotation.JsonTypeName;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigValue;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** The logical names of all types that may be read from bytes (Z3), and back. */
final class TypeNames {
  private final Map<String, Class<?>> classes = new HashMap<>();
  private final Map<Class<?>, String> names = new HashMap<>();

  private TypeNames() {}

  /**
   * @param roots an object whose values are class names of sealed interfaces or concrete classes
   * @throws IllegalArgumentException when a class is missing, has no name, or shares one
   */
  static TypeNames of(Config roots, ClassLoader loader) {
    TypeNames types = new TypeNames();
    for (ConfigValue root : roots.root().values()) {
      String className = String.valueOf(root.unwrapped());
      try {
        types.add(Class.forName(className, false, loader));
      } catch (ClassNotFoundException e) {
        throw new IllegalArgumentException(
            "tidemark.serialization.types lists a class that does not exist: " + className, e);
      }
    }
    return types;
  }

  private void add(Class<?> type) {
    if (type.isSealed()) {
      for (Class<?> permitted : type.getPermittedSubclasses()) {
        add(permitted);
      }
      return;
    }
    // A sealed protocol may have private members that never leave their actor.
    if (!TidemarkMessage.class.isAssignableFrom(type)) {
      return;
    }
    JsonTypeName name = type.getAnnotation(JsonTypeName.class);
    if (name == null) {
      throw new IllegalArgumentException(type + " has no @JsonTypeName");
    }
    Class<?> other = classes.put(name.value(), type);
    if (other != null && other != type) {
      throw new IllegalArgumentException(
          type + " and " + other + " share the name " + name.value());
    }
    names.put(type, name.value());
  }

  String nameOf(Class<?> type) {
    String name = names.get(type);
    if (name == null) {
      throw new IllegalArgumentException(type + " is not under tidemark.serialization.types");
    }
    return name;
  }

  Class<?> classOf(String name) {
    Class<?> type = classes.get(name);
    if (type == null) {
      throw new IllegalArgumentException("no type is named '" + name + "' in this version");
    }
    return type;
  }

  Set<String> all() {
    return new TreeSet<>(classes.keySet());
  }
}
