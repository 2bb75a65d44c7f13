package io.tidemark.taporder;

import io.tidemark.capture.VolumeCapture;
import io.tidemark.order.Leases;
import io.tidemark.order.OrderKind;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Refusal;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/** Carries out LEASE for one volume: hands it to capture, through which all replies go. */
public final class LeaseOrders implements OrderHandler {
  private final String volume;
  private final Supplier<Optional<VolumeCapture>> capture;

  /**
   * @param capture what the volume's writes go to, empty before the first attach
   */
  public LeaseOrders(String volume, Supplier<Optional<VolumeCapture>> capture) {
    this.volume = volume;
    this.capture = capture;
  }

  /** Takes the orders of the kind from now on. */
  public void register(OrderDesk desk) {
    desk.handle(OrderKind.LEASE, this);
  }

  @Override
  public CompletionStage<byte[]> carryOut(long id, byte[] body, Duration left) {
    Leases.Lease lease = Leases.decode(body);
    VolumeCapture source =
        capture
            .get()
            .orElseThrow(
                () ->
                    new Refusal(
                        ErrorCode.NOT_ACKNOWLEDGED,
                        "the tap of volume " + volume + " is not attached yet"));
    if (lease instanceof Leases.Mark mark) {
      source.markLease(mark.round());
    } else if (lease instanceof Leases.Grant grant) {
      source.grantLease(grant.round(), grant.leaseMicros());
    } else {
      source.requireLease(false);
    }
    return CompletableFuture.completedFuture(new byte[0]);
  }
}
