package io.tidemark.http;

import io.tidemark.export.Exports;
import io.tidemark.files.VolumeFiles;
import io.tidemark.group.Groups;
import io.tidemark.image.Images;
import io.tidemark.image.VolumePoints;
import io.tidemark.job.Jobs;
import io.tidemark.link.Links;
import io.tidemark.position.MicroClock;
import io.tidemark.site.Retention;
import io.tidemark.site.Site;
import io.tidemark.sizing.Sizing;
import io.tidemark.verify.Verifications;

/** What the admin interface administers. */
public record AdminServices(
    Site site,
    Retention retention,
    Groups groups,
    Links links,
    VolumePoints points,
    Images images,
    Jobs jobs,
    Exports exports,
    Verifications verifications,
    Sizing sizing,
    RecoveryServices recovery,
    VolumeFiles files,
    NodeStatus status,
    MicroClock clock) {}
