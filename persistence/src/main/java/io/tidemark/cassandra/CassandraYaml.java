package io.tidemark.cassandra;

import java.nio.file.Path;
import java.util.Locale;

/** The configuration file of the embedded Cassandra, written anew at each start. */
final class CassandraYaml {
  private static final int COMMIT_LOG_SEGMENT_MEBIBYTES = 64;
  private static final int COMMIT_LOG_TOTAL_MEBIBYTES = 1024;

  private CassandraYaml() {}

  static String of(EmbeddedCassandraSettings settings, Path home) {
    String own = settings.address() + ":" + settings.storagePort();
    String seeds = settings.seeds().isEmpty() ? own : String.join(",", settings.seeds());
    return String.format(
            Locale.ROOT,
            """
            cluster_name: tidemark
            num_tokens: 1
            auto_bootstrap: false
            auto_snapshot: false
            partitioner: org.apache.cassandra.dht.Murmur3Partitioner
            endpoint_snitch: SimpleSnitch
            storage_compatibility_mode: NONE
            uuid_sstable_identifiers_enabled: true
            listen_address: %1$s
            rpc_address: %1$s
            storage_port: %2$d
            start_native_transport: true
            native_transport_port: %3$d
            native_transport_max_frame_size: 64MiB
            seed_provider:
              - class_name: org.apache.cassandra.locator.SimpleSeedProvider
                parameters:
                  - seeds: "%4$s"
            data_file_directories:
              - %5$s
            commitlog_directory: %6$s
            hints_directory: %7$s
            saved_caches_directory: %8$s
            commitlog_segment_size: %9$dMiB
            commitlog_total_space: %10$dMiB
            commitlog_disk_access_mode: %11$s
            # A node that cannot write must stop, so that it is seen and started again.
            disk_failure_policy: die
            commit_failure_policy: die
            memtable_allocation_type: offheap_objects
            memtable_heap_space: %12$dMiB
            memtable_offheap_space: %12$dMiB
            memtable_flush_writers: 1
            concurrent_compactors: 1
            compaction_throughput: 64MiB/s
            concurrent_reads: 16
            concurrent_writes: 32
            key_cache_size: 16MiB
            counter_cache_size: 0MiB
            file_cache_size: 64MiB
            # Deletions of whole partitions are what frees space; no copies of dropped tables.
            incremental_backups: false
            snapshot_before_compaction: false
            # A client that asks for authentication is served without.
            authenticator: AllowAllAuthenticator
            authorizer: AllowAllAuthorizer
            """,
            settings.address(),
            settings.storagePort(),
            settings.nativePort(),
            seeds,
            quoted(home.resolve("data")),
            quoted(home.resolve("commitlog")),
            quoted(home.resolve("hints")),
            quoted(home.resolve("saved_caches")),
            COMMIT_LOG_SEGMENT_MEBIBYTES,
            COMMIT_LOG_TOTAL_MEBIBYTES,
            settings.commitLogDirect() ? "direct" : "mmap",
            settings.memtableBytes() >> 20)
        + sync(settings);
  }

  private static String sync(EmbeddedCassandraSettings settings) {
    return switch (settings.commitLogSync()) {
      case BATCH -> "commitlog_sync: batch\n";
      case GROUP ->
          "commitlog_sync: group\ncommitlog_sync_group_window: "
              + settings.commitLogGroupWindow().toMillis()
              + "ms\n";
      case PERIODIC -> "commitlog_sync: periodic\ncommitlog_sync_period: 1000ms\n";
    };
  }

  private static String quoted(Path path) {
    return "'" + path.toString().replace("'", "''") + "'";
  }
}
