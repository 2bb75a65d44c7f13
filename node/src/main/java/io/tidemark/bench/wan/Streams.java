package io.tidemark.bench.wan;

import com.github.luben.zstd.ZstdOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.zip.GZIPOutputStream;

/** The data of all writes as one stream, compressed as a whole; positions are not counted. */
final class Streams {
  /** 128 MiB: zstd's {@code --long=27}, the most that it unpacks without being asked to. */
  private static final int WINDOW_LOG = 27;

  private Streams() {}

  private static final class Counter extends OutputStream {
    private long bytes;

    @Override
    public void write(int b) {
      bytes++;
    }

    @Override
    public void write(byte[] b, int off, int len) {
      bytes += len;
    }
  }

  /** A way to compress. */
  private interface Wrapping {
    OutputStream wrap(OutputStream out) throws IOException;
  }

  static long raw(Trace trace) throws IOException {
    return through(trace, out -> out);
  }

  /** zlib's level 6. */
  static long gzip(Trace trace) throws IOException {
    return through(trace, out -> new GZIPOutputStream(out, 1 << 16));
  }

  static long zstd(Trace trace, int level) throws IOException {
    return through(
        trace,
        out -> {
          ZstdOutputStream zstd = new ZstdOutputStream(out, level);
          zstd.setLong(WINDOW_LOG);
          return zstd;
        });
  }

  private static long through(Trace trace, Wrapping wrapping) throws IOException {
    Counter counter = new Counter();
    try (OutputStream out = wrapping.wrap(counter)) {
      trace.forEach(
          (meta, data, measured) -> {
            if (measured) {
              out.write(data);
            }
          });
    }
    return counter.bytes;
  }
}
