#include "tests/contract/log_contract.hpp"
#include "tests/kafka/cluster.hpp"

namespace orrery::log::contract {

namespace {

class kafka_bed final : public bed {
public:
  std::unique_ptr<log> open() override { return opened(x_options); }

private:
  kafka_options x_options = fresh_log(the_cluster());
};

const bed_factory kafka{"kafka", [] { return std::make_unique<kafka_bed>(); }};

std::string name_of_bed(const testing::TestParamInfo<bed_factory>& tested) {
  return tested.param.name;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(engine, log_contract, testing::Values(kafka), name_of_bed);

TEST(kafka_log, a_record_has_the_brokers_time) {
  const auto log = kafka_bed().open();
  constexpr std::chrono::milliseconds grain(1); // of the broker's times
  const auto now = [] {
    return std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now());
  };
  const auto before = now() - grain;
  ASSERT_EQ(append_and_wait(*log, partition_number{0}, "a record").fate, append_fate::durable);
  const auto after = now();
  const auto read = log->read(partition_number{0}, 0, 1'000, std::chrono::seconds(30));
  ASSERT_TRUE(read) << read.error().text;
  ASSERT_EQ(read->size(), 1u);
  const auto at = read->front().appended_at;
  ASSERT_TRUE(at.has_value());
  EXPECT_GE(*at, before);
  EXPECT_LE(*at, after);
}

} // namespace orrery::log::contract
