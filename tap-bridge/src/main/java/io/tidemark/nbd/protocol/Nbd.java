package io.tidemark.nbd.protocol;

/** Numbers of the NBD specification ("Values" in its protocol document). */
public final class Nbd {
  public static final long INIT_MAGIC = 0x4e42444d41474943L;
  public static final long OPTION_MAGIC = 0x49484156454f5054L;
  public static final long OPTION_REPLY_MAGIC = 0x0003e889045565a9L;
  public static final int REQUEST_MAGIC = 0x25609513;
  public static final int EXTENDED_REQUEST_MAGIC = 0x21e41c71;
  public static final int SIMPLE_REPLY_MAGIC = 0x67446698;
  public static final int STRUCTURED_REPLY_MAGIC = 0x668e33ef;
  public static final int EXTENDED_REPLY_MAGIC = 0x6e8a278c;

  public static final int REQUEST_BYTES = 28;
  public static final int EXTENDED_REQUEST_BYTES = 32;
  public static final int SIMPLE_REPLY_BYTES = 16;
  public static final int STRUCTURED_REPLY_BYTES = 20;
  public static final int EXTENDED_REPLY_BYTES = 32;
  public static final int OPTION_BYTES = 16;

  public static final int FLAG_FIXED_NEWSTYLE = 1;
  public static final int FLAG_NO_ZEROES = 1 << 1;
  public static final int EXPORT_NAME_ZEROES = 124;

  public static final int OPT_EXPORT_NAME = 1;
  public static final int OPT_ABORT = 2;
  public static final int OPT_LIST = 3;
  public static final int OPT_STARTTLS = 5;
  public static final int OPT_INFO = 6;
  public static final int OPT_GO = 7;
  public static final int OPT_STRUCTURED_REPLY = 8;
  public static final int OPT_LIST_META_CONTEXT = 9;
  public static final int OPT_SET_META_CONTEXT = 10;
  public static final int OPT_EXTENDED_HEADERS = 11;

  public static final int REP_ACK = 1;
  public static final int REP_SERVER = 2;
  public static final int REP_INFO = 3;
  public static final int REP_META_CONTEXT = 4;
  private static final int REP_ERROR = 1 << 31;
  public static final int REP_ERR_UNSUP = REP_ERROR + 1;
  public static final int REP_ERR_POLICY = REP_ERROR + 2;
  public static final int REP_ERR_INVALID = REP_ERROR + 3;
  public static final int REP_ERR_TLS_REQD = REP_ERROR + 5;
  public static final int REP_ERR_UNKNOWN = REP_ERROR + 6;
  public static final int REP_ERR_SHUTDOWN = REP_ERROR + 7;
  public static final int REP_ERR_TOO_BIG = REP_ERROR + 9;
  public static final int REP_ERR_EXT_HEADER_REQD = REP_ERROR + 10;

  public static final int INFO_EXPORT = 0;
  public static final int INFO_NAME = 1;
  public static final int INFO_DESCRIPTION = 2;
  public static final int INFO_BLOCK_SIZE = 3;

  public static final int TRANSMIT_HAS_FLAGS = 1;
  public static final int TRANSMIT_READ_ONLY = 1 << 1;
  public static final int TRANSMIT_SEND_FLUSH = 1 << 2;
  public static final int TRANSMIT_SEND_FUA = 1 << 3;
  public static final int TRANSMIT_SEND_TRIM = 1 << 5;
  public static final int TRANSMIT_SEND_WRITE_ZEROES = 1 << 6;
  public static final int TRANSMIT_SEND_DF = 1 << 7;
  public static final int TRANSMIT_CAN_MULTI_CONN = 1 << 8;
  public static final int TRANSMIT_SEND_CACHE = 1 << 10;
  public static final int TRANSMIT_SEND_FAST_ZERO = 1 << 11;

  public static final int CMD_READ = 0;
  public static final int CMD_WRITE = 1;
  public static final int CMD_DISC = 2;
  public static final int CMD_FLUSH = 3;
  public static final int CMD_TRIM = 4;
  public static final int CMD_CACHE = 5;
  public static final int CMD_WRITE_ZEROES = 6;
  public static final int CMD_BLOCK_STATUS = 7;

  public static final int CMD_FLAG_FUA = 1;
  public static final int CMD_FLAG_NO_HOLE = 1 << 1;
  public static final int CMD_FLAG_DF = 1 << 2;
  public static final int CMD_FLAG_REQ_ONE = 1 << 3;
  public static final int CMD_FLAG_FAST_ZERO = 1 << 4;
  public static final int CMD_FLAG_PAYLOAD_LEN = 1 << 5;

  public static final int REPLY_FLAG_DONE = 1;
  public static final int REPLY_NONE = 0;
  public static final int REPLY_OFFSET_DATA = 1;
  public static final int REPLY_OFFSET_HOLE = 2;
  public static final int REPLY_BLOCK_STATUS = 5;
  public static final int REPLY_BLOCK_STATUS_EXT = 6;
  public static final int REPLY_ERROR = (1 << 15) + 1;

  public static final String BASE_ALLOCATION = "base:allocation";
  public static final int STATE_HOLE = 1;
  public static final int STATE_ZERO = 1 << 1;

  private Nbd() {}
}
