#include "tests/projections/histories.hpp"

#include "events/core/check.hpp"
#include "events/log/sha256.hpp"
#include "tests/support/random_history.hpp"

#include <google/protobuf/message.h>
#include <rocksdb/db.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <random>

namespace orrery::projections {

namespace {

/// Moves every id in a message.
void move_ids(google::protobuf::Message& message, partition_number where) {
  if (auto* id = dynamic_cast<v1::Id*>(&message); id != nullptr && id->a() != 0)
    id->set_a((id->a() & ~std::uint64_t{partition_number_max}) | static_cast<std::uint64_t>(where));
  const auto* fields = message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> present;
  fields->ListFields(message, &present);
  for (const auto* field : present) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE)
      continue;
    if (!field->is_repeated()) {
      move_ids(*fields->MutableMessage(&message, field), where);
      continue;
    }
    for (int i = 0; i < fields->FieldSize(message, field); ++i)
      move_ids(*fields->MutableRepeatedMessage(&message, field, i), where);
  }
}

} // namespace

support::commit_list moved_to(support::commit_list commits, partition_number where) {
  for (auto& [seq, body] : commits)
    move_ids(body, where);
  return commits;
}

history history_of(const support::commit_list& commits, partition_number where) {
  history made;
  domain::partition_state state;
  log::digest head{};
  for (const auto& [seq, body] : commits) {
    auto commit = std::make_shared<folded_commit>();
    commit->where = where;
    commit->seq = seq;
    // Not over the body's bytes: random commands hold texts that no record can hold.
    head = log::sha256_of(log::bytes_of(head), std::to_string(seq));
    commit->head = head;
    commit->body = std::make_shared<const v1::CommitBody>(body);
    commit->bytes = body.ByteSizeLong();
    commit->touched = state.fold(body, seq);
    made.push_back(std::move(commit));
  }
  return made;
}

history random_history(std::uint64_t seed, std::size_t commands) {
  const auto world = support::random_world(seed, commands);
  return history_of(world.commits());
}

std::uint64_t seed_of_this_run() {
  const auto* given = ::getenv("ORRERY_SEED");
  const auto seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::uint64_t{std::random_device{}()};
  std::printf("seed: ORRERY_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

temporary_folder::temporary_folder() {
  const std::filesystem::path memory = "/dev/shm"; // no test here depends on a disk
  const auto parent =
      ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
  auto pattern = (parent / "orrery-projections-XXXXXX").string();
  ORRERY_CHECK(::mkdtemp(pattern.data()) != nullptr);
  x_base = pattern;
}

temporary_folder::~temporary_folder() {
  std::error_code ignored;
  std::filesystem::remove_all(x_base, ignored);
}

void damage_rows(const std::string& folder, std::string_view family, std::string_view prefix) {
  std::vector<std::string> names;
  ORRERY_CHECK(rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), folder, &names).ok());
  std::vector<rocksdb::ColumnFamilyDescriptor> wanted;
  for (const auto& name : names)
    wanted.emplace_back(name, rocksdb::ColumnFamilyOptions());
  rocksdb::DB* opened = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  ORRERY_CHECK(rocksdb::DB::Open(rocksdb::DBOptions(), folder, wanted, &families, &opened).ok());
  const std::unique_ptr<rocksdb::DB> db(opened);
  const rocksdb::Slice wanted_keys(prefix.data(), prefix.size());
  for (auto* one : families) {
    if (one->GetName() == family) {
      const std::unique_ptr<rocksdb::Iterator> rows(db->NewIterator(rocksdb::ReadOptions(), one));
      for (rows->Seek(wanted_keys); rows->Valid() && rows->key().starts_with(wanted_keys);
           rows->Next())
        ORRERY_CHECK(db->Put({}, one, rows->key(), "\xff\xff\xff").ok());
    }
    ORRERY_CHECK(db->DestroyColumnFamilyHandle(one).ok());
  }
}

std::size_t files_in_bulk(const std::string& folder) {
  std::size_t found = 0;
  for (const auto& one : std::filesystem::directory_iterator(folder)) {
    const auto name = one.path().filename().string();
    const bool is_of_database = name.front() >= '0' && name.front() <= '9';
    found += one.path().extension() == ".sst" && !is_of_database ? 1 : 0;
  }
  return found;
}

std::unique_ptr<store> open_store(const std::string& path) {
  auto opened = store::open(path);
  if (!opened)
    std::fprintf(stderr, "cannot open the store: %s\n", opened.error().text.c_str());
  ORRERY_CHECK(opened);
  return std::move(*opened);
}

filled_store::filled_store(history folded)
    : commits(std::move(folded)), rows(open_store(folder.path())) {
  const auto applied = rows->apply(commits);
  ORRERY_CHECK(applied);
}

} // namespace orrery::projections
