package io.tidemark.bench;

import io.tidemark.image.ImageSpec;
import io.tidemark.image.SitePoints;
import io.tidemark.image.VolumePoints;
import io.tidemark.imageserver.ImageServer;
import io.tidemark.nbd.NbdExport;
import io.tidemark.nbd.NbdExportInfo;
import io.tidemark.nbd.NbdExports;
import io.tidemark.nbd.NbdListenAddress;
import io.tidemark.nbd.NbdServer;
import io.tidemark.nbd.NbdServerSettings;
import io.tidemark.nbd.client.NbdClient;
import io.tidemark.nbd.client.NbdUri;
import io.tidemark.point.PointReader;
import io.tidemark.position.At;
import io.tidemark.position.MicroTime;
import io.tidemark.position.VolumeName;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/**
 * Serves images of a bench site, and other exports beside them, over NBD. Each image is opened with
 * caches of its own that are empty.
 */
final class ImageDesk implements AutoCloseable {
  private final BenchSite site;
  private final ImageServer images;
  private final NbdServer nbd;
  private final List<NbdExport> others = new ArrayList<>();
  private SitePoints cold;

  ImageDesk(BenchSite site) throws IOException {
    this.site = site;
    this.cold = site.coldSitePoints();
    this.images = new ImageServer(site.directory().resolve("images"), new Cold());
    this.nbd =
        NbdServer.start(
            new NbdListenAddress.Tcp("127.0.0.1", 0),
            new Both(),
            NbdServerSettings.defaults().withClientsMax(NbdServerSettings.CLIENTS_MAX));
  }

  /** Offers an export beside the images; before any client asks for it. */
  void offer(NbdExport export) {
    others.add(export);
  }

  /** Finds the point and serves it under the name, as a node does. */
  void open(String name, VolumeName volume, At at) {
    cold = site.coldSitePoints();
    VolumePoints.Located found = BenchSite.await(cold.locate(volume, at));
    ImageSpec spec =
        new ImageSpec(
            name,
            volume,
            found.volume(),
            found.sizeBytes(),
            found.point(),
            false,
            "bench",
            new MicroTime(site.clock().micros()));
    BenchSite.await(images.serve(spec, false));
  }

  void close(String name) {
    BenchSite.await(images.drop(name));
  }

  NbdClient connect(String export) throws IOException {
    return NbdClient.connect(NbdUri.parse(nbd.addresses().get(0).uri(export)));
  }

  @Override
  public void close() throws IOException {
    nbd.close();
    images.close();
  }

  /** Whatever is opened is opened with the newest caches. */
  private final class Cold implements VolumePoints {
    @Override
    public CompletionStage<Located> locate(VolumeName volume, At at) {
      return cold.locate(volume, at);
    }

    @Override
    public CompletionStage<PointReader> open(Located located) {
      return cold.open(located);
    }
  }

  private final class Both implements NbdExports {
    @Override
    public Optional<NbdExport> find(String name) {
      Optional<NbdExport> other =
          others.stream().filter(export -> export.info().name().equals(name)).findFirst();
      return other.isPresent() ? other : images.exports().find(name);
    }

    @Override
    public List<NbdExportInfo> list() {
      return images.exports().list();
    }
  }
}
