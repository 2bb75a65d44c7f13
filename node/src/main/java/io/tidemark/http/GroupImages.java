package io.tidemark.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.group.Groups;
import io.tidemark.image.ImageSummary;
import io.tidemark.image.Images;
import io.tidemark.image.OpenImage;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Images of all volumes of a group at one point: all of them, or none. */
final class GroupImages {
  private static final Logger LOG = LoggerFactory.getLogger(GroupImages.class);

  private final Groups groups;
  private final Images images;

  GroupImages(Groups groups, Images images) {
    this.groups = groups;
    this.images = images;
  }

  /**
   * @param name begins the name of each image, the volume's follows; empty: as for one volume
   */
  CompletionStage<ObjectNode> open(String group, At at, boolean writable, Optional<String> name) {
    long begun = System.nanoTime();
    List<ImageSummary> opened = Collections.synchronizedList(new ArrayList<>());
    At ofGroup =
        at instanceof At.Tag tag && tag.name().indexOf('/') < 0
            ? new At.Tag(group + "/" + tag.name())
            : at;
    return groups
        .get(group)
        .thenCompose(found -> openAll(found.volumes(), ofGroup, writable, name, opened))
        .thenApply(
            done -> {
              ObjectNode json = Json.object();
              json.put("group", group);
              json.put("at", ofGroup.toString());
              ObjectNode uris = json.putObject("uris");
              ArrayNode list = json.putArray("images");
              for (ImageSummary image : opened) {
                uris.put(image.volume().value(), image.uri());
                list.add(Views.image(image));
              }
              json.put("openMillis", (System.nanoTime() - begun) / 1_000_000);
              return json;
            });
  }

  private CompletionStage<Void> openAll(
      List<VolumeName> volumes,
      At at,
      boolean writable,
      Optional<String> name,
      List<ImageSummary> opened) {
    CompletionStage<Void> all = CompletableFuture.completedStage(null);
    for (VolumeName volume : volumes) {
      OpenImage request =
          new OpenImage(volume, at, writable, name.map(prefix -> prefix + "-" + volume));
      all = all.thenCompose(done -> images.open(request)).thenAccept(opened::add);
    }
    return all.exceptionallyCompose(
        failure -> closeAll(opened).thenCompose(closed -> CompletableFuture.failedStage(failure)));
  }

  private CompletionStage<Void> closeAll(List<ImageSummary> opened) {
    CompletionStage<Void> all = CompletableFuture.completedStage(null);
    for (ImageSummary image : List.copyOf(opened)) {
      all =
          all.thenCompose(done -> images.close(image.name(), true))
              .exceptionally(
                  failure -> {
                    LOG.warn("image {} stays open: {}", image.name(), failure.toString());
                    return null;
                  });
    }
    return all;
  }
}
