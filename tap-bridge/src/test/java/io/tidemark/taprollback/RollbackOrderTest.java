package io.tidemark.taprollback;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tidemark.capture.Payload;
import io.tidemark.nbd.NbdError;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdRequest;
import io.tidemark.order.TapOrder;
import io.tidemark.position.ByteRange;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;

/** The bytes of a rollback's steps, their memory, and the gate that clients pass. */
class RollbackOrderTest {
  private static final List<RollbackOrder> STEPS =
      List.of(
          new RollbackOrder.Begin(0x0102030405060708L, true),
          new RollbackOrder.Write(2, 4096, ByteBuffer.wrap(new byte[] {7, 8, 9})),
          new RollbackOrder.Zero(3, new ByteRange(512, 1L << 40)),
          new RollbackOrder.Sync(4),
          new RollbackOrder.End(5));

  /** The bytes that docs/tap-protocol.md describes. */
  private static final List<String> BYTES =
      List.of(
          "01010203040506070801",
          "0200000000000000020000000000001000070809",
          "03000000000000000300000000000002000000010000000000",
          "040000000000000004",
          "050000000000000005");

  @Test
  void shouldKeepTheBytesOfEveryStep() {
    for (int i = 0; i < STEPS.size(); i++) {
      byte[] bytes = STEPS.get(i).encode();
      assertEquals(BYTES.get(i), HexFormat.of().formatHex(bytes));
      assertEquals(STEPS.get(i), RollbackOrder.decode(bytes));
    }
    assertEquals(99, RollbackOrder.seq(RollbackOrder.answer(99)));
    assertThrows(Refusal.class, () -> RollbackOrder.seq(new byte[7]));
    int largest =
        new RollbackOrder.Write(1, 1, ByteBuffer.allocate(RollbackOrder.DATA_BYTES_MAX))
            .encode()
            .length;
    assertTrue(largest <= TapOrder.BODY_BYTES_MAX);
  }

  /** Cut at every byte, lengthened, of no known step, or of too much data. */
  @Test
  void shouldRefuseWhatIsNoStep() {
    for (RollbackOrder step : STEPS) {
      byte[] bytes = step.encode();
      int shortest = step instanceof RollbackOrder.Write ? bytes.length - 3 : bytes.length - 1;
      for (int length = 0; length <= shortest; length++) {
        refuse(Arrays.copyOf(bytes, length));
      }
      if (!(step instanceof RollbackOrder.Write)) {
        refuse(Arrays.copyOf(bytes, bytes.length + 1));
      }
    }
    refuse(HexFormat.of().parseHex("060000000000000005"));
    refuse(HexFormat.of().parseHex("0300000000000000038000000000000200000001000000000000"));
    ByteBuffer tooMuch = ByteBuffer.allocate(RollbackOrder.DATA_BYTES_MAX + 1);
    refuse(new RollbackOrder.Write(1, 1, tooMuch).encode());
  }

  private static void refuse(byte[] bytes) {
    Refusal refusal = assertThrows(Refusal.class, () -> RollbackOrder.decode(bytes));
    assertEquals(ErrorCode.INVALID, refusal.code());
  }

  /** A fixed number of buffers, given back by the last reference (R4). */
  @Test
  void shouldBoundTheMemoryOfWrites() throws Exception {
    WriteBuffers buffers = new WriteBuffers();
    List<Payload> held = new ArrayList<>();
    for (int i = 0; i < WriteBuffers.BUFFERS_MAX; i++) {
      held.add(buffers.hold(ByteBuffer.wrap(new byte[] {(byte) i}), Duration.ZERO).orElseThrow());
    }
    assertTrue(buffers.hold(ByteBuffer.allocate(1), Duration.ofMillis(1)).isEmpty());
    held.get(5).retain();
    held.get(5).release();
    assertTrue(buffers.hold(ByteBuffer.allocate(1), Duration.ZERO).isEmpty());
    assertEquals(5, held.get(5).pieces().get(0).get(0));
    held.get(5).release();
    assertEquals(2, buffers.hold(ByteBuffer.allocate(2), Duration.ZERO).orElseThrow().length());
  }

  /** Nobody enters while it is shut; who is turned out stays out until it connects again (R2). */
  @Test
  void shouldKeepClientsOut() {
    List<NbdRequest> handled = new ArrayList<>();
    NbdExport export =
        new NbdExport() {
          @Override
          public NbdExportInfo info() {
            return new NbdExportInfo("v", "", 512, false, 1, 512, 512);
          }

          @Override
          public void handle(NbdRequest request) {
            handled.add(request);
            request.succeed();
          }
        };
    ExportGate gate = new ExportGate(export, false);
    NbdExport before = gate.export().orElseThrow();
    before.clientEntered();
    assertEquals(1, gate.shut(false), "a refused rollback disturbs nobody");
    flush(before);
    flush(gate.export().orElseThrow());
    assertEquals(1, gate.shut(true));
    assertTrue(gate.export().isEmpty());
    gate.open();
    assertThrows(CompletionException.class, () -> flush(before));
    assertEquals(0, gate.clients());
    before.clientLeft();
    assertEquals(0, gate.clients());
    NbdExport comingIn = gate.export().orElseThrow();
    flush(comingIn);
    assertEquals(3, handled.size());
    assertEquals(0, gate.shut(false));
    assertThrows(CompletionException.class, () -> flush(comingIn), "entered just then");
    assertEquals(3, handled.size());
    assertTrue(new ExportGate(export, true).export().isEmpty());
  }

  private static void flush(NbdExport export) {
    WriteStep step = WriteStep.flush();
    export.handle(step);
    step.done().join();
  }

  /** A volume that was fenced says so, whatever else fails is a failure. */
  @Test
  void shouldTellWhyAStepFailed() {
    for (NbdError error : List.of(NbdError.ESHUTDOWN, NbdError.EIO)) {
      WriteStep step = WriteStep.zero(new ByteRange(0, 512));
      step.fail(error, "why");
      CompletionException e = assertThrows(CompletionException.class, () -> step.done().join());
      assertEquals(
          error == NbdError.EIO ? ErrorCode.FAILED : ErrorCode.FENCED,
          ((Refusal) e.getCause()).code());
    }
  }
}
