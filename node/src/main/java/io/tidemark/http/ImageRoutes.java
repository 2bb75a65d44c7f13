package io.tidemark.http;

import static akka.http.javadsl.server.PathMatchers.segment;

import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.server.Route;
import com.fasterxml.jackson.databind.node.ArrayNode;
import io.tidemark.image.Images;
import io.tidemark.image.OpenImage;
import io.tidemark.position.At;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.util.List;
import java.util.Optional;

/** {@code /images}: open, list, show, close, read files. */
final class ImageRoutes extends Exchange {
  private final Images images;
  private final GroupImages groupImages;
  private final FileRoutes files;

  ImageRoutes(Images images, GroupImages groupImages, FileRoutes files) {
    this.images = images;
    this.groupImages = groupImages;
    this.files = files;
  }

  Route route() {
    return pathPrefix(
        "images",
        () ->
            concat(
                pathEndOrSingleSlash(() -> concat(get(this::list), post(this::open))),
                path(segment(), name -> concat(get(() -> show(name)), delete(() -> close(name)))),
                pathPrefix(segment(), files::ofImage)));
  }

  private Route list() {
    return answer(
        () ->
            images
                .list()
                .thenApply(
                    all -> {
                      ArrayNode json = Json.array();
                      all.forEach(image -> json.add(Views.image(image)));
                      return json;
                    }));
  }

  private Route open() {
    return body(
        List.of("volume", "group", "at", "writable", "name"),
        body -> {
          Optional<String> group = body.optionalText("group");
          if (group.isPresent()) {
            return openGroup(group.get(), body);
          }
          OpenImage request =
              new OpenImage(
                  new VolumeName(body.text("volume")),
                  At.parse(body.text("at")),
                  body.flag("writable"),
                  body.optionalText("name"));
          return answer(StatusCodes.CREATED, () -> images.open(request).thenApply(Views::image));
        });
  }

  private Route openGroup(String group, Body body) {
    if (body.optionalText("volume").isPresent()) {
      throw new Refusal(ErrorCode.INVALID, "name a volume or a group, not both");
    }
    At at = At.parse(body.text("at"));
    boolean writable = body.flag("writable");
    Optional<String> name = body.optionalText("name");
    return answer(StatusCodes.CREATED, () -> groupImages.open(group, at, writable, name));
  }

  private Route show(String name) {
    return answer(() -> images.get(name).thenApply(Views::image));
  }

  private Route close(String name) {
    return parameterOptional(
        "force",
        force -> {
          boolean forced =
              switch (force.orElse("false")) {
                case "true" -> true;
                case "false" -> false;
                default -> throw new Refusal(ErrorCode.INVALID, "'force' must be true or false");
              };
          return answerDone(() -> images.close(name, forced));
        });
  }
}
