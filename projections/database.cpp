#include "projections/database.hpp"

#include "events/core/crash_point.hpp"
#include "projections/rows.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <map>
#include <utility>

namespace orrery::projections {

namespace {

/// Blocks of rows kept in memory, for all projections together: the hot rows of some 10,000 VMs.
/// The page cache of the machine holds the rest.
constexpr std::size_t block_cache_bytes = std::size_t{32} * 1024 * 1024;

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

error to_error(const rocksdb::Status& status, const std::string& path) {
  const auto said = status.ToString();
  // Busy: after a full disk RocksDB looks for room every few seconds, and does not want to be
  // asked.
  if (status.IsNoSpace() || status.IsBusy())
    return error{error_code::storage_full,
                 "the disk of the projections in " + path +
                     " is full: make room; what is missing is folded again (" + said + ")",
                 true};
  if (status.IsCorruption() || status.IsNotSupported() || status.IsInvalidArgument())
    return error{error_code::damaged,
                 "the projections in " + path +
                     " cannot be read: stop, delete that folder and start again; they are rebuilt "
                     "from the log (" +
                     said + ")",
                 false};
  // RocksDB has no code of its own for a lock that is held.
  if (status.IsIOError() && said.find("lock") != std::string::npos)
    return error{error_code::locked,
                 "another process has the projections in " + path + " open (" + said + ")", false};
  return error{error_code::io_failed,
               "the projections in " + path + " cannot be read or written (" + said + ")", false};
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

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

std::string_view view_of(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

/// Rows of one family at one moment.
class snapshot_reader final : public reader {
public:
  snapshot_reader(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family,
                  const rocksdb::Snapshot* snapshot, const std::string& path)
      : x_db(db), x_family(family), x_path(path) {
    x_options.snapshot = snapshot;
  }

  [[nodiscard]] std::optional<std::string> find(std::string_view key) const override {
    std::string value;
    const auto status = x_db.Get(x_options, x_family, slice(key), &value);
    if (status.ok())
      return value;
    if (!status.IsNotFound())
      fail(to_error(status, x_path));
    return std::nullopt;
  }

  void scan(const key_range& range, const visitor& visit) const override {
    const std::unique_ptr<rocksdb::Iterator> rows(x_db.NewIterator(x_options, x_family));
    const bool ascending = range.order == direction::ascending;
    if (ascending)
      rows->Seek(slice(range.after.empty() ? range.prefix : range.after));
    else
      rows->SeekForPrev(slice(range.after.empty() ? end_of(range.prefix) : range.after));
    for (; rows->Valid(); ascending ? rows->Next() : rows->Prev()) {
      const auto key = view_of(rows->key());
      if (!range.after.empty() && key == range.after)
        continue;
      if (!key.starts_with(range.prefix) || !visit(key, view_of(rows->value())))
        break;
    }
    if (!rows->status().ok())
      fail(to_error(rows->status(), x_path));
  }

private:
  /// A key behind all that begin with `prefix`; no key of ours has so many 0xff in a row.
  static std::string end_of(const std::string& prefix) {
    return prefix + std::string(uuid_size * 2, '\xff');
  }

  rocksdb::DB& x_db;
  rocksdb::ColumnFamilyHandle* x_family;
  rocksdb::ReadOptions x_options;
  const std::string& x_path;
};

/// Changes of one family that wait for the next write.
class pending_rows final : public writer {
public:
  pending_rows(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) : x_db(db), x_family(family) {}

  [[nodiscard]] std::optional<std::string> find(std::string_view key) override {
    if (const auto changed = x_changed.find(key); changed != x_changed.end())
      return changed->second;
    std::string value;
    const auto status = x_db.Get(rocksdb::ReadOptions(), x_family, slice(key), &value);
    if (status.ok())
      return value;
    if (!status.IsNotFound() && x_failure.ok())
      x_failure = status;
    return std::nullopt;
  }

  void put(std::string key, std::string value) override {
    x_changed.insert_or_assign(std::move(key), std::move(value));
  }

  void erase(std::string key) override { x_changed.insert_or_assign(std::move(key), std::nullopt); }

  [[nodiscard]] const rocksdb::Status& failure() const { return x_failure; }

  [[nodiscard]] rocksdb::Status add_to(rocksdb::WriteBatch& batch) const {
    for (const auto& [key, value] : x_changed) {
      auto status = value ? batch.Put(x_family, key, *value) : batch.Delete(x_family, slice(key));
      if (!status.ok())
        return status;
    }
    return rocksdb::Status::OK();
  }

private:
  rocksdb::DB& x_db;
  rocksdb::ColumnFamilyHandle* x_family;
  std::map<std::string, std::optional<std::string>, std::less<>> x_changed;
  rocksdb::Status x_failure;
};

} // namespace

struct database::implementation {
  struct family {
    family_wish wish;
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    bool dropped = false;
  };

  std::string path;
  std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(block_cache_bytes);
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  std::vector<family> families;
  rocksdb::WriteBatch batch; ///< of one write at a time: its memory is used again
  bool write_failed = false; ///< RocksDB takes no more writes until it is told to

  ~implementation() {
    for (auto* handle : handles)
      db->DestroyColumnFamilyHandle(handle);
    if (db != nullptr)
      static_cast<void>(db->Close()); // everything is in the log of writes already
  }

  [[nodiscard]] rocksdb::Status open();
  [[nodiscard]] rocksdb::Status begin_family(family& one);
  [[nodiscard]] rocksdb::Status prepare(family& one);
  [[nodiscard]] rocksdb::Status drop_unknown();
};

namespace {

class snapshot final : public database::moment {
public:
  snapshot(rocksdb::DB& db, const std::string& path,
           std::vector<rocksdb::ColumnFamilyHandle*> handles)
      : x_db(db), x_path(path), x_handles(std::move(handles)), x_snapshot(db.GetSnapshot()) {}

  ~snapshot() override { x_db.ReleaseSnapshot(x_snapshot); }

  [[nodiscard]] std::unique_ptr<reader> rows(std::size_t family) const override {
    return std::make_unique<snapshot_reader>(x_db, x_handles.at(family), x_snapshot, x_path);
  }

private:
  rocksdb::DB& x_db;
  const std::string& x_path;
  const std::vector<rocksdb::ColumnFamilyHandle*> x_handles;
  const rocksdb::Snapshot* x_snapshot;
};

class pending_changes final : public database::changes {
public:
  pending_changes(rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& handles) {
    for (auto* handle : handles)
      x_families.push_back(std::make_unique<pending_rows>(db, handle));
  }

  [[nodiscard]] writer& rows(std::size_t family) override { return *x_families.at(family); }

  [[nodiscard]] rocksdb::Status add_to(rocksdb::WriteBatch& batch) const {
    for (const auto& one : x_families) {
      if (!one->failure().ok())
        return one->failure();
      if (auto status = one->add_to(batch); !status.ok())
        return status;
    }
    return rocksdb::Status::OK();
  }

private:
  std::vector<std::unique_ptr<pending_rows>> x_families;
};

} // namespace

// Opening
// -------------------------------------------------------------------------------------------------

rocksdb::Status database::implementation::open() {
  std::vector<std::string> names;
  const auto settings = db_options();
  // Fails for a folder that is not there yet: then there is only the default family.
  if (!rocksdb::DB::ListColumnFamilies(settings, path, &names).ok() || names.empty())
    names = {rocksdb::kDefaultColumnFamilyName};
  std::vector<rocksdb::ColumnFamilyDescriptor> there;
  there.reserve(names.size());
  for (const auto& name : names)
    there.emplace_back(name, family_options(cache));
  rocksdb::DB* opened = nullptr;
  if (auto status = rocksdb::DB::Open(settings, path, there, &handles, &opened); !status.ok())
    return status;
  db.reset(opened);
  if (auto status = drop_unknown(); !status.ok())
    return status;
  for (auto& one : families)
    if (auto status = prepare(one); !status.ok())
      return status;
  return rocksdb::Status::OK();
}

rocksdb::Status database::implementation::drop_unknown() {
  for (auto* handle : handles) {
    const auto& name = handle->GetName();
    const bool is_wanted =
        name == rocksdb::kDefaultColumnFamilyName ||
        std::ranges::any_of(families, [&](const auto& one) { return one.wish.name == name; });
    if (is_wanted)
      continue;
    if (auto status = db->DropColumnFamily(handle); !status.ok())
      return status;
  }
  return rocksdb::Status::OK();
}

rocksdb::Status database::implementation::begin_family(family& one) {
  if (auto status = db->CreateColumnFamily(family_options(cache), one.wish.name, &one.handle);
      !status.ok())
    return status;
  handles.push_back(one.handle);
  std::string version;
  add_u32(version, one.wish.version);
  return db->Put(rocksdb::WriteOptions(), one.handle, version_key(), version);
}

/// Finds a family, or makes it; one of another version is made anew.
rocksdb::Status database::implementation::prepare(family& one) {
  const auto found = std::ranges::find_if(
      handles, [&](const auto* handle) { return handle->GetName() == one.wish.name; });
  if (found == handles.end())
    return begin_family(one);
  std::string version;
  auto status = db->Get(rocksdb::ReadOptions(), *found, version_key(), &version);
  if (!status.ok() && !status.IsNotFound())
    return status;
  if (status.ok() && u32_at(version, 0) == one.wish.version) {
    one.handle = *found;
    return status;
  }
  if (status = db->DropColumnFamily(*found); !status.ok())
    return status;
  // A family without a version: the process ended between making it and its first write.
  one.dropped = !version.empty();
  return begin_family(one);
}

result<std::unique_ptr<database>> database::open(const std::string& path,
                                                 std::vector<family_wish> families) {
  auto made = std::make_unique<implementation>();
  made->path = path;
  for (auto& wish : families)
    made->families.push_back({std::move(wish)});
  if (const auto status = made->open(); !status.ok())
    return to_error(status, path);
  return std::unique_ptr<database>(new database(std::move(made)));
}

database::database(std::unique_ptr<implementation> made) : x_implementation(std::move(made)) {}

database::~database() = default;

// Reading and writing
// -------------------------------------------------------------------------------------------------

namespace {

template <class Families>
std::vector<rocksdb::ColumnFamilyHandle*> handles_of(const Families& families) {
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  handles.reserve(families.size());
  for (const auto& one : families)
    handles.push_back(one.handle);
  return handles;
}

} // namespace

bool database::was_dropped(std::size_t family) const {
  return x_implementation->families.at(family).dropped;
}

std::unique_ptr<database::moment> database::now() const {
  return std::make_unique<snapshot>(*x_implementation->db, x_implementation->path,
                                    handles_of(x_implementation->families));
}

std::unique_ptr<database::changes> database::begin_changes() {
  return std::make_unique<pending_changes>(*x_implementation->db,
                                           handles_of(x_implementation->families));
}

result<void> database::write(changes& made) {
  auto& own = *x_implementation;
  own.batch.Clear();
  if (const auto status = static_cast<pending_changes&>(made).add_to(own.batch); !status.ok())
    return to_error(status, own.path);
  if (own.batch.Count() == 0)
    return {};
  crash_point("projection.write.before");
  if (own.write_failed)
    if (const auto status = own.db->Resume(); !status.ok())
      return to_error(status, own.path);
  const auto status = own.db->Write(rocksdb::WriteOptions(), &own.batch);
  own.write_failed = !status.ok();
  if (own.write_failed)
    return to_error(status, own.path);
  crash_point("projection.write.after");
  return {};
}

} // namespace orrery::projections
