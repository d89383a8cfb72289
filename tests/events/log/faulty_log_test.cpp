#include "events/log/faulty_log.hpp"
#include "events/log/memory_log.hpp"
#include "tests/contract/log_contract.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

// What a log that goes wrong still promises. Without odds that is the whole contract, unmodified;
// with odds, what `faulty_log.hpp` says, for many seeds.

namespace orrery::log::contract {

namespace {

class faulty_bed final : public bed {
public:
  explicit faulty_bed(log_faults faults) : x_faults(faults) {}

  std::unique_ptr<log> open() override {
    return std::make_unique<faulty_log>(std::make_shared<memory_log>(x_store), 1, x_faults,
                                        faulty_log::drive::own_thread);
  }

private:
  std::shared_ptr<memory_store> x_store = make_memory_store();
  log_faults x_faults;
};

const bed_factory without_faults{"faulty",
                                 [] { return std::make_unique<faulty_bed>(log_faults{}); }};

/// Late, and late to show, is all that the contract allows a log to be.
const bed_factory late{
    "faulty_late",
    [] { return std::make_unique<faulty_bed>(log_faults{.delayed = 300, .lagging = 300}); }};

std::string name_of_bed(const testing::TestParamInfo<bed_factory>& tested) {
  return tested.param.name;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(engine, log_contract, testing::Values(without_faults, late), name_of_bed);

} // namespace orrery::log::contract

namespace orrery::log {

namespace {

constexpr std::uint64_t seeds = 200;
constexpr std::chrono::milliseconds at_once{0};
constexpr std::size_t everything = 1'000'000'000;
constexpr partition_number zero{0};

/// Everything goes wrong, often.
constexpr log_faults storm{.refused = 100,
                           .dropped = 100,
                           .delayed = 200,
                           .reordered = 150,
                           .duplicated = 150,
                           .reply_lost = 150,
                           .neighbour = 150,
                           .lagging = 200};

struct told {
  partition_number where;
  std::string bytes;
  append_outcome outcome;

  friend bool operator==(const told& a, const told& b) {
    return std::tie(a.where, a.bytes, a.outcome.fate, a.outcome.at) ==
           std::tie(b.where, b.bytes, b.outcome.fate, b.outcome.at);
  }
};

/// One process that appends to three partitions under a seed, and what it was told.
class run_of_one_seed {
public:
  explicit run_of_one_seed(std::uint64_t seed)
      : x_random(seed),
        x_log(std::make_unique<faulty_log>(x_inside, seed, storm, faulty_log::drive::caller)) {}

  void append_and_step(int appends) {
    while (appends > 0) {
      for (auto burst = x_random() % 4; burst > 0 && appends > 0; --burst, --appends)
        append();
      x_log->step();
      look_at_ends();
    }
  }

  void append() {
    const auto where = static_cast<partition_number>(x_random() % 3);
    const auto bytes = "record " + std::to_string(x_sent.size());
    x_sent.push_back({where, bytes, {}});
    x_log->append(where, bytes, [this, where, bytes](const append_outcome& outcome) {
      x_told.push_back({where, bytes, outcome});
      if (outcome.fate != append_fate::durable)
        return;
      const auto found = x_told_by->read(where, outcome.at, 1, at_once);
      ASSERT_TRUE(found) << found.error().text;
      ASSERT_EQ(found->size(), 1u) << "told durable, but not to be read: " << bytes;
      EXPECT_EQ(found->front().bytes, bytes);
      EXPECT_GT(x_told_by->end(where).value(), outcome.at);
    });
  }

  void look_at_ends() {
    for (const partition_number where : {zero, partition_number{1}, partition_number{2}}) {
      const auto end = x_log->end(where).value();
      EXPECT_GE(end, x_ends[where]) << "the end went back";
      x_ends[where] = end;
      const auto found = x_log->read(where, end, everything, at_once);
      ASSERT_TRUE(found) << found.error().text;
      EXPECT_TRUE(found->empty()) << "a read shows more than the end";
    }
  }

  void end() { x_log.reset(); }

  [[nodiscard]] faulty_log& log() { return *x_log; }

  [[nodiscard]] const std::vector<told>& sent() const { return x_sent; }

  [[nodiscard]] const std::vector<told>& heard() const { return x_told; }

  [[nodiscard]] std::vector<record> stored(partition_number where) const {
    return x_inside->read(where, 0, everything, at_once).value();
  }

private:
  std::mt19937_64 x_random;
  std::shared_ptr<memory_log> x_inside = std::make_shared<memory_log>();
  std::vector<told> x_sent;
  std::vector<told> x_told;
  std::map<partition_number, offset> x_ends;
  std::unique_ptr<faulty_log> x_log;   ///< tells until it is gone
  faulty_log* x_told_by = x_log.get(); ///< valid while it closes, too
};

/// Each append was told once, and in order within its partition.
void check_order(const run_of_one_seed& run) {
  ASSERT_EQ(run.heard().size(), run.sent().size());
  for (const partition_number where : {zero, partition_number{1}, partition_number{2}}) {
    std::vector<std::string> sent;
    std::vector<std::string> heard;
    for (const auto& one : run.sent())
      if (one.where == where)
        sent.push_back(one.bytes);
    for (const auto& one : run.heard())
      if (one.where == where)
        heard.push_back(one.bytes);
    EXPECT_EQ(heard, sent);
  }
}

/// What is stored is dense, and what was told is true of it.
void check_truth(const run_of_one_seed& run, const log_fault_counts& counts) {
  std::map<std::string, int> times;
  std::size_t all = 0;
  for (const partition_number where : {zero, partition_number{1}, partition_number{2}}) {
    const auto stored = run.stored(where);
    all += stored.size();
    for (std::size_t at = 0; at < stored.size(); ++at) {
      EXPECT_EQ(stored[at].at, at);
      ++times[stored[at].bytes];
    }
  }
  std::size_t ours = 0;
  std::size_t unknown = 0;
  for (const auto& one : run.heard()) {
    const auto found = times.find(one.bytes);
    const int count = found == times.end() ? 0 : found->second;
    ours += static_cast<std::size_t>(count);
    EXPECT_LE(count, 2) << one.bytes;
    if (one.outcome.fate == append_fate::durable)
      EXPECT_GE(count, 1) << "lost: " << one.bytes;
    else if (one.outcome.fate == append_fate::not_written)
      EXPECT_EQ(count, 0) << "said not to be written: " << one.bytes;
    else
      ++unknown;
  }
  EXPECT_EQ(all, ours + counts.neighbour);
  EXPECT_EQ(unknown, counts.dropped + counts.reply_lost);
  EXPECT_EQ(ours, run.sent().size() - counts.refused - counts.dropped + counts.duplicated);
}

void add_to(log_fault_counts& sum, const log_fault_counts& more) {
  for (auto one :
       {&log_fault_counts::refused, &log_fault_counts::dropped, &log_fault_counts::delayed,
        &log_fault_counts::reordered, &log_fault_counts::duplicated, &log_fault_counts::reply_lost,
        &log_fault_counts::neighbour, &log_fault_counts::lagging})
    sum.*one += more.*one;
}

log_fault_counts run_one(log_faults faults, int appends) {
  faulty_log log(std::make_shared<memory_log>(), 1, faults, faulty_log::drive::caller);
  for (int count = 0; count < appends; ++count)
    log.append(zero, "x", [](const append_outcome&) {});
  log.settle();
  return log.counts();
}

} // namespace

TEST(faulty_log, a_certain_refusal_stores_nothing_and_says_so) {
  const auto inside = std::make_shared<memory_log>();
  faulty_log log(inside, 1, {.refused = 1000}, faulty_log::drive::caller);
  append_outcome seen;
  log.append(zero, "x", [&](const append_outcome& outcome) { seen = outcome; });
  log.settle();
  EXPECT_EQ(seen.fate, append_fate::not_written);
  EXPECT_EQ(seen.failure.code, error_code::unavailable);
  EXPECT_TRUE(seen.failure.retryable);
  EXPECT_EQ(inside->end(zero).value(), 0u);
}

TEST(faulty_log, a_dropped_append_and_a_lost_reply_sound_the_same) {
  for (const auto& [faults, stored] : {std::pair{log_faults{.dropped = 1000}, 0u},
                                       std::pair{log_faults{.reply_lost = 1000}, 1u}}) {
    const auto inside = std::make_shared<memory_log>();
    faulty_log log(inside, 1, faults, faulty_log::drive::caller);
    append_outcome seen{append_fate::durable, 0, {}};
    log.append(zero, "x", [&](const append_outcome& outcome) { seen = outcome; });
    log.step();
    EXPECT_EQ(seen.fate, append_fate::unknown);
    EXPECT_EQ(seen.failure.text,
              "an append to partition 0 got no answer on purpose: this log has faults; try again");
    EXPECT_EQ(inside->end(zero).value(), stored);
  }
}

TEST(faulty_log, a_record_can_land_after_its_fate_was_called_unknown) {
  const auto inside = std::make_shared<memory_log>();
  faulty_log log(inside, 1, {.delayed = 1000, .reply_lost = 1000, .delay_steps_max = 1},
                 faulty_log::drive::caller);
  append_outcome seen{append_fate::durable, 0, {}};
  log.append(zero, "late", [&](const append_outcome& outcome) { seen = outcome; });
  EXPECT_TRUE(log.step());
  EXPECT_EQ(seen.fate, append_fate::unknown);
  EXPECT_EQ(inside->end(zero).value(), 0u);
  EXPECT_FALSE(log.step());
  EXPECT_EQ(inside->end(zero).value(), 1u);
}

TEST(faulty_log, a_refusal_of_the_log_inside_is_passed_on_and_not_repeated) {
  const auto inside = std::make_shared<memory_log>();
  faulty_log log(inside, 1, {.duplicated = 1000}, faulty_log::drive::caller);
  append_outcome seen;
  log.append(zero, "", [&](const append_outcome& outcome) { seen = outcome; });
  log.settle();
  EXPECT_EQ(seen.fate, append_fate::not_written);
  EXPECT_EQ(seen.failure.code, error_code::invalid_argument);
  EXPECT_EQ(log.counts().duplicated, 0u);
}

TEST(faulty_log, a_watermark_that_stands_hides_what_others_store) {
  const auto inside = std::make_shared<memory_log>();
  faulty_log log(inside, 1, {.lagging = 1000, .lag_steps_max = 10}, faulty_log::drive::caller);
  EXPECT_EQ(log.end(zero).value(), 0u); // from now on it knows the partition
  EXPECT_TRUE(log.step());
  inside->append(zero, "of another process", [](const append_outcome&) {});
  while (inside->end(zero).value() == 0)
    EXPECT_TRUE(inside->read(zero, 0, 1, std::chrono::milliseconds(1000)));
  EXPECT_EQ(log.end(zero).value(), 0u);
  EXPECT_TRUE(log.read(zero, 0, 1000, at_once).value().empty());
  EXPECT_TRUE(log.read(zero, 1, 1000, at_once).value().empty()); // it is there: not a cut log
  EXPECT_EQ(log.read(zero, 2, 1000, at_once).error().code, error_code::log_cut);
  log.settle();
  EXPECT_EQ(log.end(zero).value(), 1u);
  EXPECT_EQ(log.read(zero, 0, 1000, at_once).value().size(), 1u);
  EXPECT_EQ(log.counts().lagging, 2u);
}

TEST(faulty_log, nothing_happens_by_itself_when_the_caller_drives) {
  const auto inside = std::make_shared<memory_log>();
  faulty_log log(inside, 1, {}, faulty_log::drive::caller);
  bool is_told = false;
  log.append(zero, "x", [&](const append_outcome&) { is_told = true; });
  EXPECT_EQ(inside->end(zero).value(), 0u);
  EXPECT_FALSE(is_told);
  EXPECT_FALSE(log.step());
  EXPECT_TRUE(is_told);
  EXPECT_EQ(inside->end(zero).value(), 1u);
}

TEST(faulty_log, ended_faults_are_over) {
  faulty_log log(std::make_shared<memory_log>(), 1, {.refused = 1000}, faulty_log::drive::caller);
  log.set_faults({});
  append_outcome seen;
  log.append(zero, "x", [&](const append_outcome& outcome) { seen = outcome; });
  log.settle();
  EXPECT_EQ(seen.fate, append_fate::durable);
}

TEST(faulty_log, each_kind_alone_is_counted_as_itself) {
  const auto counts = [](log_faults faults) { return run_one(faults, 1000); };
  EXPECT_NEAR(static_cast<double>(counts({.refused = 100}).refused), 100, 60);
  EXPECT_NEAR(static_cast<double>(counts({.dropped = 100}).dropped), 100, 60);
  EXPECT_NEAR(static_cast<double>(counts({.delayed = 100}).delayed), 100, 60);
  EXPECT_NEAR(static_cast<double>(counts({.reordered = 100}).reordered), 100, 60);
  EXPECT_NEAR(static_cast<double>(counts({.duplicated = 100}).duplicated), 100, 60);
  EXPECT_NEAR(static_cast<double>(counts({.reply_lost = 100}).reply_lost), 100, 60);
  EXPECT_NEAR(static_cast<double>(counts({.neighbour = 100}).neighbour), 100, 60);
  const auto none = counts({});
  EXPECT_EQ(none.refused + none.dropped + none.delayed + none.reordered + none.duplicated +
                none.reply_lost + none.neighbour + none.lagging,
            0u);
}

TEST(faulty_log, keeps_what_it_promises_for_every_seed) {
  log_fault_counts sum;
  for (std::uint64_t seed = 0; seed < seeds && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run_of_one_seed run(seed);
    run.append_and_step(100);
    run.log().settle();
    run.look_at_ends();
    check_order(run);
    check_truth(run, run.log().counts());
    add_to(sum, run.log().counts());
  }
  for (auto one :
       {&log_fault_counts::refused, &log_fault_counts::dropped, &log_fault_counts::delayed,
        &log_fault_counts::reordered, &log_fault_counts::duplicated, &log_fault_counts::reply_lost,
        &log_fault_counts::neighbour, &log_fault_counts::lagging})
    EXPECT_GT(sum.*one, 100u);
}

TEST(faulty_log, closing_tells_everything_first) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    run_of_one_seed run(seed);
    for (int count = 0; count < 50; ++count)
      run.append();
    run.end();
    check_order(run);
  }
}

TEST(faulty_log, the_same_seed_has_the_same_outcome_and_another_one_another) {
  const auto outcome = [](std::uint64_t seed) {
    run_of_one_seed run(seed);
    run.append_and_step(200);
    run.log().settle();
    std::vector<std::string> stored;
    for (const auto& one : run.stored(zero))
      stored.push_back(one.bytes);
    return std::pair{run.heard(), stored};
  };
  EXPECT_EQ(outcome(1), outcome(1));
  EXPECT_NE(outcome(1), outcome(2));
}

} // namespace orrery::log
