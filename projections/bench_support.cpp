#include "projections/bench_support.hpp"

#include "projections/database.hpp"
#include "projections/database_options.hpp"
#include "projections/rows.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/write_batch.h>

namespace orrery::projections {

namespace {

using noted_rows = std::map<std::string, std::optional<std::string>>;

/// Passes everything on, and notes the changes.
class noting_writer final : public writer {
public:
  noting_writer(writer& to, noted_rows& noted) : x_to(to), x_noted(noted) {}

  [[nodiscard]] std::optional<std::string> find(std::string_view key) override {
    return x_to.find(key);
  }

  void put(std::string key, std::string value) override {
    x_noted.insert_or_assign(key, value);
    x_to.put(std::move(key), std::move(value));
  }

  void erase(std::string key) override {
    x_noted.insert_or_assign(key, std::nullopt);
    x_to.erase(std::move(key));
  }

private:
  writer& x_to;
  noted_rows& x_noted;
};

class noted_projection final : public projection {
public:
  noted_projection(std::unique_ptr<const projection> fold, noted_rows& noted)
      : x_fold(std::move(fold)), x_noted(noted) {}

  [[nodiscard]] std::string_view name() const override { return x_fold->name(); }

  [[nodiscard]] std::uint32_t version() const override { return x_fold->version(); }

  void apply(commit_span commits, writer& rows) const override {
    noting_writer noting(rows, x_noted);
    x_fold->apply(commits, noting);
    for (const auto& commit : commits) // as the store does it, behind the projection's back
      x_noted.insert_or_assign(position_key(commit->where),
                               to_row(log_position{commit->seq, commit->head}));
  }

private:
  const std::unique_ptr<const projection> x_fold;
  noted_rows& x_noted;
};

result<void> outcome_of(const rocksdb::Status& status) {
  if (status.ok())
    return {};
  return error{error_code::io_failed, "plain RocksDB: " + status.ToString(), false};
}

} // namespace

projection_list row_recorder::projections() {
  auto all = all_projections();
  x_changed.resize(all.size()); // once: the projections refer to its members
  projection_list noted;
  for (std::size_t i = 0; i < all.size(); ++i)
    noted.push_back(std::make_unique<noted_projection>(std::move(all[i]), x_changed[i]));
  return noted;
}

row_changes row_recorder::take() {
  row_changes taken;
  for (auto& family : x_changed) {
    auto& rows = taken.emplace_back();
    rows.reserve(family.size());
    while (!family.empty()) {
      auto one = family.extract(family.begin());
      rows.emplace_back(std::move(one.key()), std::move(one.mapped()));
    }
  }
  return taken;
}

result<row_changes> read_all_rows(const std::string& path) {
  std::vector<family_wish> wishes;
  for (const auto& fold : all_projections())
    wishes.push_back({std::string(fold->name()), fold->version()});
  const auto opened = database::open(path, wishes);
  if (!opened)
    return opened.error();
  const auto now = (*opened)->now();
  row_changes found(wishes.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto rows = now->rows(i);
    rows->scan({}, [&](std::string_view key, std::string_view value) {
      found[i].emplace_back(key, value);
      return true;
    });
    if (rows->failure())
      return *rows->failure();
  }
  return found;
}

struct plain_database::implementation {
  std::string path;
  std::shared_ptr<rocksdb::Cache> cache = new_block_cache();
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families; ///< of each projection
  rocksdb::WriteBatch batch;                          ///< its memory is used again

  ~implementation() {
    for (auto* family : families)
      static_cast<void>(db->DestroyColumnFamilyHandle(family));
  }

  [[nodiscard]] rocksdb::Status write_file(std::size_t family, const family_rows& rows,
                                           const std::string& file);
};

plain_database::plain_database(std::unique_ptr<implementation> made)
    : x_implementation(std::move(made)) {}

plain_database::~plain_database() = default;

result<std::unique_ptr<plain_database>> plain_database::make(const std::string& path) {
  auto made = std::make_unique<implementation>();
  made->path = path;
  rocksdb::DB* opened = nullptr;
  const rocksdb::Options options(db_options(), family_options(made->cache));
  if (auto done = outcome_of(rocksdb::DB::Open(options, path, &opened)); !done)
    return done.error();
  made->db.reset(opened);
  for (const auto& fold : all_projections()) {
    rocksdb::ColumnFamilyHandle* family = nullptr;
    if (auto done = outcome_of(made->db->CreateColumnFamily(family_options(made->cache),
                                                            std::string(fold->name()), &family));
        !done)
      return done.error();
    made->families.push_back(family);
  }
  return std::unique_ptr<plain_database>(new plain_database(std::move(made)));
}

result<void> plain_database::write(const row_changes& rows) {
  auto& own = *x_implementation;
  own.batch.Clear();
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (const auto& [key, value] : rows[i])
      if (auto done = outcome_of(value ? own.batch.Put(own.families.at(i), key, *value)
                                       : own.batch.Delete(own.families.at(i), key));
          !done)
        return done;
  return outcome_of(own.db->Write(rocksdb::WriteOptions(), &own.batch));
}

rocksdb::Status plain_database::implementation::write_file(std::size_t family,
                                                           const family_rows& rows,
                                                           const std::string& file) {
  auto* handle = families.at(family);
  rocksdb::SstFileWriter out(rocksdb::EnvOptions(), db->GetOptions(handle), handle);
  auto status = out.Open(file);
  for (auto at = rows.begin(); status.ok() && at != rows.end(); ++at)
    status = at->second ? out.Put(at->first, *at->second) : out.Delete(at->first);
  return status.ok() ? out.Finish() : status;
}

result<void> plain_database::ingest(const row_changes& rows) {
  auto& own = *x_implementation;
  const auto file = own.path + "/rows.sst";
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].empty())
      continue;
    if (auto done = outcome_of(own.write_file(i, rows[i], file)); !done)
      return done;
    if (auto done = outcome_of(own.db->IngestExternalFile(own.families.at(i), {file}, options));
        !done)
      return done;
  }
  return {};
}

} // namespace orrery::projections
