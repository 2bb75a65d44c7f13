/**
 * Reads file systems with the machine's well-kept tools: what a disk holds, directories, metadata,
 * where a file's content lies.
 *
 * <pre>
 *   file system          tools                         content
 *   ext2, ext3, ext4     debugfs; e2fsck replays        by extents; without any, debugfs cat
 *   xfs                  xfs_db; the kernel replays     by extents
 *   ntfs, fat, exfat     Sleuth Kit's fls and icat      icat
 *   partitions           blkid, sfdisk
 * </pre>
 *
 * <p>Names are bytes to most file systems; here they are strings of one character a byte (ISO
 * 8859-1), decoded only where they are shown.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>F1 Tools are asked by inode number only; a path is walked here, one directory at a time, so
 *       that no name ever has to be quoted.
 *   <li>F2 A name can forge nothing: tools' answers are parsed by lengths and by characters that no
 *       name can have.
 *   <li>F3 A journal that was not replayed is told, never passed over: {@link
 *       io.tidemark.filesystem.JournalState}.
 *   <li>F4 What is read of a disk has named limits: entries of a directory, links followed, time,
 *       length of every answer; answers that are large wait for one another. A number that cannot
 *       be is {@code UNREADABLE}.
 * </ol>
 */
package io.tidemark.filesystem;
