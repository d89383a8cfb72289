#include "events/log/faulty_log.hpp"
#include "events/log/memory_log.hpp"
#include "events/log/owner.hpp"

#include <gtest/gtest.h>

#include <array>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

// Two owners write to one log, each through a way of its own that goes wrong. Whatever happens:
// what was acknowledged is there, nothing counts twice, and all who read agree on what each number
// is.

namespace orrery::log {

namespace {

constexpr std::uint64_t seeds = 200;
constexpr int turns = 600; ///< of one seed, before the faults end
constexpr int turns_to_settle_max = 2000;
constexpr std::chrono::milliseconds at_once{0};
constexpr std::size_t everything = 1'000'000'000;
constexpr partition_number where{5};
constexpr log_identity ours{installation_id{uuid{0x11, 0x12}}, log_id{uuid{0x21, 0x22}}};

constexpr log_faults storm{.refused = 60,
                           .dropped = 60,
                           .delayed = 150,
                           .reordered = 100,
                           .duplicated = 100,
                           .reply_lost = 60,
                           .neighbour = 150,
                           .lagging = 100,
                           .delay_steps_max = 15,
                           .lag_steps_max = 15};

/// When a process says that its commit is done.
enum class acknowledges : std::uint8_t {
  when_read_back, ///< as the product does
  when_durable,   ///< as soon as the log says so: wrong, since the record may be void
};

using accepted_bodies = std::map<std::uint64_t, std::string>; ///< by number

/// One orreryd: an owner on its own way to the log.
class process {
public:
  process(std::string name, std::shared_ptr<log> inside, std::uint64_t seed, acknowledges when)
      : x_name(std::move(name)), x_when(when), x_random(seed), x_owner(ours, where),
        x_log(std::move(inside), seed, storm, faulty_log::drive::caller) {}

  /// Goes on by one thing or two. `claim_odds`: in 1,000, to claim what another one owns.
  void turn(std::uint64_t claim_odds) {
    x_log.step();
    if (x_random() % 3 != 0)
      read();
    switch (x_owner.stands()) {
    case standing::following:
      if (!x_is_waiting && x_random() % 1000 < claim_odds)
        claim();
      return;
    case standing::in_doubt:
      claim();
      return;
    case standing::owning:
      finish();
      if (x_owner.is_idle() && !x_is_waiting)
        commit();
      return;
    case standing::claiming:
    case standing::halted:
      return;
    }
  }

  /// False when there was nothing to read.
  bool read() {
    const auto found = x_log.read(where, x_read, 1 + x_random() % 2000, at_once);
    EXPECT_TRUE(found) << found.error().text;
    if (!found)
      return false;
    for (const auto& one : *found) {
      EXPECT_EQ(one.at, x_read) << "a gap";
      ++x_read;
      const auto number = x_owner.head().next;
      const auto said = x_owner.on_record(one.bytes);
      EXPECT_NE(said.what, reading::kind::halt) << x_name << ": " << said.alarm->text;
      if (said.what == reading::kind::commit)
        x_accepted[number] = std::string(said.body);
      finish();
    }
    return !found->empty();
  }

  void end_faults() {
    x_log.set_faults({});
    x_log.settle();
  }

  [[nodiscard]] standing stands() const { return x_owner.stands(); }

  [[nodiscard]] const accepted_bodies& accepted() const { return x_accepted; }

  [[nodiscard]] const std::set<std::string>& acknowledged() const { return x_acknowledged; }

  [[nodiscard]] const std::set<std::string>& refused() const { return x_refused; }

  [[nodiscard]] int claims() const { return x_claims; }

  [[nodiscard]] log_fault_counts faults() const { return x_log.counts(); }

private:
  void claim() {
    ++x_claims;
    append(x_owner.make_claim({x_name, "", 0, x_random() | 1, utc_time{}}), std::nullopt);
  }

  void commit() {
    const auto body = x_name + " " + std::to_string(x_commits++);
    append(x_owner.make_commit(body), body);
    x_in_flight = body;
  }

  void append(std::string bytes, std::optional<std::string> body) {
    x_is_waiting = true;
    const auto ticket = ++x_ticket; // only what became of the last append matters
    x_log.append(where, std::move(bytes), [this, ticket, body](const append_outcome& outcome) {
      if (body && outcome.fate == append_fate::not_written)
        x_refused.insert(*body);
      if (body && outcome.fate == append_fate::durable && x_when == acknowledges::when_durable)
        x_acknowledged.insert(*body);
      if (ticket != x_ticket)
        return;
      x_is_waiting = false;
      x_owner.on_appended(outcome);
    });
  }

  void finish() {
    if (x_owner.stands() != standing::owning || !x_owner.is_committed())
      return;
    x_acknowledged.insert(x_in_flight);
    x_owner.release();
  }

  std::string x_name;
  acknowledges x_when;
  std::mt19937_64 x_random;
  owner x_owner;
  offset x_read = 0;
  bool x_is_waiting = false; ///< for what became of the last append
  std::uint64_t x_ticket = 0;
  int x_claims = 0;
  int x_commits = 0;
  std::string x_in_flight;
  accepted_bodies x_accepted;
  std::set<std::string> x_acknowledged;
  std::set<std::string> x_refused; ///< told `not_written`
  faulty_log x_log;                ///< last: it tells until it is gone
};

/// What a reader that never wrote finds in the end.
accepted_bodies truth_of(log& inside) {
  accepted_bodies all;
  history reader(ours, where);
  const auto stored = inside.read(where, 0, everything, at_once);
  EXPECT_TRUE(stored);
  for (const auto& one : *stored) {
    const auto judged = reader.take(one.bytes);
    EXPECT_FALSE(std::holds_alternative<stopped>(judged));
    const auto* commit = std::get_if<accepted_commit>(&judged);
    if (commit == nullptr)
      continue;
    EXPECT_TRUE(all.emplace(commit->header.seq, std::string(commit->body)).second)
        << "two for number " << commit->header.seq;
  }
  return all;
}

/// All turns of one seed; in the end no fault is left, and both have read everything.
class two_owners {
public:
  explicit two_owners(std::uint64_t seed, acknowledges when = acknowledges::when_read_back)
      : x_random(seed), x_one("one", x_inside, 2 * seed, when),
        x_two("two", x_inside, 2 * seed + 1, when) {
    for (int count = 0; count < turns; ++count)
      any().turn(20);
  }

  /// False when nobody owns the log for long after the faults ended.
  [[nodiscard]] bool settle() {
    for (auto* one : all())
      one->end_faults();
    bool is_owned = false;
    for (int count = 0; count < turns_to_settle_max && !is_owned; ++count) {
      any().turn(20);
      is_owned = x_one.stands() == standing::owning || x_two.stands() == standing::owning;
    }
    const auto before = acknowledged();
    for (int count = 0; count < turns_to_settle_max && acknowledged() == before; ++count)
      any().turn(0);
    for (auto* one : all())
      one->end_faults();
    for (auto* one : all())
      while (one->read()) {
      }
    return acknowledged() > before;
  }

  [[nodiscard]] std::array<process*, 2> all() { return {&x_one, &x_two}; }

  [[nodiscard]] accepted_bodies truth() { return truth_of(*x_inside); }

  [[nodiscard]] std::size_t acknowledged() {
    return x_one.acknowledged().size() + x_two.acknowledged().size();
  }

  /// How many acknowledged commits are not there.
  [[nodiscard]] std::size_t lost() {
    std::set<std::string> there;
    for (const auto& [number, body] : truth())
      EXPECT_TRUE(there.insert(body).second) << "done twice: " << body;
    std::size_t missing = 0;
    for (const auto* one : all())
      for (const auto& body : one->acknowledged())
        missing += there.contains(body) ? 0 : 1;
    return missing;
  }

private:
  process& any() { return x_random() % 2 == 0 ? x_one : x_two; }

  std::shared_ptr<memory_log> x_inside = std::make_shared<memory_log>();
  std::mt19937_64 x_random;
  process x_one;
  process x_two;
};

void check(two_owners& run) {
  const auto truth = run.truth();
  EXPECT_EQ(run.lost(), 0u);
  for (const auto* one : run.all()) {
    EXPECT_EQ(one->accepted(), truth) << "the readers differ";
    for (const auto& [number, body] : truth)
      EXPECT_FALSE(one->refused().contains(body)) << "said not to be written: " << body;
  }
}

/// What all seeds did together.
struct totals {
  std::size_t acknowledged = 0;
  int claims = 0;
  log_fault_counts faults;

  void add(two_owners& run) {
    acknowledged += run.acknowledged();
    for (const auto* one : run.all()) {
      claims += one->claims();
      const auto more = one->faults();
      for (auto kind : kinds)
        faults.*kind += more.*kind;
    }
  }

  static constexpr std::array kinds{&log_fault_counts::refused,    &log_fault_counts::dropped,
                                    &log_fault_counts::delayed,    &log_fault_counts::reordered,
                                    &log_fault_counts::duplicated, &log_fault_counts::reply_lost,
                                    &log_fault_counts::neighbour,  &log_fault_counts::lagging};
};

} // namespace

TEST(faulty_owners, an_answer_before_reading_back_loses_commits) {
  std::size_t lost = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    two_owners run(seed, acknowledges::when_durable);
    EXPECT_TRUE(run.settle()) << "seed " << seed;
    lost += run.lost();
  }
  EXPECT_GT(lost, 0u) << "these faults cannot show what reading back is for";
}

TEST(faulty_owners, two_lose_and_double_nothing) {
  totals sum;
  for (std::uint64_t seed = 0; seed < seeds && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    two_owners run(seed);
    EXPECT_TRUE(run.settle()) << "nobody could write after the faults had ended";
    check(run);
    sum.add(run);
  }
  std::cout << "[ owners   ] " << sum.acknowledged << " commits acknowledged, " << sum.claims
            << " claims; refused " << sum.faults.refused << ", dropped " << sum.faults.dropped
            << ", delayed " << sum.faults.delayed << ", reordered " << sum.faults.reordered
            << ", duplicated " << sum.faults.duplicated << ", replies lost "
            << sum.faults.reply_lost << ", neighbours " << sum.faults.neighbour << ", lagging "
            << sum.faults.lagging << std::endl;
  EXPECT_GT(sum.acknowledged, 10 * seeds);
  for (auto kind : totals::kinds)
    EXPECT_GT(sum.faults.*kind, seeds / 4);
}

} // namespace orrery::log
