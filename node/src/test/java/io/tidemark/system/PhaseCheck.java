package io.tidemark.system;

import com.fasterxml.jackson.databind.JsonNode;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Checks recovery points of one phase against the writers' models: image(n) is the phase's base
 * plus some prefix of each writer's writes, and the prefixes add up to n (J1). Images are opened
 * over the admin interface and read over NBD, as a user would.
 */
final class PhaseCheck {
  private final TestSite site;
  private final String volume;
  private final List<RegionWriter> writers;
  private final long baseSeq;
  private final List<RegionWriter.Follower> followers;

  PhaseCheck(TestSite site, String volume, List<RegionWriter> writers, long baseSeq) {
    this.site = site;
    this.volume = volume;
    this.writers = writers;
    this.baseSeq = baseSeq;
    this.followers = writers.stream().map(RegionWriter::follower).toList();
  }

  /** Checks the image of {@code seq}; call with rising seqs. */
  void point(long seq) throws Exception {
    point(seq, image("seq:" + seq, seq));
  }

  /** The same of an image that was read already. */
  void point(long seq, byte[] image) {
    long unexplained = seq - baseSeq;
    for (int i = 0; i < writers.size(); i++) {
      unexplained -= followers.get(i).follow(region(image, writers.get(i)), seq);
    }
    List<List<Integer>> invisible = new ArrayList<>();
    for (RegionWriter.Follower follower : followers) {
      invisible.add(follower.invisible(unexplained));
    }
    if (!sums(invisible, 0, unexplained)) {
      throw new AssertionError(
          "image of seq %d shows %d writes of this phase, expected %d; invisible may be %s"
              .formatted(seq, seq - baseSeq - unexplained, seq - baseSeq, invisible));
    }
  }

  /** Whether one number of each list from {@code first} on add up to {@code sum}. */
  private static boolean sums(List<List<Integer>> lists, int first, long sum) {
    if (first == lists.size()) {
      return sum == 0;
    }
    return lists.get(first).stream().anyMatch(n -> n <= sum && sums(lists, first + 1, sum - n));
  }

  /**
   * Checks that the moment of {@code seq} resolves to it, and the moment before to the one before.
   */
  void time(long seq) throws Exception {
    JsonNode point = site.client.point(volume, "seq:" + seq).orFail();
    JsonNode same = site.client.point(volume, "time:" + point.at("/at/time").asText()).orFail();
    if (same.at("/at/seq").asLong() != seq) {
      throw new AssertionError("the time of seq " + seq + " resolves to " + same);
    }
  }

  private byte[] image(String at, long seq) throws Exception {
    return read(site, volume, at, seq);
  }

  /** The whole content of a point, read over NBD. */
  static byte[] read(TestSite site, String volume, String at, long seq) throws Exception {
    JsonNode image = site.client.openImage(volume, at, false).orFail();
    if (seq >= 0 && image.at("/at/seq").asLong() != seq) {
      throw new AssertionError(at + " opened as " + image);
    }
    try (NbdClient client =
        NbdClient.connect(NbdUri.parse(image.at("/uri").asText()), site.tls())) {
      return client.read(0, Math.toIntExact(client.sizeBytes()));
    } finally {
      site.client.closeImage(image.at("/name").asText());
    }
  }

  static byte[] region(byte[] volume, RegionWriter writer) {
    int from = Math.toIntExact(writer.offset());
    return Arrays.copyOfRange(volume, from, from + writer.length());
  }
}
