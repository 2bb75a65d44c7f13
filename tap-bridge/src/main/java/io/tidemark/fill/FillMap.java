package io.tidemark.fill;

import io.tidemark.position.ByteRange;
import io.tidemark.position.VolumeId;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.zip.CRC32C;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which blocks of a backing store are filled, on disk (W3), and which are to be kept before they
 * are overwritten (W5). Thread-safe.
 *
 * <p>Both files, numbers big-endian:
 *
 * <pre>
 *   0     header, 512 bytes: u64 magic | u32 version | volume | u64 epoch | u64 size | u32 block
 *         bytes | boot id, of the second file | ... | u32 CRC-32C of the first 508 bytes
 *   4096  pages of 512 bytes: u32 CRC-32C of the rest | u32 page number | 504 bytes of bits, block b
 *         of the page is bit b % 8 of byte b / 8; first the pages of filled blocks, then, in the
 *         first file only, those of blocks to keep
 * </pre>
 *
 * A page that is damaged stands for blocks that are not filled and are to be kept.
 */
public final class FillMap implements AutoCloseable {
  /** There while a store is being filled. */
  public static final String FILE_NAME = "fill";

  /** What was filled since the last sync; counts only until the machine starts again. */
  public static final String RECENT_NAME = "fill.recent";

  private static final Logger log = LoggerFactory.getLogger(FillMap.class);
  private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");
  private static final int BLOCK_BYTES_MIN = 64 << 10;
  private static final int BLOCK_BYTES_MAX = 1 << 20;
  private static final long BLOCKS_MAX = 1L << 26;
  private static final long MAGIC = 0x544944454d46494cL;
  private static final int VERSION = 1;
  private static final int PAGE_BYTES = 512;
  private static final int PAGE_HEADER_BYTES = 8;
  private static final int PAGE_BLOCKS = (PAGE_BYTES - PAGE_HEADER_BYTES) * 8;
  private static final long PAGES_AT = 4096;

  /** Makes durable what was written to the backing store. */
  @FunctionalInterface
  public interface StoreSync {
    void sync() throws IOException;
  }

  /** Which volume, and the epoch that began with the journal's content. */
  private record Identity(VolumeId volume, long epoch, long sizeBytes) {}

  private final Path directory;
  private final Identity identity;
  private final int blockBytes;
  private final int blocks;
  private final BitSet filled = new BitSet();
  private final BitSet keep = new BitSet();
  private BitSet stalePages = new BitSet();
  private final FileChannel durable;

  /** Held for a whole commit: who finds nothing to write knows that it is durable (W4). */
  private final Object commits = new Object();

  private FileChannel recent;
  private boolean closed;

  private FillMap(Path directory, Identity identity, FileChannel durable) {
    this.directory = directory;
    this.identity = identity;
    this.durable = durable;
    this.blockBytes = blockBytes(identity.sizeBytes());
    this.blocks = (int) ((identity.sizeBytes() + blockBytes - 1) / blockBytes);
  }

  private static int blockBytes(long sizeBytes) {
    int bytes = BLOCK_BYTES_MIN;
    while (sizeBytes / bytes > BLOCKS_MAX && bytes < BLOCK_BYTES_MAX) {
      bytes *= 2;
    }
    return bytes;
  }

  /** The map of a store that is being filled, if it is. */
  public static Optional<FillMap> open(Path directory) throws IOException {
    Path file = directory.resolve(FILE_NAME);
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
    try {
      ByteBuffer header = read(channel, 0);
      Optional<Identity> identity = identity(header);
      if (identity.isEmpty()) {
        throw new IOException(file + " is damaged: remove the tap's state to fill the store anew");
      }
      FillMap map = new FillMap(directory, identity.get(), channel);
      map.load();
      return Optional.of(map);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /** Forgets what is filled: whoever calls it knows that the store has the content. */
  public static void discard(Path directory) throws IOException {
    if (Files.deleteIfExists(directory.resolve(FILE_NAME))) {
      Files.deleteIfExists(directory.resolve(RECENT_NAME));
      syncDirectory(directory);
    }
  }

  /**
   * A new map, nothing of which is filled: durable when it returns. Where there is one of the same
   * volume and epoch that one goes on.
   *
   * @param toKeep whether a block of the store may hold what is nowhere else
   */
  public static FillMap begin(
      Path directory, VolumeId volume, long epoch, long sizeBytes, Predicate<ByteRange> toKeep)
      throws IOException {
    Identity identity = new Identity(volume, epoch, sizeBytes);
    Optional<FillMap> before = open(directory);
    if (before.isPresent() && before.get().identity.equals(identity)) {
      return before.get();
    }
    Optional<FillMap> same =
        before.filter(
            map -> map.identity.volume().equals(volume) && map.identity.sizeBytes() == sizeBytes);
    try {
      return create(directory, identity, same, toKeep);
    } finally {
      if (before.isPresent()) {
        before.get().close();
      }
    }
  }

  private static FillMap create(
      Path directory, Identity identity, Optional<FillMap> before, Predicate<ByteRange> toKeep)
      throws IOException {
    Files.deleteIfExists(directory.resolve(RECENT_NAME));
    Path made = directory.resolve(FILE_NAME + ".new");
    Files.deleteIfExists(made);
    FileChannel channel =
        FileChannel.open(
            made, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    FillMap map = new FillMap(directory, identity, channel);
    try {
      for (int block = 0; block < map.blocks; block++) {
        ByteRange range = map.rangeOf(block);
        // A block that an earlier filling never came to holds what it held before that.
        boolean untouched = before.isPresent() && !before.get().filled(range);
        if (untouched ? before.get().keeps(range) : toKeep.test(range)) {
          map.keep.set(block);
        }
      }
      write(channel, map.header(new UUID(0, 0)), 0);
      for (int page = 0; page < map.pages(); page++) {
        write(channel, map.page(map.filled, page), map.at(page));
        write(channel, map.page(map.keep, page), map.at(map.pages() + page));
      }
      channel.force(true);
      Files.move(made, directory.resolve(FILE_NAME), StandardCopyOption.ATOMIC_MOVE);
      syncDirectory(directory);
      map.openRecent();
      return map;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private static void syncDirectory(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  private void load() throws IOException {
    for (int page = 0; page < pages(); page++) {
      decode(read(durable, at(page)), page, filled, false);
      decode(read(durable, at(pages() + page)), page, keep, true);
    }
    openRecent();
  }

  /** Takes over what was noted since the last sync, unless the machine was started since. */
  private void openRecent() throws IOException {
    recent =
        FileChannel.open(
            directory.resolve(RECENT_NAME),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    UUID boot = bootId();
    ByteBuffer header = read(recent, 0);
    if (header.equals(header(boot))) {
      for (int page = 0; page < pages(); page++) {
        decode(read(recent, at(page)), page, filled, false);
      }
      stalePages.set(0, pages());
      return;
    }
    recent.truncate(0);
    for (int page = 0; page < pages(); page++) {
      write(recent, page(filled, page), at(page)); // its room is taken now, not in the middle
    }
    write(recent, header(boot), 0);
  }

  /** Where it cannot be told, no two processes are taken to be of the same start. */
  private static UUID bootId() {
    try {
      return UUID.fromString(Files.readString(BOOT_ID).strip());
    } catch (IOException | IllegalArgumentException e) {
      log.warn("{} cannot be read: {}", BOOT_ID, e.toString());
      return UUID.randomUUID();
    }
  }

  private int pages() {
    return (blocks + PAGE_BLOCKS - 1) / PAGE_BLOCKS;
  }

  private long at(int page) {
    return PAGES_AT + (long) page * PAGE_BYTES;
  }

  private ByteBuffer header(UUID boot) {
    ByteBuffer out = ByteBuffer.allocate(PAGE_BYTES).putLong(MAGIC).putInt(VERSION);
    UUID volume = identity.volume().value();
    out.putLong(volume.getMostSignificantBits()).putLong(volume.getLeastSignificantBits());
    out.putLong(identity.epoch()).putLong(identity.sizeBytes()).putInt(blockBytes);
    out.putLong(boot.getMostSignificantBits()).putLong(boot.getLeastSignificantBits());
    out.clear();
    return out.putInt(PAGE_BYTES - 4, crc(out.duplicate().limit(PAGE_BYTES - 4)));
  }

  private static Optional<Identity> identity(ByteBuffer header) {
    ByteBuffer in = header.duplicate();
    if (in.getInt(PAGE_BYTES - 4) != crc(in.duplicate().limit(PAGE_BYTES - 4))
        || in.getLong() != MAGIC
        || in.getInt() != VERSION) {
      return Optional.empty();
    }
    VolumeId volume = new VolumeId(new UUID(in.getLong(), in.getLong()));
    return Optional.of(new Identity(volume, in.getLong(), in.getLong()));
  }

  private ByteBuffer page(BitSet bits, int number) {
    ByteBuffer page = ByteBuffer.allocate(PAGE_BYTES);
    page.putInt(4, number);
    int from = number * PAGE_BLOCKS;
    int to = Math.min(blocks, from + PAGE_BLOCKS);
    for (int b = bits.nextSetBit(from); b >= 0 && b < to; b = bits.nextSetBit(b + 1)) {
      int at = PAGE_HEADER_BYTES + (b - from) / 8;
      page.put(at, (byte) (page.get(at) | 1 << ((b - from) % 8)));
    }
    return page.putInt(0, crc(page.duplicate().position(4)));
  }

  private void decode(ByteBuffer page, int number, BitSet into, boolean ifDamaged) {
    int from = number * PAGE_BLOCKS;
    int to = Math.min(blocks, from + PAGE_BLOCKS);
    if (page.getInt(0) != crc(page.duplicate().position(4)) || page.getInt(4) != number) {
      log.warn("a page of the map of filled blocks is damaged: {} blocks", to - from);
      if (ifDamaged) {
        into.set(from, to);
      }
      return;
    }
    for (int b = from; b < to; b++) {
      int bit = b - from;
      if ((page.get(PAGE_HEADER_BYTES + bit / 8) >> (bit % 8) & 1) != 0) {
        into.set(b);
      }
    }
  }

  private static int crc(ByteBuffer bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }

  private static ByteBuffer read(FileChannel from, long at) throws IOException {
    ByteBuffer page = ByteBuffer.allocate(PAGE_BYTES);
    while (page.hasRemaining() && from.read(page, at + page.position()) >= 0) {
      // reads on; past the end of the file the rest stays zero
    }
    return page.clear();
  }

  private static void write(FileChannel to, ByteBuffer page, long at) throws IOException {
    ByteBuffer rest = page.duplicate();
    while (rest.hasRemaining()) {
      to.write(rest, at + rest.position());
    }
  }

  /** The epoch that began with the journal's content. */
  public long epoch() {
    return identity.epoch();
  }

  /** The volume that is filled. */
  public VolumeId volume() {
    return identity.volume();
  }

  int blockBytes() {
    return blockBytes;
  }

  private ByteRange rangeOf(int block) {
    long offset = (long) block * blockBytes;
    return new ByteRange(offset, Math.min(blockBytes, identity.sizeBytes() - offset));
  }

  private int first(ByteRange range) {
    return (int) (range.offset() / blockBytes);
  }

  private int last(ByteRange range) {
    return (int) ((range.end() - 1) / blockBytes);
  }

  /** Whether all blocks that the range touches are filled. */
  public synchronized boolean filled(ByteRange range) {
    return range.length() == 0 || filled.nextClearBit(first(range)) > last(range);
  }

  /** Whether any unfilled block that the range touches is to be kept. */
  synchronized boolean keeps(ByteRange range) {
    int block = keep.nextSetBit(first(range));
    while (block >= 0 && block <= last(range)) {
      if (!filled.get(block)) {
        return true;
      }
      block = keep.nextSetBit(block + 1);
    }
    return false;
  }

  /** The first run of unfilled blocks that the range touches, at most so long; empty if none. */
  synchronized Optional<ByteRange> unfilled(ByteRange range, long bytesMax) {
    if (range.length() == 0) {
      return Optional.empty();
    }
    int begin = filled.nextClearBit(first(range));
    int last = last(range);
    if (begin > last) {
      return Optional.empty();
    }
    int most = (int) Math.max(1, bytesMax / blockBytes);
    int end = filled.nextSetBit(begin);
    end = Math.min(end < 0 ? last + 1 : Math.min(end, last + 1), begin + most);
    long offset = (long) begin * blockBytes;
    long to = Math.min((long) end * blockBytes, identity.sizeBytes());
    return Optional.of(new ByteRange(offset, to - offset));
  }

  /** The blocks that lie wholly in the range; the volume's last one may be short. */
  synchronized Optional<ByteRange> inner(ByteRange range) {
    long from = (range.offset() + blockBytes - 1) / blockBytes * blockBytes;
    long to =
        range.end() == identity.sizeBytes() ? range.end() : range.end() / blockBytes * blockBytes;
    return from < to ? Optional.of(new ByteRange(from, to - from)) : Optional.empty();
  }

  synchronized long unfilledBytes() {
    return Math.min(identity.sizeBytes(), (long) (blocks - filled.cardinality()) * blockBytes);
  }

  /** The blocks are filled; not durable before the next {@link #commit}. */
  synchronized void fill(ByteRange whole) throws IOException {
    int from = first(whole);
    int to = last(whole) + 1;
    if (closed || filled.nextClearBit(from) >= to) {
      return;
    }
    filled.set(from, to);
    for (int page = from / PAGE_BLOCKS; page <= (to - 1) / PAGE_BLOCKS; page++) {
      stalePages.set(page);
      write(recent, page(filled, page), at(page));
    }
  }

  /** Makes everything filled so far durable: first its content, then the marks (W3). */
  void commit(StoreSync store) throws IOException {
    synchronized (commits) {
      commitAlone(store);
    }
  }

  private void commitAlone(StoreSync store) throws IOException {
    BitSet pages;
    BitSet covered;
    synchronized (this) {
      if (closed || stalePages.isEmpty()) {
        return;
      }
      pages = stalePages;
      stalePages = new BitSet();
      covered = (BitSet) filled.clone();
    }
    boolean done = false;
    try {
      store.sync();
      synchronized (this) {
        if (closed) {
          return;
        }
        for (int page = pages.nextSetBit(0); page >= 0; page = pages.nextSetBit(page + 1)) {
          write(durable, page(covered, page), at(page));
        }
        durable.force(false);
      }
      done = true;
    } finally {
      if (!done) {
        synchronized (this) {
          stalePages.or(pages);
        }
      }
    }
  }

  /** The blocks' old content is kept elsewhere: durable when it returns. */
  synchronized void kept(ByteRange whole) throws IOException {
    if (closed) {
      throw new IOException("the tap stops");
    }
    keep.clear(first(whole), last(whole) + 1);
    int last = last(whole) / PAGE_BLOCKS;
    for (int page = first(whole) / PAGE_BLOCKS; page <= last; page++) {
      write(durable, page(keep, page), at(pages() + page));
    }
    durable.force(false);
  }

  /** Everything is filled and durable: the map is no more. */
  void complete(StoreSync store) throws IOException {
    commit(store);
    synchronized (this) {
      if (closed) {
        return;
      }
      close();
    }
    Files.deleteIfExists(directory.resolve(FILE_NAME));
    Files.deleteIfExists(directory.resolve(RECENT_NAME));
    syncDirectory(directory);
  }

  @Override
  public synchronized void close() throws IOException {
    closed = true;
    try {
      durable.close();
    } finally {
      recent.close();
    }
  }
}
