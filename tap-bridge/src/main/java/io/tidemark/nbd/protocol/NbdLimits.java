package io.tidemark.nbd.protocol;

/** What a client may send and keep, in one place. */
public final class NbdLimits {
  /** Longest option data that is read; more is skipped and answered TOO_BIG. */
  public static final int OPTION_BYTES_MAX = 32 << 10;

  /** Longest option data that is skipped; a client that announces more is dropped. */
  public static final int OPTION_SKIP_BYTES_MAX = 16 << 20;

  /** Options of one handshake; a client that needs more is not a client. */
  public static final int OPTIONS_MAX = 65_536;

  /** Longest string of the protocol, in UTF-8 bytes: names, descriptions, messages. */
  public static final int STRING_BYTES_MAX = 4096;

  /** Longest payload of one READ or WRITE. */
  public static final int PAYLOAD_BYTES_MAX = 32 << 20;

  /**
   * Longest payload of a WRITE that is skipped and answered EINVAL; a client that announces more is
   * dropped.
   */
  public static final long PAYLOAD_SKIP_BYTES_MAX = 2L * PAYLOAD_BYTES_MAX;

  /** Runs in one answer to BLOCK_STATUS; the client asks again from where the last one ends. */
  public static final int STATUS_RUNS_MAX = 1024;

  /** Chunks in one answer to READ; what is left then goes as data. */
  public static final int READ_CHUNKS_MAX = 64;

  private NbdLimits() {}
}
