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
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Offers parts of exports as exports of their own, so that every tool sees a file system from byte
 * 0 on: {@code NAME@OFFSET+LENGTH} is a part of {@code NAME}. What tools write to one export and
 * its parts is limited, for it takes space on the node's own disk.
 */
final class PartitionExports implements NbdExports {
  /** More than the largest journals hold (V4). */
  static final long WRITTEN_BYTES_MAX = 4L << 30;

  private static final Pattern PART = Pattern.compile("(.{1,128})@(\\d{1,18})\\+(\\d{1,18})");
  private final NbdExports whole;
  private final Map<String, AtomicLong> written = new ConcurrentHashMap<>();

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
      return whole
          .find(name)
          .map(disk -> new Part(disk, name, 0, disk.info().sizeBytes(), written(name)));
    }
    long offset = Long.parseLong(part.group(2));
    long length = Long.parseLong(part.group(3));
    return whole
        .find(part.group(1))
        .filter(disk -> length > 0 && length <= disk.info().sizeBytes() - offset)
        .map(disk -> new Part(disk, name, offset, length, written(part.group(1))));
  }

  private AtomicLong written(String export) {
    return written.computeIfAbsent(export, name -> new AtomicLong());
  }

  /** To be called once the export is gone. */
  void forget(String export) {
    written.remove(export);
  }

  @Override
  public List<NbdExportInfo> list() {
    return whole.list();
  }

  private record Part(NbdExport disk, String name, long offset, long length, AtomicLong written)
      implements NbdExport {
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
      boolean takesSpace =
          request.command() == NbdRequest.Command.WRITE
              || request.command() == NbdRequest.Command.WRITE_ZEROES;
      if (takesSpace && written.addAndGet(request.range().length()) > WRITTEN_BYTES_MAX) {
        request.fail(
            NbdError.ENOSPC, "tools wrote more than the limit of " + WRITTEN_BYTES_MAX + " bytes");
        return;
      }
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
          holes.stream().map(hole -> new ByteRange(hole.offset() - offset, hole.length())).toList();
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
