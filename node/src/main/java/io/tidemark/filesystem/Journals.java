package io.tidemark.filesystem;

import io.tidemark.sandbox.Tools;
import java.io.IOException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Replays journals onto the copy that the tools read (F3). */
final class Journals {
  private static final int ANSWER_MAX = 1 << 20;
  private static final int LOG_HEAD_BYTES = 4_096;
  private static final int BLOCK_BYTES_MIN = 1_024;
  private static final int BLOCK_BYTES_MAX = 65_536;
  private static final Pattern FEATURES = Pattern.compile("(?m)^Filesystem features: +(.*)$");
  private static final Pattern BLOCK_SIZE = Pattern.compile("(?m)^Block size: +(\\d+)$");
  private static final Pattern LOG_STATE = Pattern.compile("state: <(\\w+)>");

  /** What opening an ext file system has told. */
  record Ext(JournalState state, long blockBytes) {}

  private Journals() {}

  static Ext ext(Tools tools) throws IOException {
    String before = superblock(tools);
    if (!features(before).contains("needs_recovery")) {
      JournalState state =
          features(before).contains("has_journal") ? JournalState.CLEAN : JournalState.NONE;
      return new Ext(state, blockBytes(before));
    }
    tools.run(List.of("e2fsck", "-y", "-E", "journal_only", Tools.DISK), "", ANSWER_MAX);
    String after = superblock(tools);
    boolean replayed = !features(after).contains("needs_recovery");
    return new Ext(replayed ? JournalState.REPLAYED : JournalState.DIRTY, blockBytes(after));
  }

  private static String superblock(Tools tools) throws IOException {
    Tools.Answer answer = tools.run(List.of("dumpe2fs", "-h", Tools.DISK), "", ANSWER_MAX);
    if (answer.exitCode() != 0) {
      throw Unreadable.said("dumpe2fs", answer);
    }
    return answer.output();
  }

  private static List<String> features(String superblock) {
    Matcher features = FEATURES.matcher(superblock);
    return features.find() ? List.of(features.group(1).split(" +")) : List.of();
  }

  private static long blockBytes(String superblock) {
    Matcher size = BLOCK_SIZE.matcher(superblock);
    if (!size.find()) {
      throw Unreadable.garbled("dumpe2fs");
    }
    long bytes = Long.parseLong(size.group(1));
    if (bytes < BLOCK_BYTES_MIN || bytes > BLOCK_BYTES_MAX) {
      throw Unreadable.garbled("dumpe2fs");
    }
    return bytes;
  }

  static JournalState xfs(Tools tools, boolean replay) throws IOException {
    if (clean(tools)) {
      return JournalState.CLEAN;
    }
    if (replay && tools.mountOnce("xfs", "loop,nouuid,nosuid,nodev,noexec").exitCode() == 0) {
      return clean(tools) ? JournalState.REPLAYED : JournalState.DIRTY;
    }
    return JournalState.DIRTY;
  }

  /** The log's state stands before its transactions, of which there may be many. */
  private static boolean clean(Tools tools) throws IOException {
    Tools.Answer answer = tools.run(List.of("xfs_logprint", "-t", Tools.DISK), "", LOG_HEAD_BYTES);
    Matcher state = LOG_STATE.matcher(answer.output());
    if (!state.find()) {
      throw Unreadable.said("xfs_logprint", answer);
    }
    return state.group(1).equals("CLEAN");
  }
}
