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

} // namespace orrery::log::contract
