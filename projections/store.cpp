#include "projections/store.hpp"

#include "events/core/check.hpp"
#include "events/core/crash_point.hpp"
#include "events/log/sha256.hpp"
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
#include <condition_variable>
#include <map>
#include <mutex>

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

/// One projection, its column family and where it stands.
struct fold_line {
  std::unique_ptr<const projection> fold;
  rocksdb::ColumnFamilyHandle* family = nullptr;
  log_positions at;
  bool dropped = false;
};

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

std::string hex(const std::array<std::uint8_t, 32>& head) { return log::to_text(head); }

error cut_at(const std::string& path, std::string_view name, const folded_commit& theirs,
             const std::array<std::uint8_t, 32>& ours) {
  return error{
      error_code::log_cut,
      "projection '" + std::string(name) + "' in " + path + " was built from another record " +
          std::to_string(theirs.seq) + " of partition " +
          std::to_string(static_cast<unsigned>(theirs.where)) + " (hash " + hex(ours) +
          ") than the log now has (" + hex(theirs.head) +
          "): the log was cut or replaced. Restore the log that they were built from; only "
          "if this log is the right one, delete that folder, and they are rebuilt",
      false};
}

} // namespace

struct store::implementation {
  std::string path;
  std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(block_cache_bytes);
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  std::vector<fold_line> lines; ///< `at` is guarded by `mutex`; only the applying thread changes it

  std::mutex applying;       ///< held by the one thread that applies
  bool write_failed = false; ///< RocksDB takes no more writes until it is told to; as above
  mutable std::mutex mutex;
  mutable std::condition_variable moved;
  std::optional<error> stalled; ///< guarded by `mutex`

  ~implementation() {
    for (auto* handle : handles)
      db->DestroyColumnFamilyHandle(handle);
    if (db != nullptr)
      static_cast<void>(db->Close()); // everything is in the log of writes already
  }

  [[nodiscard]] result<void> open_database();
  [[nodiscard]] rocksdb::Status begin_family(fold_line& line);
  [[nodiscard]] rocksdb::Status prepare(fold_line& line);
  [[nodiscard]] rocksdb::Status read_positions(fold_line& line) const;
  [[nodiscard]] rocksdb::Status drop_unknown();
  [[nodiscard]] std::vector<log_positions> positions() const;
  [[nodiscard]] result<std::size_t> apply_batch(commit_span commits);
  void stall(const error& why);
  [[nodiscard]] result<void> write(const std::vector<std::unique_ptr<pending_rows>>& pending,
                                   const std::vector<log_positions>& reached);

  [[nodiscard]] const fold_line& line_of(std::string_view name) const {
    const auto found =
        std::ranges::find_if(lines, [name](const auto& one) { return one.fold->name() == name; });
    ORRERY_CHECK(found != lines.end());
    return *found;
  }
};

namespace {

/// One moment of all families.
class moment {
public:
  moment(rocksdb::DB& db, const std::string& path)
      : x_db(db), x_path(path), x_snapshot(db.GetSnapshot()) {}

  moment(const moment&) = delete;
  moment& operator=(const moment&) = delete;

  ~moment() { x_db.ReleaseSnapshot(x_snapshot); }

  [[nodiscard]] snapshot_reader rows(rocksdb::ColumnFamilyHandle* family) const {
    return {x_db, family, x_snapshot, x_path};
  }

private:
  rocksdb::DB& x_db;
  const std::string& x_path;
  const rocksdb::Snapshot* x_snapshot;
};

} // namespace

// Opening
// -------------------------------------------------------------------------------------------------

result<void> store::implementation::open_database() {
  std::vector<std::string> names;
  const auto options = db_options();
  // Fails for a folder that is not there yet: then there is only the default family.
  if (!rocksdb::DB::ListColumnFamilies(options, path, &names).ok() || names.empty())
    names = {rocksdb::kDefaultColumnFamilyName};
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  families.reserve(names.size());
  for (const auto& name : names)
    families.emplace_back(name, family_options(cache));
  rocksdb::DB* opened = nullptr;
  if (const auto status = rocksdb::DB::Open(options, path, families, &handles, &opened);
      !status.ok())
    return to_error(status, path);
  db.reset(opened);
  if (const auto status = drop_unknown(); !status.ok())
    return to_error(status, path);
  for (auto& line : lines)
    if (const auto status = prepare(line); !status.ok())
      return to_error(status, path);
  return {};
}

/// Drops the rows of projections that this version does not have.
rocksdb::Status store::implementation::drop_unknown() {
  for (auto* handle : handles) {
    const auto& name = handle->GetName();
    const bool wanted =
        name == rocksdb::kDefaultColumnFamilyName ||
        std::ranges::any_of(lines, [&](const auto& line) { return line.fold->name() == name; });
    if (wanted)
      continue;
    if (auto status = db->DropColumnFamily(handle); !status.ok())
      return status;
  }
  return rocksdb::Status::OK();
}

rocksdb::Status store::implementation::begin_family(fold_line& line) {
  if (auto status = db->CreateColumnFamily(family_options(cache), std::string(line.fold->name()),
                                           &line.family);
      !status.ok())
    return status;
  handles.push_back(line.family);
  rocksdb::WriteBatch batch;
  std::string version;
  add_u32(version, line.fold->version());
  if (auto status = batch.Put(line.family, version_key(), version); !status.ok())
    return status;
  return db->Write(rocksdb::WriteOptions(), &batch);
}

rocksdb::Status store::implementation::read_positions(fold_line& line) const {
  const moment now(*db, path);
  const auto rows = now.rows(line.family);
  line.at = positions_of(rows);
  return rows.failure() ? rocksdb::Status::Corruption(rows.failure()->text) : rocksdb::Status::OK();
}

/// Finds a projection's family, or makes it; one of another version is made anew.
rocksdb::Status store::implementation::prepare(fold_line& line) {
  const auto found = std::ranges::find_if(
      handles, [&](const auto* handle) { return handle->GetName() == line.fold->name(); });
  if (found == handles.end())
    return begin_family(line);
  std::string version;
  auto status = db->Get(rocksdb::ReadOptions(), *found, version_key(), &version);
  if (!status.ok() && !status.IsNotFound())
    return status;
  if (status.ok() && u32_at(version, 0) == line.fold->version()) {
    line.family = *found;
    return read_positions(line);
  }
  if (status = db->DropColumnFamily(*found); !status.ok())
    return status;
  // A family without a version: the process ended between making it and its first write.
  line.dropped = !version.empty();
  return begin_family(line);
}

result<std::unique_ptr<store>> store::open(const std::string& path, projection_list projections) {
  auto made = std::make_unique<implementation>();
  made->path = path;
  for (auto& fold : projections) {
    auto& line = made->lines.emplace_back();
    line.fold = std::move(fold);
  }
  if (const auto opened = made->open_database(); !opened)
    return opened.error();
  return std::unique_ptr<store>(new store(std::move(made)));
}

store::store(std::unique_ptr<implementation> made) : x_implementation(std::move(made)) {}

store::~store() = default;

// Folding
// -------------------------------------------------------------------------------------------------

std::vector<log_positions> store::implementation::positions() const {
  const std::lock_guard lock(mutex);
  std::vector<log_positions> found;
  found.reserve(lines.size());
  for (const auto& line : lines)
    found.push_back(line.at);
  return found;
}

result<void> store::implementation::write(const std::vector<std::unique_ptr<pending_rows>>& pending,
                                          const std::vector<log_positions>& reached) {
  rocksdb::WriteBatch batch;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!pending[i]->failure().ok())
      return to_error(pending[i]->failure(), path);
    if (reached[i] == lines[i].at)
      continue;
    auto status = pending[i]->add_to(batch);
    for (const auto& [where, position] : reached[i].all())
      if (status.ok() && position != lines[i].at.at(where))
        status = batch.Put(lines[i].family, position_key(where), to_row(position));
    if (!status.ok())
      return to_error(status, path);
  }
  if (batch.Count() == 0)
    return {};
  crash_point("projection.write.before");
  if (write_failed)
    if (const auto status = db->Resume(); !status.ok())
      return to_error(status, path);
  const auto status = db->Write(rocksdb::WriteOptions(), &batch);
  write_failed = !status.ok();
  if (write_failed)
    return to_error(status, path);
  crash_point("projection.write.after");
  const std::lock_guard lock(mutex);
  stalled.reset();
  for (std::size_t i = 0; i < lines.size(); ++i)
    lines[i].at = reached[i];
  moved.notify_all();
  return {};
}

/// What `store::stalled` says until the next write.
void store::implementation::stall(const error& why) {
  if (!why.retryable)
    return;
  const std::lock_guard lock(mutex);
  stalled = why;
  moved.notify_all();
}

/// Folds as many of the commits as one batch takes, and writes them; says how many that were.
result<std::size_t> store::implementation::apply_batch(commit_span commits) {
  std::vector<std::unique_ptr<pending_rows>> pending;
  for (const auto& line : lines)
    pending.push_back(std::make_unique<pending_rows>(*db, line.family));
  auto reached = positions();
  std::size_t folded = 0;
  for (std::size_t bytes = 0;
       folded < std::min(commits.size(), batch_commits_max) && bytes < batch_bytes_max; ++folded) {
    ORRERY_CHECK(commits[folded]->body != nullptr);
    bytes += commits[folded]->bytes;
  }
  commits = commits.first(folded);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::vector<std::shared_ptr<const folded_commit>> wanted; // most often all
    wanted.reserve(commits.size());
    for (const auto& commit : commits) {
      const auto& at = reached[i].at(commit->where);
      if (commit->seq == at.seq && commit->head != at.head)
        return cut_at(path, lines[i].fold->name(), *commit, at.head);
      if (commit->seq <= at.seq)
        continue;
      reached[i].set(commit->where, {commit->seq, commit->head});
      wanted.push_back(commit);
    }
    if (!wanted.empty())
      lines[i].fold->apply(wanted, *pending[i]);
  }
  if (const auto written = write(pending, reached); !written)
    return written.error();
  return folded;
}

result<void> store::apply(commit_span commits) {
  const std::lock_guard lock(x_implementation->applying);
  while (!commits.empty()) {
    const auto folded = x_implementation->apply_batch(commits);
    if (!folded) {
      x_implementation->stall(folded.error());
      return folded.error();
    }
    commits = commits.subspan(*folded);
  }
  return {};
}

std::optional<error> store::stalled() const {
  const std::lock_guard lock(x_implementation->mutex);
  return x_implementation->stalled;
}

result<void> store::check(partition_number where, std::uint64_t seq,
                          const std::array<std::uint8_t, 32>& head) const {
  const std::lock_guard lock(x_implementation->mutex);
  for (const auto& line : x_implementation->lines)
    if (const auto& at = line.at.at(where); at.seq == seq && at.head != head && seq != 0) {
      folded_commit one;
      one.where = where;
      one.seq = seq;
      one.head = head;
      return cut_at(x_implementation->path, line.fold->name(), one, at.head);
    }
  return {};
}

result<void> store::check_log_end(partition_number where, std::uint64_t last_seq) const {
  const auto positions = x_implementation->positions();
  for (std::size_t i = 0; i < positions.size(); ++i)
    if (const auto seq = positions[i].at(where).seq; seq > last_seq)
      return error{
          error_code::log_cut,
          "the log of partition " + std::to_string(static_cast<unsigned>(where)) +
              " ends with record " + std::to_string(last_seq) + ", before record " +
              std::to_string(seq) + " that projection '" +
              std::string(x_implementation->lines[i].fold->name()) + "' in " +
              x_implementation->path +
              " was built from: acknowledged records are lost. Restore the log; delete that folder "
              "only if you accept the loss",
          false};
  return {};
}

std::vector<projection_status> store::status() const {
  const auto positions = x_implementation->positions();
  std::vector<projection_status> found;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const auto& line = x_implementation->lines[i];
    found.push_back({line.fold->name(), line.fold->version(), positions[i], line.dropped});
  }
  return found;
}

std::optional<log_positions> store::positions(std::string_view projection) const {
  for (const auto& one : status())
    if (one.name == projection)
      return one.at;
  return std::nullopt;
}

log_position store::lowest_position(partition_number where) const {
  return lowest_positions().at(where);
}

log_positions store::lowest_positions() const {
  const auto positions = x_implementation->positions();
  log_positions lowest;
  if (positions.empty())
    return lowest;
  for (const auto& [where, first] : positions.front().all()) {
    auto at = first;
    for (const auto& other : positions)
      at = std::min(at, other.at(where), [](auto& x, auto& y) { return x.seq < y.seq; });
    lowest.set(where, at);
  }
  return lowest;
}

bool store::wait_for(partition_number where, std::uint64_t seq,
                     std::chrono::milliseconds timeout) const {
  std::unique_lock lock(x_implementation->mutex);
  const auto is_reached = [this, where, seq] {
    return std::ranges::all_of(x_implementation->lines, [where, seq](const auto& line) {
      return line.at.at(where).seq >= seq;
    });
  };
  static_cast<void>(x_implementation->moved.wait_for(
      lock, timeout, [&] { return is_reached() || x_implementation->stalled; }));
  return is_reached();
}

bool store::wait_for_thing(const uuid& id, std::chrono::milliseconds timeout) const {
  const auto is_there = [this, &id] {
    const moment now(*x_implementation->db, x_implementation->path);
    return is_known(now.rows(x_implementation->line_of(inventory::family).family), id);
  };
  std::unique_lock lock(x_implementation->mutex);
  static_cast<void>(x_implementation->moved.wait_for(
      lock, timeout, [&] { return is_there() || x_implementation->stalled; }));
  return is_there();
}

result<std::string> store::digest() const {
  const moment now(*x_implementation->db, x_implementation->path);
  auto lines = std::vector<const fold_line*>();
  for (const auto& line : x_implementation->lines)
    lines.push_back(&line);
  std::ranges::sort(lines, {}, [](const fold_line* line) { return line->fold->name(); });
  log::sha256 hash;
  const auto add = [&hash](std::string_view bytes) {
    std::string size; // lengths, so that no two sets of rows give the same bytes
    add_u64(size, bytes.size());
    hash.update(size);
    hash.update(bytes);
  };
  for (const auto* line : lines) {
    const auto rows = now.rows(line->family);
    rows.scan({}, [&](std::string_view key, std::string_view value) {
      add(line->fold->name());
      add(key);
      add(value);
      return true;
    });
    if (rows.failure())
      return *rows.failure();
  }
  return log::to_text(hash.finish());
}

// Questions
// -------------------------------------------------------------------------------------------------

namespace {

/// The answer, unless one of the rows that it came from could not be read.
template <class Answer> Answer judged(Answer said, std::initializer_list<const reader*> from) {
  for (const auto* rows : from)
    if (rows->failure())
      return *rows->failure();
  return said;
}

} // namespace

result<listing<v1::Vm>> store::list_vms(const vm_filter& filter, const page& wanted) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto rows = now.rows(x_implementation->line_of(inventory::family).family);
  return judged(projections::list_vms(rows, filter, wanted), {&rows});
}

result<listing<v1::Cluster>> store::list_clusters(const inventory_filter& filter,
                                                  const page& wanted) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto rows = now.rows(x_implementation->line_of(inventory::family).family);
  return judged(projections::list_clusters(rows, filter, wanted), {&rows});
}

result<listing<v1::Node>> store::list_nodes(const inventory_filter& filter,
                                            const page& wanted) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto rows = now.rows(x_implementation->line_of(inventory::family).family);
  return judged(projections::list_nodes(rows, filter, wanted), {&rows});
}

result<listing<v1::Network>> store::list_networks(const inventory_filter& filter,
                                                  const page& wanted) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto rows = now.rows(x_implementation->line_of(inventory::family).family);
  return judged(projections::list_networks(rows, filter, wanted), {&rows});
}

result<answer<v1::Vm>> store::find_vm(std::string_view name_or_id) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto rows = now.rows(x_implementation->line_of(inventory::family).family);
  return judged(projections::find_vm(rows, name_or_id), {&rows});
}

result<answer<v1::Cluster>> store::find_cluster(std::string_view name_or_id) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto rows = now.rows(x_implementation->line_of(inventory::family).family);
  return judged(projections::find_cluster(rows, name_or_id), {&rows});
}

result<answer<v1::Node>> store::find_node(std::string_view name_or_id) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto rows = now.rows(x_implementation->line_of(inventory::family).family);
  return judged(projections::find_node(rows, name_or_id), {&rows});
}

result<answer<v1::Network>> store::find_network(std::string_view name_or_id) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto rows = now.rows(x_implementation->line_of(inventory::family).family);
  return judged(projections::find_network(rows, name_or_id), {&rows});
}

result<listing<v1::Job>> store::list_jobs(const job_filter& filter, const page& wanted) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto things = now.rows(x_implementation->line_of(inventory::family).family);
  const auto rows = now.rows(x_implementation->line_of(jobs::family).family);
  job_terms terms;
  terms.state = filter.state;
  if (!filter.resource.empty()) {
    const auto found = find_resource(things, filter.resource);
    if (!found)
      return judged(result<listing<v1::Job>>(found.error()), {&things});
    terms.resource = *found;
  }
  return judged(projections::list_jobs(rows, terms, wanted), {&things, &rows});
}

result<answer<v1::Job>> store::find_job(std::string_view id) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto rows = now.rows(x_implementation->line_of(jobs::family).family);
  return judged(projections::find_job(rows, id), {&rows});
}

result<listing<v1::TimelineEntry>> store::list_events(const event_filter& filter,
                                                      const page& wanted) const {
  const moment now(*x_implementation->db, x_implementation->path);
  const auto things = now.rows(x_implementation->line_of(inventory::family).family);
  const auto rows = now.rows(x_implementation->line_of(timeline::family).family);
  event_terms terms;
  terms.order = filter.order;
  if (!filter.resource.empty()) {
    const auto found = find_resource(things, filter.resource);
    if (!found)
      return judged(result<listing<v1::TimelineEntry>>(found.error()), {&things});
    if (!is_known(things, *found) && !has_events(rows, *found))
      return judged(result<listing<v1::TimelineEntry>>(
                        error{error_code::not_found,
                              "there is and was no resource " + to_text(*found) +
                                  ": `orrery vm list`, `orrery node list` and so on show what "
                                  "there is",
                              false}),
                    {&things, &rows});
    terms.resource = *found;
  }
  return judged(projections::list_events(rows, terms, wanted), {&things, &rows});
}

} // namespace orrery::projections
