package io.tidemark.capture;

import java.io.IOException;

/** Lets tests of other packages open an activity log in a file of their own. */
public final class ActivityLogs {
  private ActivityLogs() {}

  public static ActivityLog open(CrashingLogFile file) throws IOException {
    return ActivityLog.open(file);
  }
}
