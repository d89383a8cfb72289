#include "projections/database_options.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <algorithm>

namespace orrery::projections {

namespace {

/// Blocks of rows kept in memory, for all projections together: the hot rows of some 5,000 VMs.
/// The page cache of the machine holds the rest.
constexpr std::size_t block_cache_bytes = std::size_t{16} * 1024 * 1024;

/// Rows of one projection gathered in memory before they become a file. A row that changes often is
/// written out once for many changes, and files are merged more rarely: with 16 MiB a quarter of
/// the processor time of a busy partition went into merging.
constexpr std::size_t write_buffer_bytes = std::size_t{32} * 1024 * 1024;

/// One that fills while others are written out, so that folding need not wait for the disk.
constexpr int write_buffers_max = 3;

/// Files of the first two levels live for a moment only, so compressing them is wasted.
constexpr std::size_t levels_uncompressed = 2;
constexpr std::size_t levels = 7; // RocksDB's own number

/// Of RocksDB, which would else keep every file open.
constexpr int open_files_max = 256;

constexpr double bloom_bits_per_key = 10; // 1 % of false alarms, RocksDB's own advice

/// Swallows RocksDB's own log. Written to a file beside the rows, as RocksDB does by itself, a full
/// disk would end the process (the library as Debian builds it asserts that no write follows a
/// failed one); what matters comes back as a status.
class no_log final : public rocksdb::Logger {
public:
  using rocksdb::Logger::Logv;

  void Logv(const char*, va_list) override {}
};

/// After a full disk the next write asks whether it goes on. RocksDB's own thread would wait for
/// room for whole write buffers, and refuse to be asked meanwhile.
class no_recovery_thread final : public rocksdb::EventListener {
public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* wanted) override {
    *wanted = false;
  }
};

} // namespace

std::shared_ptr<rocksdb::Cache> new_block_cache() {
  return rocksdb::NewLRUCache(block_cache_bytes);
}

rocksdb::ColumnFamilyOptions family_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(bloom_bits_per_key));
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = write_buffer_bytes;
  options.max_write_buffer_number = write_buffers_max;
  options.compression_per_level.assign(levels, rocksdb::kLZ4Compression);
  std::fill_n(options.compression_per_level.begin(), levels_uncompressed, rocksdb::kNoCompression);
  // A batch comes in the order of its keys, so each row's place is beside that of the last one with
  // the same first byte.
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(1));
  return options;
}

rocksdb::DBOptions db_options() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = open_files_max;
  options.max_background_jobs = 2;
  options.allow_fallocate = false; // else each log of writes reserves a whole write buffer's room
  options.allow_concurrent_memtable_write = false; // one thread writes; needed for the hints
  options.info_log = std::make_shared<no_log>();
  options.listeners.push_back(std::make_shared<no_recovery_thread>());
  // The log of writes is not synced, so a power loss may cut it. Families flushed together keep one
  // point in time then.
  options.atomic_flush = true;
  return options;
}

} // namespace orrery::projections
