#pragma once

#include "events/log/log.hpp"
#include "tests/events/log/append_and_read.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace orrery::log::contract {

// What every log promises (`events/log/log.hpp`), as one suite. An engine runs it unmodified with
//
//   INSTANTIATE_TEST_SUITE_P(my_engine, log_contract, testing::Values(my_bed_factory));

/// A place where one log lives. `open` gives the log on what is there already, so closing and
/// opening again is a restart.
class bed {
public:
  bed() = default;
  bed(const bed&) = delete;
  bed& operator=(const bed&) = delete;
  virtual ~bed() = default;
  virtual std::unique_ptr<log> open() = 0;
};

/// A factory with a name, so that a failure says which engine it was.
struct bed_factory {
  std::string name;
  std::function<std::unique_ptr<bed>()> make;

  friend void PrintTo(const bed_factory& factory, std::ostream* out) { *out << factory.name; }
};

class log_contract : public testing::TestWithParam<bed_factory> {
protected:
  void SetUp() override {
    x_bed = GetParam().make();
    x_log = x_bed->open();
    ASSERT_NE(x_log, nullptr);
  }

  void reopen() {
    x_log.reset();
    x_log = x_bed->open();
    ASSERT_NE(x_log, nullptr);
  }

  std::unique_ptr<bed> x_bed;
  std::unique_ptr<log> x_log;
};

TEST_P(log_contract, an_empty_record_is_not_written) {
  const auto outcome = append_and_wait(*x_log, zero, "");
  EXPECT_EQ(outcome.fate, append_fate::not_written);
  EXPECT_EQ(outcome.failure.code, error_code::invalid_argument);
  EXPECT_EQ(x_log->end(zero).value(), 0u);
}

TEST_P(log_contract, a_record_above_the_limit_is_not_written) {
  const auto outcome = append_and_wait(*x_log, zero, std::string(record_size_max + 1, 'x'));
  EXPECT_EQ(outcome.fate, append_fate::not_written);
  EXPECT_EQ(outcome.failure.code, error_code::too_large);
  EXPECT_EQ(x_log->end(zero).value(), 0u);
}

TEST_P(log_contract, a_partition_above_the_limit_is_not_written) {
  const auto outcome = append_and_wait(*x_log, partition_number{partition_number_max + 1}, "x");
  EXPECT_EQ(outcome.fate, append_fate::not_written);
  EXPECT_EQ(outcome.failure.code, error_code::invalid_argument);
}

TEST_P(log_contract, a_read_above_the_end_is_a_cut_log) {
  const auto empty = x_log->read(zero, 1, 1000, at_once);
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, error_code::log_cut);
  EXPECT_EQ(append_and_wait(*x_log, zero, "one").fate, append_fate::durable);
  const auto above = x_log->read(zero, 2, 1000, at_once);
  ASSERT_FALSE(above);
  EXPECT_EQ(above.error().code, error_code::log_cut);
}

TEST_P(log_contract, a_refused_append_does_not_hinder_the_next) {
  outcomes seen;
  x_log->append(zero, "first", seen.done());
  x_log->append(zero, "", seen.done());
  x_log->append(zero, "second", seen.done());
  const auto all = seen.wait(3);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].fate, append_fate::durable);
  EXPECT_EQ(all[1].fate, append_fate::not_written);
  EXPECT_EQ(all[2].fate, append_fate::durable);
  EXPECT_EQ(all[2].at, 1u);
}

TEST_P(log_contract, a_new_log_is_empty) {
  EXPECT_EQ(x_log->end(zero).value(), 0u);
  EXPECT_TRUE(x_log->read(zero, 0, 1000, at_once).value().empty());
}

TEST_P(log_contract, offsets_are_dense_from_zero_in_each_partition) {
  for (offset at = 0; at < 5; ++at) {
    EXPECT_EQ(append_and_wait(*x_log, zero, "zero" + std::to_string(at)).at, at);
    EXPECT_EQ(append_and_wait(*x_log, seven, "seven" + std::to_string(at)).at, at);
  }
  EXPECT_EQ(x_log->end(zero).value(), 5u);
  EXPECT_EQ(x_log->end(seven).value(), 5u);
  const auto records = read_all(*x_log, seven);
  ASSERT_EQ(records.size(), 5u);
  EXPECT_EQ(records[3].at, 3u);
  EXPECT_EQ(records[3].bytes, "seven3");
}

TEST_P(log_contract, what_done_reports_can_be_read_at_once) {
  std::atomic<bool> seen_by_end = false;
  outcomes seen;
  auto report = seen.done();
  x_log->append(zero, "x", [&](const append_outcome& outcome) {
    seen_by_end = x_log->end(zero).value() > outcome.at;
    report(outcome);
  });
  seen.wait(1);
  EXPECT_TRUE(seen_by_end);
}

TEST_P(log_contract, any_bytes_come_back_as_they_were) {
  std::string bytes;
  for (int value = 0; value < 1024; ++value)
    bytes += static_cast<char>(value % 256);
  for (std::size_t size = 1; size < 40; ++size)
    EXPECT_EQ(append_and_wait(*x_log, zero, bytes.substr(0, size)).fate, append_fate::durable);
  EXPECT_EQ(append_and_wait(*x_log, zero, std::string(64, '\0')).fate, append_fate::durable);
  const auto records = read_all(*x_log, zero);
  ASSERT_EQ(records.size(), 40u);
  for (std::size_t size = 1; size < 40; ++size)
    EXPECT_EQ(records[size - 1].bytes, bytes.substr(0, size));
  EXPECT_EQ(records[39].bytes, std::string(64, '\0'));
}

TEST_P(log_contract, the_largest_record_fits) {
  const std::string largest(record_size_max, 'L');
  EXPECT_EQ(append_and_wait(*x_log, zero, largest).fate, append_fate::durable);
  const auto records = read_all(*x_log, zero);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_TRUE(records[0].bytes == largest);
}

TEST_P(log_contract, a_read_is_cut_by_bytes_but_gives_one_record_at_least) {
  for (int count = 0; count < 10; ++count)
    append_and_wait(*x_log, zero, std::string(100, 'r'));
  EXPECT_EQ(x_log->read(zero, 0, 250, at_once).value().size(), 2u);
  EXPECT_EQ(x_log->read(zero, 3, 1, at_once).value().size(), 1u);
  EXPECT_EQ(x_log->read(zero, 3, 0, at_once).value().front().at, 3u);
  EXPECT_EQ(x_log->read(zero, 4, 1'000'000, at_once).value().size(), 6u);
  EXPECT_EQ(read_all(*x_log, zero, 0, 150).size(), 10u);
}

TEST_P(log_contract, a_read_at_the_end_waits_no_longer_than_its_patience) {
  const auto before = std::chrono::steady_clock::now();
  const auto records = x_log->read(zero, 0, 1000, std::chrono::milliseconds(30));
  EXPECT_TRUE(records.value().empty());
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(30));
}

TEST_P(log_contract, a_waiting_read_is_woken_by_an_append) {
  std::vector<record> found;
  std::thread reader([&] { found = x_log->read(zero, 0, 1000, patience).value(); });
  append_and_wait(*x_log, seven, "of another partition");
  append_and_wait(*x_log, zero, "awaited");
  reader.join();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].bytes, "awaited");
}

TEST_P(log_contract, done_is_called_in_order_of_append) {
  constexpr std::size_t count = 500;
  outcomes seen;
  for (std::size_t at = 0; at < count; ++at)
    x_log->append(zero, "record " + std::to_string(at), seen.done());
  const auto all = seen.wait(count);
  ASSERT_EQ(all.size(), count);
  for (std::size_t at = 0; at < count; ++at) {
    EXPECT_EQ(all[at].fate, append_fate::durable);
    EXPECT_EQ(all[at].at, at);
  }
}

TEST_P(log_contract, many_threads_append_and_read_at_once) {
  constexpr std::size_t writers = 4;
  constexpr std::size_t each = 200;
  outcomes seen;
  std::vector<std::thread> threads;
  for (std::size_t writer = 0; writer < writers; ++writer)
    threads.emplace_back([&, writer] {
      const auto where = writer % 2 == 0 ? zero : seven;
      for (std::size_t at = 0; at < each; ++at)
        x_log->append(where, std::to_string(writer) + ":" + std::to_string(at), seen.done());
    });
  std::vector<std::string> tailed;
  threads.emplace_back([&] {
    while (tailed.size() < writers / 2 * each) {
      const auto piece = x_log->read(zero, tailed.size(), 500, patience);
      if (!piece || piece->empty())
        return;
      for (const auto& one : *piece)
        tailed.push_back(one.bytes);
    }
  });
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(seen.wait(writers * each).size(), writers * each);
  EXPECT_EQ(tailed.size(), writers / 2 * each);
  std::vector<std::size_t> next(writers, 0);
  for (const auto where : {zero, seven})
    for (const auto& one : read_all(*x_log, where)) {
      const auto writer = static_cast<std::size_t>(one.bytes[0] - '0');
      EXPECT_EQ(one.bytes, std::to_string(writer) + ":" + std::to_string(next[writer]++));
    }
  EXPECT_EQ(next, std::vector<std::size_t>(writers, each));
}

TEST_P(log_contract, closing_answers_every_append_first) {
  outcomes seen;
  for (int count = 0; count < 100; ++count)
    x_log->append(zero, "last words", seen.done());
  x_log.reset();
  EXPECT_EQ(seen.count(), 100u);
  for (const auto& outcome : seen.wait(100))
    EXPECT_EQ(outcome.fate, append_fate::durable);
}

TEST_P(log_contract, everything_is_there_after_a_restart) {
  for (int count = 0; count < 20; ++count) {
    append_and_wait(*x_log, zero, "zero" + std::to_string(count));
    append_and_wait(*x_log, seven, "seven" + std::to_string(count));
    if (count % 5 == 0)
      reopen();
  }
  reopen();
  EXPECT_EQ(x_log->end(zero).value(), 20u);
  const auto records = read_all(*x_log, seven, 10);
  ASSERT_EQ(records.size(), 10u);
  EXPECT_EQ(records[9].bytes, "seven19");
  EXPECT_EQ(append_and_wait(*x_log, zero, "on").at, 20u);
}

} // namespace orrery::log::contract
