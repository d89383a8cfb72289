#include "events/log/memory_log.hpp"
#include "tests/contract/log_contract.hpp"

namespace orrery::log::contract {

namespace {

class memory_bed final : public bed {
public:
  std::unique_ptr<log> open() override { return std::make_unique<memory_log>(x_store); }

private:
  std::shared_ptr<memory_store> x_store = make_memory_store();
};

const bed_factory memory{"memory", [] { return std::make_unique<memory_bed>(); }};

std::string name_of_bed(const testing::TestParamInfo<bed_factory>& tested) {
  return tested.param.name;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(engine, log_contract, testing::Values(memory), name_of_bed);

} // namespace orrery::log::contract
