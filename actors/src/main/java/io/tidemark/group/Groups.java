package io.tidemark.group;

import io.tidemark.catalog.TagCatalog;
import io.tidemark.position.VolumeName;
import io.tidemark.tag.HoldTimes;
import io.tidemark.tag.TagMark;
import io.tidemark.tag.TagSummary;
import java.util.List;
import java.util.concurrent.CompletionStage;

/**
 * The site's groups and their tags, the same from every node. Stages fail with {@code Refusal}; one
 * that had no answer in time fails with {@code NOT_ACKNOWLEDGED}.
 */
public interface Groups {
  /**
   * {@code NOT_FOUND} for a volume that does not exist, {@code ALREADY_EXISTS} when there is one of
   * the name with other volumes; repeating is safe.
   */
  CompletionStage<GroupSummary> create(String name, List<VolumeName> volumes);

  /** In name order. */
  CompletionStage<List<GroupSummary>> list();

  CompletionStage<GroupSummary> get(String name);

  /** Deletes a group and all its tags; {@code BUSY} while one is being taken or locked. */
  CompletionStage<Void> delete(String name);

  /** Takes tags by itself from now on; replaces a schedule of the same name. */
  CompletionStage<GroupSummary> setSchedule(String group, Schedule schedule);

  CompletionStage<GroupSummary> removeSchedule(String group, String schedule);

  /**
   * Takes a tag and waits until it is committed or failed.
   *
   * @return the tag, failed or not; while it is still being journaled after a while, as it is then
   */
  CompletionStage<TagSummary> take(String group, TagRequest request);

  /**
   * Takes over a tag that another site committed, for the replicas here; makes the group if need
   * be. {@code NOT_ACKNOWLEDGED} while a replica has not reached its mark, {@code ALREADY_EXISTS}
   * when the group has other volumes or another tag of the name. Safe to repeat.
   */
  CompletionStage<TagSummary> adopt(TagSummary tag);

  /** Tags that settled, newest first. */
  CompletionStage<TagList> tags(String group, TagCatalog.Query query);

  /**
   * Those of {@link #tags} whose names and notes have the words. At most {@link
   * TagCatalog#SCANNED_MAX} tags are looked at for one answer: it may be empty and yet have {@code
   * more}.
   */
  CompletionStage<TagList> search(String group, TagWords words, TagCatalog.Query query);

  /**
   * Tags found.
   *
   * @param more whether there may be older ones
   * @param untilMicros all that there are from this time on were looked at; where to go on before
   */
  record TagList(List<TagSummary> tags, boolean more, long untilMicros) {}

  CompletionStage<TagSummary> tag(String group, String tag);

  /** A locked tag is kept, with what it names, until it is unlocked. */
  CompletionStage<TagSummary> lock(String group, String tag, boolean locked);

  /**
   * The point that {@code tag:NAME} or {@code tag:GROUP/NAME} names of a volume.
   *
   * @return fails with {@code NOT_FOUND}, or {@code INVALID} when several groups of the volume have
   *     a tag of the name
   */
  CompletionStage<TagMark> resolve(VolumeName volume, String tag);

  /** Committed tags of all groups of the volume, newest first. */
  CompletionStage<TagList> tagsOf(VolumeName volume, TagCatalog.Query query);

  /** What locked tags name of the volume: it must not be purged (J8). */
  CompletionStage<List<TagMark>> lockedMarks(VolumeName volume);

  /** Holds of tags that this node took. */
  HoldTimes.Snapshot holds();
}
