package io.tidemark.files;

import io.tidemark.capture.Payload;
import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdExports;
import io.tidemark.nbd.NbdRequest;
import io.tidemark.position.ByteRange;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Offers parts of exports as exports of their own, so that every tool sees a file system from byte
 * 0 on: {@code NAME@OFFSET+LENGTH} is a part of {@code NAME}.
 */
final class PartitionExports implements NbdExports {
  private static final Pattern PART = Pattern.compile("(.{1,128})@(\\d{1,18})\\+(\\d{1,18})");
  private final NbdExports whole;

  PartitionExports(NbdExports whole) {
    this.whole = whole;
  }

  static String name(String export, long offset, long length) {
    return export + "@" + offset + "+" + length;
  }

  @Override
  public Optional<NbdExport> find(String name) {
    Matcher part = PART.matcher(name);
    if (!part.matches()) {
      return whole.find(name);
    }
    long offset = Long.parseLong(part.group(2));
    long length = Long.parseLong(part.group(3));
    return whole
        .find(part.group(1))
        .filter(disk -> length > 0 && length <= disk.info().sizeBytes() - offset)
        .map(disk -> new Part(disk, name, offset, length));
  }

  @Override
  public List<NbdExportInfo> list() {
    return whole.list();
  }

  private record Part(NbdExport disk, String name, long offset, long length) implements NbdExport {
    @Override
    public NbdExportInfo info() {
      NbdExportInfo info = disk.info();
      return new NbdExportInfo(
          name,
          info.description(),
          length,
          info.readOnly(),
          info.blockSizeMin(),
          info.blockSizePreferred(),
          info.blockSizeMax());
    }

    @Override
    public void clientEntered() {
      disk.clientEntered();
    }

    @Override
    public void clientLeft() {
      disk.clientLeft();
    }

    @Override
    public void handle(NbdRequest request) {
      disk.handle(new Shifted(request, offset));
    }
  }

  private record Shifted(NbdRequest request, long offset) implements NbdRequest {
    @Override
    public Command command() {
      return request.command();
    }

    @Override
    public ByteRange range() {
      return new ByteRange(request.range().offset() + offset, request.range().length());
    }

    @Override
    public boolean fua() {
      return request.fua();
    }

    @Override
    public boolean noHole() {
      return request.noHole();
    }

    @Override
    public boolean fastZero() {
      return request.fastZero();
    }

    @Override
    public boolean dontFragment() {
      return request.dontFragment();
    }

    @Override
    public boolean reqOne() {
      return request.reqOne();
    }

    @Override
    public Payload payload() {
      return request.payload();
    }

    @Override
    public ByteBuffer readBuffer() {
      return request.readBuffer();
    }

    @Override
    public void succeed() {
      request.succeed();
    }

    @Override
    public void succeedRead(ByteBuffer data, List<ByteRange> holes) {
      List<ByteRange> shifted =
          holes.stream()
              .map(hole -> new ByteRange(hole.offset() - offset, hole.length()))
              .toList();
      request.succeedRead(data, shifted);
    }

    @Override
    public void succeedStatus(List<Allocation> runs) {
      request.succeedStatus(runs);
    }

    @Override
    public void fail(NbdError error, String message) {
      request.fail(error, message);
    }
  }
}
