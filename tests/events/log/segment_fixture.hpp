#pragma once

#include "events/log/segment_log.hpp"
#include "tests/events/log/append_and_read.hpp"
#include "tests/events/log/scratch_directory.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace orrery::log {

inline constexpr log_identity test_identity{installation_id{uuid{0x0199'0000'0000'7000, 1}},
                                            log_id{uuid{0x0199'0000'0000'7000, 2}}};

/// Files so small that a few records fill several.
inline constexpr std::uint64_t test_segment_size = 4096;

[[nodiscard]] inline open_options small_files() {
  open_options options;
  options.segment_size = test_segment_size;
  return options;
}

/// The files of a directory, by name.
using image = std::map<std::string, std::string>;

[[nodiscard]] inline image load_image(const std::string& directory) {
  image loaded;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (!entry.is_regular_file())
      continue;
    std::ifstream from(entry.path(), std::ios::binary);
    loaded[entry.path().filename()] = {std::istreambuf_iterator<char>(from), {}};
  }
  return loaded;
}

/// Makes the directory hold exactly these files.
inline void store_image(const std::string& directory, const image& wanted) {
  std::filesystem::create_directories(directory);
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (!wanted.contains(entry.path().filename()))
      std::filesystem::remove(entry.path());
  for (const auto& [name, bytes] : wanted) {
    std::ofstream to(directory + "/" + name, std::ios::binary | std::ios::trunc);
    to.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
}

/// What a reader sees: the bytes of every record of partitions 0 and 7.
using contents = std::vector<std::vector<std::string>>;

[[nodiscard]] inline contents contents_of(log& of) {
  contents all;
  for (const auto where : {contract::zero, contract::seven}) {
    auto& partition = all.emplace_back();
    for (auto& one : contract::read_all(of, where))
      partition.push_back(std::move(one.bytes));
  }
  return all;
}

/// A memory-backed place where there is one, since these tests open a log very often.
class segment_test : public testing::Test {
protected:
  [[nodiscard]] std::string path() const { return x_where.path(); }

  std::unique_ptr<segment_log> create(open_options options = small_files()) {
    auto made = segment_log::create(path(), test_identity, std::move(options));
    EXPECT_TRUE(made) << made.error().text;
    return made ? std::move(*made) : nullptr;
  }

  std::unique_ptr<segment_log> open(open_options options = small_files()) {
    auto opened = segment_log::open(path(), std::move(options), x_report);
    EXPECT_TRUE(opened) << opened.error().text;
    return opened ? std::move(*opened) : nullptr;
  }

  error open_error(open_options options = small_files()) {
    const auto opened = segment_log::open(path(), std::move(options), x_report);
    EXPECT_FALSE(opened) << "the log was opened";
    return opened ? error{} : opened.error();
  }

  scratch_directory x_where;
  open_report x_report;
};

/// A door that calls of a log wait at until a test opens it.
class gate {
public:
  void close() {
    const std::lock_guard hold(x_lock);
    x_closed = true;
  }

  void open() {
    {
      const std::lock_guard hold(x_lock);
      x_closed = false;
    }
    x_changed.notify_all();
  }

  void pass() {
    std::unique_lock hold(x_lock);
    ++x_arrived;
    x_changed.notify_all();
    EXPECT_TRUE(x_changed.wait_for(hold, contract::patience, [this] { return !x_closed; }));
  }

  /// Waits until `count` calls came, in all.
  bool wait_for_arrivals(int count) {
    std::unique_lock hold(x_lock);
    return x_changed.wait_for(hold, contract::patience, [&] { return x_arrived >= count; });
  }

  int arrived() {
    const std::lock_guard hold(x_lock);
    return x_arrived;
  }

private:
  std::mutex x_lock;
  std::condition_variable x_changed;
  bool x_closed = false;
  int x_arrived = 0;
};

/// Appends records of different sizes to both partitions, each acknowledged before the next.
inline void fill(log& to, std::size_t count, std::size_t first = 0) {
  for (auto at = first; at < first + count; ++at) {
    const auto where = at % 3 == 0 ? contract::seven : contract::zero;
    const auto bytes = "record " + std::to_string(at) + std::string(at * 37 % 200, '.');
    EXPECT_EQ(contract::append_and_wait(to, where, bytes).fate, append_fate::durable);
  }
}

/// Writes a claim and commits as an owner does.
class owner_of {
public:
  owner_of(log& to, partition_number where)
      : x_log(to), x_where(where), x_reader(test_identity, where) {}

  void claim(std::uint64_t after_epoch, std::uint32_t format = body_format) {
    write(make_record(claim_header{test_identity.log, after_epoch, format}, "claim"));
  }

  void commit(const std::string& body) {
    const auto& head = x_reader.head();
    write(make_record(commit_header{test_identity.log, head.epoch, head.next, head.hash}, body));
  }

  void write(const std::string& bytes) {
    EXPECT_EQ(contract::append_and_wait(x_log, x_where, bytes).fate, append_fate::durable);
    (void)x_reader.take(bytes);
  }

  [[nodiscard]] const chain_head& head() const { return x_reader.head(); }

private:
  log& x_log;
  partition_number x_where;
  history x_reader;
};

} // namespace orrery::log
