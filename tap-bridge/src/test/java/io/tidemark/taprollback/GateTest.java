package io.tidemark.taprollback;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tidemark.order.Gate;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import org.junit.jupiter.api.Test;

/** What a failover says to a tap is what a rollback's first and last steps are. */
class GateTest {
  @Test
  void shouldSayWhatTheTapUnderstands() {
    assertEquals(new RollbackOrder.Begin(7, true), RollbackOrder.decode(Gate.shut(7)));
    assertEquals(new RollbackOrder.End(-8), RollbackOrder.decode(Gate.open(-8)));
    assertEquals(42, Gate.seq(RollbackOrder.answer(42)));
    Refusal short1 = assertThrows(Refusal.class, () -> Gate.seq(new byte[3]));
    assertEquals(ErrorCode.CORRUPT, short1.code());
  }
}
