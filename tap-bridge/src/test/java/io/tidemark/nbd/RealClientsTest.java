package io.tidemark.nbd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.backing.FileBackingStore;
import io.tidemark.backing.TapExport;
import io.tidemark.capture.CaptureSink;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** libnbd, qemu and fio against a sparse file of 64 MiB. */
class RealClientsTest {
  private static final int SIZE = 64 << 20;
  @TempDir Path dir;
  private Path file;
  private FileBackingStore store;
  private TapExport export;
  private NbdServer server;
  private String uri;

  @BeforeEach
  void serve() throws IOException {
    file = dir.resolve("disk");
    try (RandomAccessFile made = new RandomAccessFile(file.toFile(), "rw")) {
      made.setLength(SIZE);
    }
    store = FileBackingStore.open(file, SIZE, false);
    export = new TapExport("disk", "a test", SIZE, false, store, CaptureSink.none());
    NbdListenAddress address = new NbdListenAddress.Unix(dir.resolve("s"));
    server = NbdServer.start(address, MemoryExport.exports(export), NbdServerSettings.defaults());
    uri = address.uri("disk");
  }

  @AfterEach
  void stop() throws IOException {
    server.close();
    export.close();
    store.close();
  }

  private byte[] fill() throws IOException {
    byte[] data = new byte[3 << 20];
    new Random(7).nextBytes(data);
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      out.seek(5 << 20);
      out.write(data);
    }
    return data;
  }

  @Test
  void shouldDescribeItselfToNbdinfo() throws Exception {
    RealClient.requires("nbdinfo");
    fill();
    String list = RealClient.run("nbdinfo", "--list", uri.replace("/disk?", "/?"));
    for (String expected :
        new String[] {
          "newstyle-fixed", "structured", "export=\"disk\"", "description: a test",
          "export-size: 67108864", "base:allocation", "can_fast_zero: true", "can_df: true",
          "can_multi_conn: true", "can_cache: true", "can_fua: true", "is_read_only: false",
          "block_size_maximum: 33554432"
        }) {
      assertTrue(list.contains(expected), expected + " in\n" + list);
    }
    String map = RealClient.run("nbdinfo", "--map", uri);
    assertTrue(map.matches("(?s)\\s*0\\s+5242880\\s+3.*5242880\\s+3145728\\s+0.*"), map);
  }

  @Test
  void shouldCopyBothWays() throws Exception {
    RealClient.requires("nbdcopy");
    fill();
    Path copy = dir.resolve("copy");
    RealClient.run("nbdcopy", uri, copy.toString());
    assertEquals(-1, Files.mismatch(file, copy));
    try (RandomAccessFile other = new RandomAccessFile(copy.toFile(), "rw")) {
      byte[] data = new byte[9_000_001];
      new Random(8).nextBytes(data);
      other.seek(40_000_003);
      other.write(data);
    }
    RealClient.run("nbdcopy", copy.toString(), uri);
    assertEquals(-1, Files.mismatch(file, copy));
  }

  @Test
  void shouldObeyNbdsh() throws Exception {
    RealClient.requires("nbdsh");
    String script =
        """
        import nbd
        b = bytearray(range(256)) * 16
        h.pwrite(b, 8192, nbd.CMD_FLAG_FUA)
        assert h.pread(4096, 8192) == b
        h.pread_structured(4096, 8192, lambda *a: 0, nbd.CMD_FLAG_DF)
        h.zero(512, 8192)
        assert h.pread(513, 8192) == bytes(512) + b'\\x00'
        h.zero(4096, 16384, nbd.CMD_FLAG_NO_HOLE)
        h.zero(4096, 20480, nbd.CMD_FLAG_FAST_ZERO)
        h.trim(4096, 8192)
        h.cache(4096, 0)
        h.flush()
        def refused(errno, f, *args):
            h.set_strict_mode(0)
            try:
                f(*args)
                assert False, 'not refused'
            except nbd.Error as e:
                assert e.errno == errno, (e.errno, errno)
        refused('EINVAL', h.pread, 4096, h.get_size() - 1)
        refused('ENOSPC', h.pwrite, b, h.get_size() - 1)
        refused('ENOSPC', h.zero, 4096, h.get_size() - 1)
        refused('EINVAL', h.trim, 4096, h.get_size() - 1)
        refused('EINVAL', h.pread, 4096, 0, 1 << 12)
        chunks = []
        h.pwrite(b * 32, 1 << 20)
        def chunk(data, offset, status, err):
            chunks.append((offset, len(data), status))
        h.pread_structured(1 << 20, (1 << 20) - 65536, chunk)
        assert chunks[0][2] == nbd.READ_HOLE and chunks[1][2] == nbd.READ_DATA, chunks
        """;
    // The binding belongs to the system's Python, not to another one on the path.
    RealClient.run("env", "PATH=/usr/bin:/bin", "nbdsh", "-u", uri, "-c", script);
  }

  @Test
  void shouldSatisfyQemu() throws Exception {
    RealClient.requires("qemu-img", "qemu-io");
    fill();
    Path image = dir.resolve("image.qcow2");
    RealClient.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", uri, image.toString());
    String same =
        RealClient.run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", uri, image.toString());
    assertTrue(same.contains("identical"), same);
    assertTrue(Files.size(image) < 5 << 20, "holes were seen");
    String map = RealClient.run("qemu-img", "map", "-f", "raw", "--output=json", uri);
    assertTrue(map.contains("\"start\": 5242880, \"length\": 3145728"), map);
    RealClient.run(
        "qemu-io",
        "-f",
        "raw",
        uri,
        "-c",
        "write -P 0x5a 20M 33M",
        "-c",
        "read -P 0x5a 20M 33M",
        "-c",
        "write -z 21M 1M",
        "-c",
        "read -P 0 21M 1M",
        "-c",
        "discard 22M 512k",
        "-c",
        "write -f -P 7 5000 700",
        "-c",
        "flush",
        "-c",
        "read -P 7 5000 700");
    RealClient.run("qemu-img", "convert", "-n", "-O", "raw", image.toString(), uri);
    RealClient.run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", uri, image.toString());
  }

  @Test
  void shouldVerifyUnderFio() throws Exception {
    RealClient.requires("fio");
    String output =
        RealClient.run(
            "fio",
            "--name=v",
            "--ioengine=nbd",
            "--uri=" + uri,
            "--rw=randwrite",
            "--bsrange=512-256k",
            "--size=64M",
            "--io_size=192M",
            "--iodepth=16",
            "--numjobs=1",
            "--verify=crc32c",
            "--verify_state_save=0",
            "--verify_backlog=64",
            "--do_verify=1",
            "--fsync=100");
    assertTrue(output.contains("err= 0"), output);
  }
}
