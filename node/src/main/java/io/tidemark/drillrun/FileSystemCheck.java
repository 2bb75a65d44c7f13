package io.tidemark.drillrun;

import io.tidemark.point.PointReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeoutException;

/**
 * The file system's own check, changing nothing: e2fsck, xfs_repair, ntfsfix, fsck.fat. The journal
 * of ext2/3/4 is replayed first, as a mount would, on the image's overlay.
 */
final class FileSystemCheck implements Check {
  private static final int HEAD_BYTES = 4096;
  private static final String XFS_LOG = "valuable metadata changes in a log";

  @Override
  public Finding run(Disk disk)
      throws CheckError, IOException, InterruptedException, TimeoutException {
    String kind = kind(disk.content());
    try (FuseDisk shown = FuseDisk.of(disk)) {
      String file = shown.file().toString();
      return switch (kind) {
        case "ext" -> ext(disk, file);
        case "xfs" -> xfs(disk, file);
        case "ntfs" -> plain(disk, kind, List.of(Tool.find("ntfsfix", "ntfs-3g"), "-n", file));
        default -> plain(disk, kind, List.of(Tool.find("fsck.fat", "dosfstools"), "-n", file));
      };
    }
  }

  /** What file system begins at the disk's first byte. */
  static String kind(PointReader content) throws CheckError {
    int length = (int) Math.min(HEAD_BYTES, content.sizeBytes());
    ByteBuffer head =
        content.read(0, length).toCompletableFuture().join().slice().order(ByteOrder.LITTLE_ENDIAN);
    if (is(head, 0, "XFSB")) {
      return "xfs";
    }
    if (is(head, 3, "NTFS    ")) {
      return "ntfs";
    }
    if (head.limit() >= 1084 && (head.getShort(1080) & 0xffff) == 0xef53) {
      return "ext";
    }
    if (is(head, 54, "FAT") || is(head, 82, "FAT32")) {
      return "fat";
    }
    throw new CheckError(
        "no ext2/3/4, XFS, NTFS or FAT begins at the first byte of the volume; check a partitioned"
            + " one with a program of your own");
  }

  private static boolean is(ByteBuffer head, int at, String text) {
    byte[] found = new byte[text.length()];
    if (at + found.length > head.limit()) {
      return false;
    }
    head.get(at, found);
    return text.equals(new String(found, StandardCharsets.US_ASCII));
  }

  private static Finding ext(Disk disk, String file)
      throws CheckError, IOException, InterruptedException, TimeoutException {
    String e2fsck = Tool.find("e2fsck", "e2fsprogs");
    // Not -y: that would repair what is damaged, and the check would then find it good.
    Tool.Ended replayed =
        Tool.run(List.of(e2fsck, "-p", "-E", "journal_only", file), Map.of(), disk.deadlineNanos());
    if (replayed.exitCode() >= 4) {
      return new Finding(false, "ext: the journal cannot be replayed: " + replayed.output());
    }
    return plain(disk, "ext", List.of(e2fsck, "-f", "-n", file));
  }

  private static Finding xfs(Disk disk, String file)
      throws CheckError, IOException, InterruptedException, TimeoutException {
    List<String> command = List.of(Tool.find("xfs_repair", "xfsprogs"), "-n", "-f", file);
    Tool.Ended ended = Tool.run(command, Map.of(), disk.deadlineNanos());
    if (ended.exitCode() != 0 && ended.output().contains(XFS_LOG)) {
      throw new CheckError(
          "the log of this XFS has to be replayed before it can be checked, which takes a mount: drill"
              + " a tag that froze it, or mount it in a program of your own");
    }
    return new Finding(ended.exitCode() == 0, "xfs: " + ended.output());
  }

  private static Finding plain(Disk disk, String kind, List<String> command)
      throws IOException, InterruptedException, TimeoutException {
    Tool.Ended ended = Tool.run(command, Map.of(), disk.deadlineNanos());
    return new Finding(ended.exitCode() == 0, kind + ": " + ended.output());
  }
}
