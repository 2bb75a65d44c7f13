package io.tidemark.http;

import java.util.regex.Pattern;

/**
 * Which Host headers are believed. A page that has its own name resolve to the loopback address
 * (DNS rebinding) sends that name; an address or {@code localhost} cannot be taken over so.
 */
final class HostNames {
  private static final Pattern IP_V4 = Pattern.compile("[0-9]{1,3}(\\.[0-9]{1,3}){3}");
  private static final Pattern IP_V6 = Pattern.compile("\\[?[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\\]?");

  private HostNames() {}

  static boolean trusted(String host) {
    return host.isEmpty()
        || host.equalsIgnoreCase("localhost")
        || IP_V4.matcher(host).matches()
        || IP_V6.matcher(host).matches();
  }
}
