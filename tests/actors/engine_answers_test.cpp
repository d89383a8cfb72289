#include "events/log/owner.hpp"
#include "tests/actors/bench_engine.hpp"

#include <gtest/gtest.h>

#include <optional>

// Who asked on a shared log gets his answer from the accepted record, whatever becomes of the owner
// that wrote it.

namespace orrery::actors {

namespace {

/// Somebody who asks for a change, by this very process, and what he was told.
struct asking {
  std::optional<command_reply> told;

  explicit asking(bench_engine& by) {
    auto made = std::make_shared<submission>();
    made->command = support::with_origin(support::trust_clock(), 99, 1);
    domain::set(made->command.mutable_id(), support::command_number(1));
    domain::set(made->command.mutable_entity(), support::installation());
    made->done = [this](const command_reply& reply) { told = reply; };
    by.core().on_submit(std::move(made));
    by.settle();
  }
};

/// The claim of another process that has read the same log.
std::string foreign_claim(const bench_engine& after) {
  log::owner other({installation_id{support::installation()}, log::log_id{uuid{1, 2}}},
                   partition_number{0});
  for (const auto& record : after.log())
    static_cast<void>(other.on_record(record));
  return other.make_claim({"other", "", 8, 4711, support::start_of_time()});
}

void expect_answer(const asking& who) {
  ASSERT_TRUE(who.told);
  EXPECT_EQ(who.told->reply.code(), 0U) << who.told->reply.text();
  EXPECT_EQ(who.told->command, support::command_number(1));
  EXPECT_EQ(who.told->seq, 3U) << "the claim, the founding, and this";
}

} // namespace

/// An owner that has read its record back before the log has reported it.
class engine_answers : public testing::Test {
protected:
  void SetUp() override {
    own(one);
    one.reports_late = true;
    who.emplace(one);
    ASSERT_EQ(one.end(), 3U);
    ASSERT_FALSE(who->told);
  }

  bench_engine one;
  std::optional<asking> who;
};

TEST_F(engine_answers, wait_for_the_report) {
  one.report(log::append_fate::durable);
  expect_answer(*who);
}

TEST_F(engine_answers, of_one_that_is_replaced_before_the_report_are_those_of_every_reader) {
  one.bring(foreign_claim(one));
  EXPECT_FALSE(one.core().is_owning());
  expect_answer(*who);
}

TEST_F(engine_answers, of_one_in_doubt_about_what_it_has_read_back_are_those_too) {
  one.report(log::append_fate::unknown);
  expect_answer(*who);
}

} // namespace orrery::actors
