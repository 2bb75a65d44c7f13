package io.tidemark.nbd;

import io.tidemark.nbd.NbdRequest.Allocation;
import io.tidemark.nbd.NbdRequest.Command;
import io.tidemark.position.ByteRange;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A disk of plain bytes that remembers what it was asked for; its blocks of 4 KiB that hold only
 * zeroes are holes.
 */
public final class MemoryExport implements NbdExport {
  public static final int BLOCK = 4096;
  private final NbdExportInfo info;
  private final byte[] disk;
  private final List<String> asked = new ArrayList<>();

  public MemoryExport(String name, int bytes, boolean readOnly, int blockSizeMin) {
    info = new NbdExportInfo(name, "in memory", bytes, readOnly, blockSizeMin, BLOCK, 1 << 25);
    disk = new byte[bytes];
  }

  public byte[] disk() {
    return disk;
  }

  public synchronized List<String> asked() {
    return List.copyOf(asked);
  }

  @Override
  public NbdExportInfo info() {
    return info;
  }

  @Override
  public synchronized void handle(NbdRequest request) {
    ByteRange range = request.range();
    asked.add(
        request.command()
            + " "
            + range.offset()
            + "+"
            + range.length()
            + (request.fua() ? " fua" : "")
            + (request.noHole() ? " no-hole" : "")
            + (request.fastZero() ? " fast" : ""));
    int at = (int) range.offset();
    int end = (int) range.end();
    switch (request.command()) {
      case READ -> {
        ByteBuffer buffer = request.readBuffer();
        buffer.put(disk, at, end - at).flip();
        request.succeedRead(buffer, holes(range));
        return;
      }
      case WRITE -> {
        for (ByteBuffer piece : request.payload().pieces()) {
          int n = piece.remaining();
          piece.duplicate().get(disk, at, n);
          at += n;
        }
      }
      case TRIM, WRITE_ZEROES -> Arrays.fill(disk, at, end, (byte) 0);
      case BLOCK_STATUS -> {
        request.succeedStatus(allocation(range));
        return;
      }
      case FLUSH, CACHE -> {}
    }
    request.succeed();
  }

  private List<ByteRange> holes(ByteRange range) {
    List<ByteRange> holes = new ArrayList<>();
    long at = range.offset();
    for (Allocation run : allocation(range)) {
      if (run.hole()) {
        holes.add(new ByteRange(at, run.length()));
      }
      at += run.length();
    }
    return holes;
  }

  private List<Allocation> allocation(ByteRange range) {
    List<Allocation> runs = new ArrayList<>();
    long at = range.offset();
    while (at < range.end()) {
      boolean hole = isHole(at / BLOCK);
      long to = at;
      while (to < range.end() && isHole(to / BLOCK) == hole) {
        to = Math.min(range.end(), (to / BLOCK + 1) * BLOCK);
      }
      runs.add(new Allocation(to - at, hole, hole));
      at = to;
    }
    return runs;
  }

  private boolean isHole(long block) {
    for (int i = (int) block * BLOCK; i < Math.min(disk.length, (block + 1) * BLOCK); i++) {
      if (disk[i] != 0) {
        return false;
      }
    }
    return true;
  }

  /** These exports, the first also under the empty name. */
  public static NbdExports exports(NbdExport... exports) {
    return new NbdExports() {
      @Override
      public Optional<NbdExport> find(String name) {
        return Arrays.stream(exports)
            .filter(e -> e.info().name().equals(name) || (name.isEmpty() && e == exports[0]))
            .findFirst();
      }

      @Override
      public List<NbdExportInfo> list() {
        return Arrays.stream(exports).map(NbdExport::info).toList();
      }
    };
  }

  /** Whether it was asked for a command at all. */
  public boolean sawAny(Command command) {
    return asked().stream().anyMatch(a -> a.startsWith(command.name() + " "));
  }
}
