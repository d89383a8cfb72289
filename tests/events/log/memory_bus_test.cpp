#include "events/log/memory_bus.hpp"
#include "tests/contract/bus_contract.hpp"

namespace orrery::log::contract {

namespace {

class memory_bus_bed final : public bus_bed {
public:
  participant join() override {
    const auto made = std::make_shared<memory_bus>(x_store);
    return {made, made};
  }

private:
  std::shared_ptr<memory_bus_store> x_store = make_memory_bus_store(8);
};

const bus_bed_factory memory{"memory", [] { return std::make_unique<memory_bus_bed>(); }};

std::string name_of_bed(const testing::TestParamInfo<bus_bed_factory>& tested) {
  return tested.param.name;
}

constexpr partition_number zero{0};
constexpr std::chrono::milliseconds at_once{0};

struct two {
  std::shared_ptr<memory_bus_store> store = make_memory_bus_store(1);
  memory_bus one{store};
  memory_bus other{store};
};

} // namespace

INSTANTIATE_TEST_SUITE_P(engine, bus_contract, testing::Values(memory), name_of_bed);

TEST(memory_bus, what_one_that_is_cut_off_sends_is_lost) {
  two at;
  EXPECT_TRUE(at.other.listen(zero));
  at.one.cut(true);
  EXPECT_TRUE(at.one.send(zero, "lost"));
  EXPECT_TRUE(at.one.post("lost"));
  at.one.cut(false);
  EXPECT_TRUE(at.one.send(zero, "sent"));
  EXPECT_TRUE(at.one.post("posted"));
  EXPECT_THAT(at.other.receive(at_once).value(), testing::ElementsAre(carried{zero, "sent"}));
  EXPECT_THAT(at.other.read(at_once).value(), testing::ElementsAre("posted"));
}

TEST(memory_bus, one_that_is_cut_off_gets_what_it_missed_when_it_is_joined_again) {
  two at;
  EXPECT_TRUE(at.one.listen(zero));
  at.one.cut(true);
  at.one.cut(true);
  EXPECT_TRUE(at.other.send(zero, "sent"));
  EXPECT_TRUE(at.other.post("posted"));
  EXPECT_TRUE(at.one.receive(at_once).value().empty());
  EXPECT_TRUE(at.one.read(at_once).value().empty());
  EXPECT_EQ(at.one.breaks(), 1U);
  at.one.cut(false);
  EXPECT_EQ(at.one.receive(at_once).value().size(), 1U);
  EXPECT_EQ(at.one.read(at_once).value().size(), 1U);
  EXPECT_EQ(at.one.breaks(), 1U);
  EXPECT_EQ(at.other.breaks(), 0U);
}

TEST(memory_bus, what_a_slow_listener_has_not_read_is_kept_for_it) {
  two at;
  EXPECT_TRUE(at.one.listen(zero));
  for (std::size_t count = 0; count < 3 * carried_before; ++count)
    EXPECT_TRUE(at.other.send(zero, std::to_string(count)));
  std::size_t next = 0;
  for (auto some = at.one.receive(at_once); !some.value().empty(); some = at.one.receive(at_once))
    for (const auto& one : *some)
      EXPECT_EQ(one.bytes, std::to_string(next++));
  EXPECT_EQ(next, 3 * carried_before);
}

TEST(memory_bus, in_one_thread_it_does_the_same_each_time) {
  const auto run = [] {
    std::string trace;
    two at;
    for (int step = 0; step < 50; ++step) {
      EXPECT_TRUE(at.one.listen(zero));
      EXPECT_TRUE(at.other.send(zero, std::to_string(step)));
      EXPECT_TRUE(at.one.post(std::to_string(step)));
      const auto received = at.one.receive(at_once);
      for (const auto& one : received.value())
        trace += one.bytes + " ";
      const auto read = at.other.read(at_once);
      for (const auto& one : read.value())
        trace += one + " ";
      if (step % 7 == 0)
        at.one.ignore(zero);
    }
    return trace;
  };
  EXPECT_EQ(run(), run());
  EXPECT_FALSE(run().empty());
}

} // namespace orrery::log::contract
