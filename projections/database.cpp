#include "projections/database.hpp"

#include "events/core/crash_point.hpp"
#include "projections/database_options.hpp"
#include "projections/rows.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace orrery::projections {

namespace {

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

/// Keeps a family's rows readable as long as somebody holds it, also when it was dropped meanwhile.
using family_handle = std::shared_ptr<rocksdb::ColumnFamilyHandle>;

family_handle held(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle) {
  return {handle, [&db](rocksdb::ColumnFamilyHandle* one) { db.DestroyColumnFamilyHandle(one); }};
}

/// A moment of all families.
using moment_handle = std::shared_ptr<const rocksdb::Snapshot>;

/// In the default family: under which name the rows of a projection lie. Without it, its own.
std::string live_key(std::string_view family) { return "live " + std::string(family); }

/// A rebuilt family lies under the other one of its two names.
std::string other_name(std::string_view family, std::string_view name) {
  return name == family ? std::string(family) + ".rebuilt" : std::string(family);
}

/// Where rows of a family made in bulk are written; moved from there into the database.
std::string bulk_file(const std::string& path, std::string_view name) {
  return path + "/" + std::string(name) + ".sst";
}

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

std::string_view view_of(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

/// Rows of one family at one moment.
class snapshot_reader final : public reader {
public:
  /// Without a snapshot: the rows as they are.
  snapshot_reader(rocksdb::DB& db, family_handle family, moment_handle moment,
                  const std::string& path)
      : x_db(db), x_family(std::move(family)), x_moment(std::move(moment)), x_path(path) {
    x_options.snapshot = x_moment.get();
  }

  [[nodiscard]] std::optional<std::string> find(std::string_view key) const override {
    std::string value;
    const auto status = x_db.Get(x_options, x_family.get(), slice(key), &value);
    if (status.ok())
      return value;
    if (!status.IsNotFound())
      fail(to_error(status, x_path));
    return std::nullopt;
  }

  void scan(const key_range& range, const visitor& visit) const override {
    const std::unique_ptr<rocksdb::Iterator> rows(x_db.NewIterator(x_options, x_family.get()));
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
  const family_handle x_family;
  const moment_handle x_moment;
  rocksdb::ReadOptions x_options;
  const std::string& x_path;
};

/// The rows of a family as they are now. Keeps the first failure of a read.
class stored_rows {
public:
  stored_rows(rocksdb::DB& db, family_handle family) : x_db(db), x_family(std::move(family)) {}

  [[nodiscard]] std::optional<std::string> find(std::string_view key) {
    std::string value;
    const auto status = x_db.Get(rocksdb::ReadOptions(), x_family.get(), slice(key), &value);
    if (status.ok())
      return value;
    if (!status.IsNotFound() && x_failure.ok())
      x_failure = status;
    return std::nullopt;
  }

  [[nodiscard]] const rocksdb::Status& failure() const { return x_failure; }

  [[nodiscard]] rocksdb::DB& db() const { return x_db; }

  [[nodiscard]] rocksdb::ColumnFamilyHandle* family() const { return x_family.get(); }

private:
  rocksdb::DB& x_db;
  const family_handle x_family;
  rocksdb::Status x_failure;
};

/// Changes of one family that wait for the next write.
class pending_rows final : public writer {
public:
  pending_rows(rocksdb::DB& db, family_handle family) : x_stored(db, std::move(family)) {}

  [[nodiscard]] std::optional<std::string> find(std::string_view key) override {
    if (const auto changed = x_changed.find(key); changed != x_changed.end())
      return changed->second;
    return x_stored.find(key);
  }

  void put(std::string key, std::string value) override {
    x_changed.insert_or_assign(std::move(key), std::move(value));
  }

  void erase(std::string key) override { x_changed.insert_or_assign(std::move(key), std::nullopt); }

  [[nodiscard]] const rocksdb::Status& failure() const { return x_stored.failure(); }

  [[nodiscard]] rocksdb::Status add_to(rocksdb::WriteBatch& batch) const {
    for (const auto& [key, value] : x_changed) {
      auto status = value ? batch.Put(x_stored.family(), key, *value)
                          : batch.Delete(x_stored.family(), slice(key));
      if (!status.ok())
        return status;
    }
    return rocksdb::Status::OK();
  }

private:
  stored_rows x_stored;
  std::map<std::string, std::optional<std::string>, std::less<>> x_changed;
};

} // namespace

struct database::implementation {
  struct family {
    family_wish wish;
    family_handle handle; ///< guarded by `guard` once the database is open
    bool dropped = false;
  };

  std::string path;
  std::shared_ptr<rocksdb::Cache> cache = new_block_cache();
  std::unique_ptr<rocksdb::DB> db;
  family_handle standard; ///< RocksDB's default family
  std::mutex guard;
  std::vector<family> families;
  rocksdb::WriteBatch batch; ///< of one write at a time: its memory is used again
  bool write_failed = false; ///< RocksDB takes no more writes until it is told to

  ~implementation() {
    families.clear();
    standard.reset();
    if (db != nullptr)
      static_cast<void>(db->Close()); // everything is in the log of writes already
  }

  using found_families = std::map<std::string, family_handle, std::less<>>;

  [[nodiscard]] rocksdb::Status open();
  void remove_bulk_files() const;
  [[nodiscard]] rocksdb::Status begin_family(const std::string& name, family_handle& made);
  [[nodiscard]] rocksdb::Status prepare(family& one, found_families& found);
  [[nodiscard]] std::vector<family_handle> handles();
  [[nodiscard]] std::unique_ptr<moment> now();
};

namespace {

class snapshot final : public database::moment {
public:
  snapshot(rocksdb::DB& db, const std::string& path, std::vector<family_handle> handles)
      : x_db(db), x_path(path), x_handles(std::move(handles)),
        x_moment(db.GetSnapshot(),
                 [&db](const rocksdb::Snapshot* one) { db.ReleaseSnapshot(one); }) {}

  [[nodiscard]] std::unique_ptr<reader> rows(std::size_t family) const override {
    return std::make_unique<snapshot_reader>(x_db, x_handles.at(family), x_moment, x_path);
  }

private:
  rocksdb::DB& x_db;
  const std::string& x_path;
  const std::vector<family_handle> x_handles;
  const moment_handle x_moment;
};

class pending_changes final : public database::changes {
public:
  pending_changes(rocksdb::DB& db, const std::vector<family_handle>& handles) {
    for (const auto& handle : handles)
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

/// Rows for files of their own. Nothing is known of a key that is not gathered until the first of
/// them were written out.
class gathered_rows final : public writer {
public:
  gathered_rows(rocksdb::DB& db, family_handle family) : x_stored(db, std::move(family)) {}

  [[nodiscard]] std::optional<std::string> find(std::string_view key) override {
    if (const auto known = x_gathered.find(std::string(key)); known != x_gathered.end())
      return known->second;
    if (!x_was_written)
      return std::nullopt;
    return x_stored.find(key);
  }

  void put(std::string key, std::string value) override {
    x_bytes += key.size() + value.size() + row_overhead;
    x_gathered.insert_or_assign(std::move(key), std::move(value));
  }

  void erase(std::string key) override {
    if (x_was_written)
      x_gathered.insert_or_assign(std::move(key), std::nullopt);
    else
      x_gathered.erase(key);
  }

  [[nodiscard]] std::size_t bytes() const { return x_bytes; }

  /// Writes a sorted file and makes it part of the family.
  [[nodiscard]] rocksdb::Status write_out(const std::string& file) {
    if (!x_stored.failure().ok())
      return x_stored.failure();
    if (x_gathered.empty())
      return rocksdb::Status::OK();
    if (auto status = write_file(file); !status.ok())
      return status;
    crash_point("projection.write.before");
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    if (auto status = x_stored.db().IngestExternalFile(x_stored.family(), {file}, options);
        !status.ok())
      return status;
    crash_point("projection.write.after");
    x_was_written = true;
    x_gathered.clear();
    x_bytes = 0;
    return rocksdb::Status::OK();
  }

private:
  /// Of a row in memory beside its bytes: two strings and a node of the map.
  static constexpr std::size_t row_overhead = 128;

  [[nodiscard]] rocksdb::Status write_file(const std::string& file) const {
    std::vector<const std::pair<const std::string, std::optional<std::string>>*> sorted;
    sorted.reserve(x_gathered.size());
    for (const auto& one : x_gathered)
      sorted.push_back(&one);
    std::ranges::sort(
        sorted, {}, [](const auto* one) -> const auto& { return one->first; });
    rocksdb::SstFileWriter out(rocksdb::EnvOptions(), x_stored.db().GetOptions(x_stored.family()),
                               x_stored.family());
    auto status = out.Open(file);
    for (auto at = sorted.begin(); status.ok() && at != sorted.end(); ++at)
      status = (*at)->second ? out.Put((*at)->first, *(*at)->second) : out.Delete((*at)->first);
    return status.ok() ? out.Finish() : status;
  }

  stored_rows x_stored;
  std::unordered_map<std::string, std::optional<std::string>> x_gathered;
  std::size_t x_bytes = 0; ///< at most: a row that was changed counts twice
  bool x_was_written = false;
};

class family_in_bulk final : public database::bulk {
public:
  family_in_bulk(rocksdb::DB& db, const std::string& path, std::size_t of, family_handle family)
      : index(of), handle(std::move(family)), x_db(db), x_path(path), x_rows(db, handle) {}

  ~family_in_bulk() override {
    if (!is_live)
      static_cast<void>(x_db.DropColumnFamily(handle.get())); // else the next start does it
    std::error_code ignored;
    std::filesystem::remove(file(), ignored);
  }

  [[nodiscard]] writer& rows() override { return x_rows; }

  [[nodiscard]] std::size_t bytes_gathered() const override { return x_rows.bytes(); }

  [[nodiscard]] result<void> write_out() override {
    if (const auto status = x_rows.write_out(file()); !status.ok())
      return to_error(status, x_path);
    return {};
  }

  [[nodiscard]] std::unique_ptr<reader> written() const override {
    return std::make_unique<snapshot_reader>(x_db, handle, nullptr, x_path);
  }

  const std::size_t index;
  const family_handle handle;
  bool is_live = false;

private:
  [[nodiscard]] std::string file() const { return bulk_file(x_path, handle->GetName()); }

  rocksdb::DB& x_db;
  const std::string& x_path;
  gathered_rows x_rows;
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
  std::vector<rocksdb::ColumnFamilyHandle*> raw;
  if (auto status = rocksdb::DB::Open(settings, path, there, &raw, &opened); !status.ok())
    return status;
  db.reset(opened);
  remove_bulk_files();
  found_families found;
  for (auto* one : raw)
    found.emplace(one->GetName(), held(*db, one));
  standard = found.extract(rocksdb::kDefaultColumnFamilyName).mapped();
  for (auto& one : families)
    if (auto status = prepare(one, found); !status.ok())
      return status;
  for (const auto& [name, unknown] : found) // or made by a rebuild that did not end
    if (auto status = db->DropColumnFamily(unknown.get()); !status.ok())
      return status;
  return rocksdb::Status::OK();
}

/// What a process that was killed left of rows in bulk: RocksDB does not know these files.
void database::implementation::remove_bulk_files() const {
  std::error_code ignored; // the next one under that name overwrites it
  for (const auto& one : families)
    for (const auto& name : {one.wish.name, other_name(one.wish.name, one.wish.name)})
      std::filesystem::remove(bulk_file(path, name), ignored);
}

/// Makes an empty family.
rocksdb::Status database::implementation::begin_family(const std::string& name,
                                                       family_handle& made) {
  rocksdb::ColumnFamilyHandle* raw = nullptr;
  auto status = db->CreateColumnFamily(family_options(cache), name, &raw);
  if (status.ok())
    made = held(*db, raw);
  return status;
}

/// Takes a family out of those found, or makes it; one of another version is made anew.
rocksdb::Status database::implementation::prepare(family& one, found_families& found) {
  std::string name;
  auto status = db->Get(rocksdb::ReadOptions(), standard.get(), live_key(one.wish.name), &name);
  if (!status.ok() && !status.IsNotFound())
    return status;
  if (status.IsNotFound())
    name = one.wish.name;
  std::string version;
  if (const auto there = found.find(name); there != found.end()) {
    status = db->Get(rocksdb::ReadOptions(), there->second.get(), version_key(), &version);
    if (!status.ok() && !status.IsNotFound())
      return status;
    const auto was = found.extract(there).mapped();
    if (status.ok() && u32_at(version, 0) == one.wish.version) {
      one.handle = was;
      return status;
    }
    if (status = db->DropColumnFamily(was.get()); !status.ok())
      return status;
  }
  // A family without a version: the process ended between making it and its first write.
  one.dropped = !version.empty();
  if (status = begin_family(name, one.handle); !status.ok())
    return status;
  version.clear();
  add_u32(version, one.wish.version);
  return db->Put(rocksdb::WriteOptions(), one.handle.get(), version_key(), version);
}

result<std::unique_ptr<database>> database::open(const std::string& path,
                                                 std::vector<family_wish> families) {
  auto made = std::make_unique<implementation>();
  made->path = path;
  for (auto& wish : families)
    made->families.push_back({std::move(wish), nullptr, false});
  if (const auto status = made->open(); !status.ok())
    return to_error(status, path);
  return std::unique_ptr<database>(new database(std::move(made)));
}

database::database(std::unique_ptr<implementation> made) : x_implementation(std::move(made)) {}

database::~database() = default;

// Reading and writing
// -------------------------------------------------------------------------------------------------

namespace {

template <class Families> std::vector<family_handle> handles_of(const Families& families) {
  std::vector<family_handle> found;
  found.reserve(families.size());
  for (const auto& one : families)
    found.push_back(one.handle);
  return found;
}

} // namespace

std::vector<family_handle> database::implementation::handles() {
  const std::lock_guard lock(guard);
  return handles_of(families);
}

/// Handles and snapshot in one: a family that is replaced in between would stand still while the
/// others' rows are newer.
std::unique_ptr<database::moment> database::implementation::now() {
  const std::lock_guard lock(guard);
  return std::make_unique<snapshot>(*db, path, handles_of(families));
}

bool database::was_dropped(std::size_t family) const {
  return x_implementation->families.at(family).dropped;
}

std::unique_ptr<database::moment> database::now() const { return x_implementation->now(); }

std::unique_ptr<database::changes> database::begin_changes() {
  return std::make_unique<pending_changes>(*x_implementation->db, x_implementation->handles());
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

result<std::unique_ptr<database::bulk>> database::begin_bulk(std::size_t family) {
  auto& own = *x_implementation;
  const auto& name = own.families.at(family).wish.name;
  family_handle made;
  if (const auto status =
          own.begin_family(other_name(name, own.handles().at(family)->GetName()), made);
      !status.ok())
    return to_error(status, own.path);
  std::unique_ptr<bulk> begun =
      std::make_unique<family_in_bulk>(*own.db, own.path, family, std::move(made));
  std::string version;
  add_u32(version, own.families.at(family).wish.version);
  begun->rows().put(version_key(), std::move(version));
  return begun;
}

result<void> database::replace(bulk& made) {
  auto& own = *x_implementation;
  if (auto written = made.write_out(); !written)
    return written;
  auto& begun = static_cast<family_in_bulk&>(made);
  auto& family = own.families.at(begun.index);
  crash_point("projection.write.before");
  rocksdb::WriteOptions durably;
  durably.sync = true;
  if (const auto status = own.db->Put(durably, own.standard.get(), live_key(family.wish.name),
                                      begun.handle->GetName());
      !status.ok()) {
    own.write_failed = true;
    return to_error(status, own.path);
  }
  crash_point("projection.write.after");
  begun.is_live = true;
  family_handle old;
  {
    const std::lock_guard lock(own.guard);
    old = std::exchange(family.handle, begun.handle);
  }
  static_cast<void>(own.db->DropColumnFamily(old.get())); // else the next start does it
  return {};
}

} // namespace orrery::projections
