package io.tidemark.plan;

import io.tidemark.link.VolumeCommand;
import io.tidemark.order.TapOrder;
import io.tidemark.position.VolumeName;
import io.tidemark.refusal.ErrorCode;
import io.tidemark.refusal.Failures;
import io.tidemark.remote.RemoteSites;
import io.tidemark.site.Site;
import io.tidemark.witness.LeaseKeeper;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

/** This site's volumes and their taps, for whoever keeps a lease. */
record SiteTaps(RemoteSites sites, Site site) implements LeaseKeeper.Taps {

  @Override
  public CompletionStage<?> lease(VolumeName volume, boolean on) {
    return sites
        .ask(sites.here(), new VolumeCommand.Lease(volume, on))
        .handle(
            (answer, failure) -> {
              boolean gone = failure != null && Failures.code(failure) == ErrorCode.NOT_FOUND;
              if (failure != null && (on || !gone)) {
                throw new CompletionException(Failures.cause(failure));
              }
              return null;
            });
  }

  @Override
  public CompletionStage<byte[]> order(VolumeName volume, TapOrder order) {
    return site.order(volume, order);
  }
}
