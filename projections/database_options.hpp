#pragma once

#include <memory>

// RocksDB's own types; its headers are included by our .cpp files only.
namespace rocksdb {
class Cache;
struct ColumnFamilyOptions;
struct DBOptions;
} // namespace rocksdb

/// How the rows of the projections lie on the disk. Of `database`, and of whoever is to be compared
/// with it.
namespace orrery::projections {

/// For all families of one database together.
[[nodiscard]] std::shared_ptr<rocksdb::Cache> new_block_cache();

[[nodiscard]] rocksdb::ColumnFamilyOptions
family_options(const std::shared_ptr<rocksdb::Cache>& cache);

[[nodiscard]] rocksdb::DBOptions db_options();

} // namespace orrery::projections
