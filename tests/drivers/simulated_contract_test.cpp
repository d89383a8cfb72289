#include "drivers/simulated/simulated_hypervisor.hpp"
#include "tests/contract/driver_contract.hpp"

#include <filesystem>

namespace orrery::contract {
namespace {

using drivers::simulated_hypervisor;
using drivers::simulated_world;

class simulated_bench final : public driver_bench {
public:
  explicit simulated_bench(simulated_world::options settings) {
    auto opened = simulated_world::open(std::move(settings));
    if (opened)
      x_world = *opened;
  }

  std::unique_ptr<hypervisor> make_driver() override {
    return std::make_unique<simulated_hypervisor>(x_world);
  }

  [[nodiscard]] std::string image() const override { return "tiny"; }

  drivers::guest_port make_port() override {
    drivers::guest_port port;
    port.link = "sim" + std::to_string(++x_port_count);
    return port;
  }

  void crash_guest(vm_id vm) override { x_world->crash_guest(vm); }

  void destroy_guest(vm_id vm) override { x_world->destroy_guest(vm); }

  void forget_guest(vm_id vm) override { x_world->lose_guest(vm); }

  void break_connections() override { x_world->lose_connections(); }

  [[nodiscard]] std::string ready_text() const override { return "ready"; }

  [[nodiscard]] std::chrono::seconds limit() const override { return std::chrono::seconds(20); }

private:
  std::shared_ptr<simulated_world> x_world;
  unsigned x_port_count = 0;
};

driver_bench& with_5_ms_a_verb() {
  static simulated_bench bench(simulated_world::options{});
  return bench;
}

driver_bench& without_any_time() {
  static simulated_bench bench = [] {
    simulated_world::options settings;
    settings.verb_time = std::chrono::microseconds(0);
    return simulated_bench(settings);
  }();
  return bench;
}

driver_bench& in_a_directory() {
  static const auto directory = std::filesystem::temp_directory_path() /
                                ("orrery-simulated-contract-" + to_text(fresh_uuid()));

  static const struct remover {
    ~remover() { std::filesystem::remove_all(directory); }
  } at_exit;

  static simulated_bench bench = [] {
    simulated_world::options settings;
    settings.directory = directory;
    return simulated_bench(settings);
  }();
  return bench;
}

INSTANTIATE_TEST_SUITE_P(simulated, driver_contract,
                         testing::Values(&with_5_ms_a_verb, &without_any_time, &in_a_directory));

} // namespace
} // namespace orrery::contract
