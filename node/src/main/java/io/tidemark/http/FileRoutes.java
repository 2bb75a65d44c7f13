package io.tidemark.http;

import akka.http.javadsl.model.ContentTypes;
import akka.http.javadsl.model.HttpEntities;
import akka.http.javadsl.model.HttpHeader;
import akka.http.javadsl.model.HttpRequest;
import akka.http.javadsl.model.HttpResponse;
import akka.http.javadsl.model.StatusCodes;
import akka.http.javadsl.model.headers.RawHeader;
import akka.http.javadsl.server.Route;
import akka.stream.javadsl.Source;
import akka.util.ByteString;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tidemark.files.FileContent;
import io.tidemark.files.FileQuestion;
import io.tidemark.files.FileSource;
import io.tidemark.files.VolumeFiles;
import io.tidemark.filesystem.FilePath;
import io.tidemark.position.At;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Files of images and of volumes at a point: list, fetch, history. */
final class FileRoutes extends Exchange {
  private static final int PAGE_DEFAULT = 1_000;
  private static final int HISTORY_POINTS_DEFAULT = 20;
  private static final int PARTITION_MAX = 9_999;
  private static final Pattern RANGE = Pattern.compile("bytes=(\\d{0,18})-(\\d{0,18})");
  private static final Duration PATIENCE = Duration.ofSeconds(20);
  private final VolumeFiles files;

  FileRoutes(VolumeFiles files) {
    this.files = files;
  }

  /** {@code /images/{name}/files} and {@code /content}, below the image's path. */
  Route ofImage(String name) {
    FileSource image = new FileSource.Image(name);
    return below(List.of(), query -> image);
  }

  /** {@code /volumes/{name}/files}, {@code /content} and {@code /files/history}. */
  Route ofVolume(VolumeName name) {
    return concat(
        below(List.of("at"), query -> new FileSource.Point(name, At.parse(query.required("at")))),
        pathPrefix("files", () -> path("history", () -> get(() -> history(name)))));
  }

  private Route below(List<String> more, Function<RawQuery, FileSource> source) {
    return concat(
        path("files", () -> get(() -> list(more, source))),
        path("content", () -> get(() -> content(more, source))));
  }

  private Route query(List<String> known, List<String> more, Function<RawQuery, Route> inner) {
    List<String> all = new ArrayList<>(known);
    all.addAll(more);
    return extractRequest(
        request -> inner.apply(new RawQuery(request.getUri().rawQueryString().orElse(""), all)));
  }

  private static FileQuestion question(RawQuery query, FileSource source) {
    return new FileQuestion(
        source, partition(query), new FilePath(query.raw("path").orElse(FilePath.ROOT.raw())));
  }

  private static OptionalInt partition(RawQuery query) {
    return query.number("partition", 0, PARTITION_MAX);
  }

  private Route list(List<String> more, Function<RawQuery, FileSource> source) {
    return withoutRequestTimeout(
        () ->
            query(
                List.of("path", "partition", "after", "limit"),
                more,
                query -> {
                  FileQuestion question = question(query, source.apply(query));
                  int limit = query.number("limit", 1, VolumeFiles.PAGE_MAX).orElse(PAGE_DEFAULT);
                  return answer(
                      () ->
                          files
                              .list(question, query.raw("after"), limit)
                              .thenApply(listing -> FileViews.listing(listing, question.path())));
                }));
  }

  private Route content(List<String> more, Function<RawQuery, FileSource> source) {
    return withoutRequestTimeout(
        () ->
            extractRequest(
                request ->
                    query(
                        List.of("path", "partition"),
                        more,
                        query -> {
                          FileQuestion question = question(query, source.apply(query));
                          return respond(
                              () ->
                                  files
                                      .content(question)
                                      .thenApply(content -> download(request, question, content)));
                        })));
  }

  /** The whole content, or the range that the request asks for; of several ranges the whole. */
  private static HttpResponse download(
      HttpRequest request, FileQuestion question, FileContent content) {
    long size = content.entry().size();
    Optional<String> wanted = request.getHeader("Range").map(HttpHeader::value);
    Matcher range = RANGE.matcher(wanted.orElse("").replace(" ", ""));
    long from = 0;
    long to = size;
    boolean part = false;
    if (range.matches() && !(range.group(1).isEmpty() && range.group(2).isEmpty())) {
      if (range.group(1).isEmpty()) {
        from = Math.max(0, size - Long.parseLong(range.group(2)));
      } else {
        from = Long.parseLong(range.group(1));
        to = range.group(2).isEmpty() ? size : Math.min(size, Long.parseLong(range.group(2)) + 1);
      }
      part = true;
    }
    if (part && from >= to) {
      content.release();
      return new Problem(
              ErrorCode.INVALID,
              StatusCodes.RANGE_NOT_SATISFIABLE.intValue(),
              "the range lies past the file's end: it has " + size + " bytes")
          .response()
          .addHeader(RawHeader.create("Content-Range", "bytes */" + size));
    }
    HttpResponse response =
        HttpResponse.create()
            .withStatus(part ? StatusCodes.PARTIAL_CONTENT : StatusCodes.OK)
            .withEntity(
                to > from
                    ? HttpEntities.create(
                        ContentTypes.APPLICATION_OCTET_STREAM,
                        to - from,
                        content.bytes(from, to - from))
                    : HttpEntities.EMPTY)
            .addHeader(RawHeader.create("Accept-Ranges", "bytes"))
            .addHeader(RawHeader.create("X-Content-Type-Options", "nosniff"))
            .addHeader(
                RawHeader.create(
                    "Content-Disposition", "attachment; filename*=UTF-8''" + fileName(question)))
            .addHeader(
                RawHeader.create("X-Tidemark-Modified", content.entry().modified().toString()))
            .addHeader(RawHeader.create("X-Tidemark-Seq", content.at().seq().toString()));
    if (to == from) {
      content.release();
    }
    return part
        ? response.addHeader(
            RawHeader.create("Content-Range", "bytes " + from + "-" + (to - 1) + "/" + size))
        : response;
  }

  /** In UTF-8, or browsers take no notice of it. */
  private static String fileName(FileQuestion question) {
    String raw = question.path().raw();
    String shown = FilePath.shown(raw.substring(raw.lastIndexOf('/') + 1));
    return FilePath.encoded(
        new String(shown.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1));
  }

  private Route history(VolumeName name) {
    return withoutRequestTimeout(
        () ->
            query(
                List.of("path", "partition", "at", "from", "to", "points", "hash"),
                List.of(),
                query -> {
                  FilePath path = new FilePath(query.required("path"));
                  List<At> ats = ats(query);
                  return respond(
                      () ->
                          patient(
                              files
                                  .history(name, partition(query), path, ats, query.flag("hash"))
                                  .thenApply(FileViews::history)));
                }));
  }

  /**
   * An answer that may take longer than a connection may be silent: after a while it begins with
   * spaces, which JSON allows; a failure after that breaks the connection.
   */
  private static CompletionStage<HttpResponse> patient(CompletionStage<ObjectNode> answer) {
    CompletableFuture<ObjectNode> soon = answer.toCompletableFuture().copy();
    return soon.completeOnTimeout(null, PATIENCE.toMillis(), TimeUnit.MILLISECONDS)
        .thenApply(
            json ->
                json != null
                    ? Json.response(StatusCodes.OK, json)
                    : HttpResponse.create()
                        .withEntity(
                            HttpEntities.createChunked(
                                ContentTypes.APPLICATION_JSON,
                                Source.completionStage(
                                        answer.thenApply(
                                            late -> ByteString.fromArrayUnsafe(Json.bytes(late))))
                                    .keepAlive(PATIENCE, () -> ByteString.fromString(" ")))));
  }

  /** Points that are named, and points at equal distances between two times. */
  private static List<At> ats(RawQuery query) {
    List<At> ats = new ArrayList<>();
    query.all("at").forEach(text -> ats.add(At.parse(text)));
    Optional<String> from = query.raw("from");
    Optional<String> to = query.raw("to");
    if (from.isPresent() != to.isPresent()) {
      throw new Refusal(ErrorCode.INVALID, "'from' and 'to' belong together");
    }
    if (from.isPresent()) {
      long first = time(from.get()).micros();
      long last = time(to.get()).micros();
      int points =
          query.number("points", 2, VolumeFiles.HISTORY_POINTS_MAX).orElse(HISTORY_POINTS_DEFAULT);
      if (first >= last) {
        throw new Refusal(ErrorCode.INVALID, "'from' must be earlier than 'to'");
      }
      for (int i = 0; i < points; i++) {
        double fraction = (double) i / (points - 1);
        ats.add(new At.Time(new MicroTime(first + Math.round((last - first) * fraction))));
      }
    }
    if (ats.isEmpty()) {
      throw new Refusal(
          ErrorCode.INVALID, "say which points to look at: 'at' once or more, or 'from' and 'to'");
    }
    return ats;
  }

  private static MicroTime time(String text) {
    try {
      return MicroTime.parse(text);
    } catch (DateTimeException e) {
      throw new Refusal(
          ErrorCode.INVALID,
          Refusal.printable(text) + " is no time: use ISO-8601 such as 2026-01-31T12:00:00Z",
          e);
    }
  }
}
