package io.tidemark.tap;

import io.tidemark.capture.CaptureLimits;
import io.tidemark.hook.ApplicationsFile;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import io.tidemark.taplink.LinkSettings;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What a tap is told.
 *
 * @param volumes at least one, each name and each backing store once
 * @param listen where NBD clients connect, at least one
 * @param nodes where nodes accept tap links, tried in turn, unresolved; empty for no capture at
 *     all, which is refused for a backing store that was captured before
 * @param stateDirectory the state of volume N goes to its subdirectory N; empty for {@code
 *     FILE.tidemark} beside each backing file
 * @param memoryBytesMax unjournaled writes of all volumes that may be held in memory
 * @param limits of each volume's capture
 * @param nbd of the server
 * @param link of the tap link
 * @param drain how long a stop waits for the journal to take what is captured
 * @param applications of this host that tags may quiesce
 * @param fillBytesPerSecond of content that is compared or fetched in the background at most, of
 *     each volume whose backing store is filled from the journal; 0 for no limit
 */
public record TapSettings(
    List<VolumeSpec> volumes,
    List<NbdListenAddress> listen,
    List<InetSocketAddress> nodes,
    Optional<Path> stateDirectory,
    long memoryBytesMax,
    CaptureLimits limits,
    NbdServerSettings nbd,
    LinkSettings link,
    Duration drain,
    Optional<ApplicationsFile> applications,
    long fillBytesPerSecond) {
  public static final long MEMORY_BYTES_MAX = 64L << 20;
  public static final Duration DRAIN = Duration.ofSeconds(10);

  /** Leaves a disk and a node room for others. */
  public static final long FILL_BYTES_PER_SECOND = 200L << 20;

  public static final int LINK_PORT = 8471;
  public static final int VOLUMES_MAX = 64;

  /** Refuses with INVALID what cannot be served. */
  public TapSettings {
    volumes = List.copyOf(volumes);
    listen = List.copyOf(listen);
    nodes = List.copyOf(nodes);
    if (volumes.isEmpty() || volumes.size() > VOLUMES_MAX) {
      throw new Refusal(
          ErrorCode.INVALID, "a tap serves 1 to " + VOLUMES_MAX + " volumes: give --volume");
    }
    if (listen.isEmpty()) {
      throw new Refusal(ErrorCode.INVALID, "nowhere to listen: give unix:PATH or HOST:PORT");
    }
    Set<Object> seen = new HashSet<>();
    for (VolumeSpec volume : volumes) {
      if (!seen.add(volume.name()) || !seen.add(volume.backing().toAbsolutePath().normalize())) {
        throw new Refusal(
            ErrorCode.INVALID,
            "volume %s or its backing store %s is named twice"
                .formatted(volume.name(), volume.backing()));
      }
    }
  }

  /** The usual settings; the {@code with} methods change one each. */
  public static TapSettings of(
      List<VolumeSpec> volumes, List<NbdListenAddress> listen, List<InetSocketAddress> nodes) {
    return new TapSettings(
        volumes,
        listen,
        nodes,
        Optional.empty(),
        MEMORY_BYTES_MAX,
        CaptureLimits.defaults(),
        NbdServerSettings.defaults(),
        LinkSettings.defaults(),
        DRAIN,
        Optional.empty(),
        FILL_BYTES_PER_SECOND);
  }

  public TapSettings withStateDirectory(Path directory) {
    return new TapSettings(
        volumes,
        listen,
        nodes,
        Optional.of(directory),
        memoryBytesMax,
        limits,
        nbd,
        link,
        drain,
        applications,
        fillBytesPerSecond);
  }

  public TapSettings withBounds(long memoryBytes, long spillBytes) {
    return new TapSettings(
        volumes,
        listen,
        nodes,
        stateDirectory,
        memoryBytes,
        limits.withSpillBytesMax(spillBytes),
        nbd,
        link,
        drain,
        applications,
        fillBytesPerSecond);
  }

  public TapSettings withNbd(NbdServerSettings settings) {
    return new TapSettings(
        volumes,
        listen,
        nodes,
        stateDirectory,
        memoryBytesMax,
        limits,
        settings,
        link,
        drain,
        applications,
        fillBytesPerSecond);
  }

  public TapSettings withLink(LinkSettings settings) {
    return new TapSettings(
        volumes,
        listen,
        nodes,
        stateDirectory,
        memoryBytesMax,
        limits,
        nbd,
        settings,
        drain,
        applications,
        fillBytesPerSecond);
  }

  public TapSettings withDrain(Duration most) {
    return new TapSettings(
        volumes,
        listen,
        nodes,
        stateDirectory,
        memoryBytesMax,
        limits,
        nbd,
        link,
        most,
        applications,
        fillBytesPerSecond);
  }

  public TapSettings withApplications(ApplicationsFile file) {
    return new TapSettings(
        volumes,
        listen,
        nodes,
        stateDirectory,
        memoryBytesMax,
        limits,
        nbd,
        link,
        drain,
        Optional.of(file),
        fillBytesPerSecond);
  }

  public TapSettings withFillRate(long bytesPerSecond) {
    return new TapSettings(
        volumes,
        listen,
        nodes,
        stateDirectory,
        memoryBytesMax,
        limits,
        nbd,
        link,
        drain,
        applications,
        bytesPerSecond);
  }

  /**
   * Reads {@code HOST:PORT} or {@code HOST}, an IPv6 address in brackets; resolved when used.
   *
   * @throws Refusal INVALID for anything else
   */
  public static InetSocketAddress node(String text) {
    String host = text;
    int port = LINK_PORT;
    int colon = text.lastIndexOf(':');
    if (colon >= 0 && !text.endsWith("]")) {
      host = text.substring(0, colon);
      String digits = text.substring(colon + 1);
      port = digits.matches("[0-9]{1,5}") ? Integer.parseInt(digits) : -1;
    }
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    }
    if (host.isEmpty() || port < 1 || port > NbdListenAddress.PORT_MAX) {
      throw new Refusal(
          ErrorCode.INVALID,
          "'" + Refusal.printable(text) + "' is no node: give HOST:PORT of its tap link");
    }
    return InetSocketAddress.createUnresolved(host, port);
  }

  /** Everything of the tap's own that a frozen file system would keep it from writing. */
  Set<Path> ownFiles() {
    Set<Path> own = new HashSet<>();
    stateDirectory.ifPresent(own::add);
    for (VolumeSpec volume : volumes) {
      // A device node says nothing about where its bytes are.
      if (Files.isRegularFile(volume.backing())) {
        own.add(volume.backing());
      }
    }
    return own;
  }

  Path stateOf(VolumeSpec volume, boolean file) {
    if (stateDirectory.isPresent()) {
      return stateDirectory.get().resolve(volume.name().value());
    }
    if (!file) {
      throw new Refusal(
          ErrorCode.INVALID,
          volume.backing()
              + " is no plain file, and beside a device nothing can be kept: say with --state DIR"
              + " where the tap keeps its marks, on a disk that survives a restart");
    }
    Path path = volume.backing().toAbsolutePath();
    return path.resolveSibling(path.getFileName() + ".tidemark");
  }
}
