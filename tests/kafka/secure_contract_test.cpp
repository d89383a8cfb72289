#include "tests/contract/log_contract.hpp"
#include "tests/kafka/secure.hpp"

// The whole contract for one who came in by a login, and by a certificate, with an owner's ACLs.

namespace orrery::log::contract {

namespace {

using door = kafka_cluster::door;

class secure_bed final : public bed {
public:
  explicit secure_bed(door by) {
    x_options = fresh_log(secure_cluster());
    const auto topic = x_options.target.topic;
    x_options.target = secure_cluster().as("orreryd", by);
    x_options.target.topic = topic;
  }

  std::unique_ptr<log> open() override { return opened(x_options); }

private:
  kafka_options x_options;
};

const bed_factory login{"login", [] { return std::make_unique<secure_bed>(door::login); }};
const bed_factory certificate{"certificate",
                              [] { return std::make_unique<secure_bed>(door::certificate); }};

std::string name_of_bed(const testing::TestParamInfo<bed_factory>& tested) {
  return tested.param.name;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(engine, log_contract, testing::Values(login, certificate), name_of_bed);

} // namespace orrery::log::contract
