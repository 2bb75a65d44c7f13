package io.tidemark.http;

import akka.NotUsed;
import akka.stream.javadsl.Source;
import akka.util.ByteString;
import io.tidemark.files.FileContent;
import io.tidemark.files.FileHistory;
import io.tidemark.files.FileListing;
import io.tidemark.files.FileQuestion;
import io.tidemark.files.FileSource;
import io.tidemark.files.VolumeFiles;
import io.tidemark.filesystem.FileEntry;
import io.tidemark.filesystem.FilePath;
import io.tidemark.filesystem.FileType;
import io.tidemark.filesystem.JournalState;
import io.tidemark.filesystem.Partition;
import io.tidemark.point.RecoveryPoint;
import io.tidemark.position.At;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import io.tidemark.position.WriteSeq;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** Three files in one directory, the same at every point. */
final class FakeFiles implements VolumeFiles {
  static final String ODD = "odd\u00ff\nname";
  static final Map<String, String> CONTENTS =
      new TreeMap<>(Map.of("a.txt", "0123456789", "b c", "", ODD, "odd"));
  private static final RecoveryPoint POINT =
      new RecoveryPoint(
          new WriteSeq(FakeServices.HEAD),
          new MicroTime(FakeServices.START),
          RecoveryPoint.MAIN_BRANCH);
  private static final Partition WHOLE = new Partition(0, 0, 4096, "ext4", "", "uuid");

  private static FileEntry entry(String name, FileType type, long size) {
    return new FileEntry(
        name,
        "1",
        1,
        type,
        size,
        Instant.parse("2026-01-31T12:00:00.000000001Z"),
        OptionalInt.of(0640),
        Optional.of(1L),
        Optional.of(2L),
        Optional.empty());
  }

  private static CompletionStage<FileEntry> find(FileQuestion question) {
    String name = question.path().raw().substring(1);
    boolean known =
        !(question.source() instanceof FileSource.Point point)
            || point.volume().equals(new VolumeName("db"));
    if (known && name.isEmpty()) {
      return CompletableFuture.completedStage(entry("", FileType.DIRECTORY, 0));
    }
    if (known && CONTENTS.containsKey(name)) {
      return CompletableFuture.completedStage(
          entry(name, FileType.FILE, CONTENTS.get(name).length()));
    }
    return CompletableFuture.failedStage(
        new Refusal(ErrorCode.NOT_FOUND, "there is no " + Refusal.printable(name)));
  }

  @Override
  public CompletionStage<FileListing> list(
      FileQuestion question, Optional<String> after, int limit) {
    return find(question)
        .thenApply(
            entry -> {
              List<FileEntry> all =
                  CONTENTS.keySet().stream()
                      .filter(name -> entry.type() == FileType.DIRECTORY)
                      .filter(name -> after.isEmpty() || name.compareTo(after.get()) > 0)
                      .map(name -> entry(name, FileType.FILE, CONTENTS.get(name).length()))
                      .toList();
              List<FileEntry> page = all.stream().limit(limit).toList();
              return new FileListing(
                  new VolumeName("db"),
                  POINT,
                  List.of(WHOLE),
                  Optional.of(
                      new FileListing.Found(
                          WHOLE, JournalState.REPLAYED, entry, page, page.size() < all.size())));
            });
  }

  @Override
  public CompletionStage<FileContent> content(FileQuestion question) {
    return find(question)
        .thenApply(
            entry -> {
              if (entry.type() == FileType.DIRECTORY) {
                throw new Refusal(ErrorCode.INVALID, "it is a directory");
              }
              return new Content(entry);
            });
  }

  private record Content(FileEntry entry) implements FileContent {
    @Override
    public RecoveryPoint at() {
      return POINT;
    }

    @Override
    public Source<ByteString, NotUsed> bytes(long from, long length) {
      return Source.single(
          ByteString.fromString(
              CONTENTS.get(entry.name()).substring((int) from, (int) (from + length)),
              StandardCharsets.ISO_8859_1));
    }

    @Override
    public void release() {}
  }

  @Override
  public CompletionStage<FileHistory> history(
      VolumeName volume, OptionalInt partition, FilePath path, List<At> ats, boolean hash) {
    return find(new FileQuestion(new FileSource.Point(volume, ats.get(0)), partition, path))
        .thenApply(
            entry ->
                new FileHistory(
                    List.of(
                        new FileHistory.Version(
                            POINT, POINT, 1, Optional.empty(), Optional.empty()),
                        new FileHistory.Version(
                            POINT,
                            POINT,
                            ats.size(),
                            Optional.of(entry),
                            hash ? Optional.of("00ff") : Optional.empty())),
                    ats.size(),
                    List.of(new FileHistory.Skipped("seq:1", ErrorCode.DARK_INTERVAL, "dark"))));
  }
}
