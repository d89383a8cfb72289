#include "tests/contract/driver_contract.hpp"
#include "tests/drivers/libvirt_node.hpp"

#include <csignal>

namespace orrery::contract {
namespace {

using testing_support::libvirt_node;

class libvirt_bench final : public driver_bench {
public:
  std::unique_ptr<hypervisor> make_driver() override { return x_node.make_driver(); }

  [[nodiscard]] std::string image() const override { return libvirt_node::image; }

  drivers::guest_port make_port() override { return x_node.make_port(); }

  void crash_guest(vm_id vm) override {
    const auto pid = x_node.guest_pid(vm);
    ASSERT_GT(pid, 0);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
  }

  void destroy_guest(vm_id vm) override { expect_virsh({"destroy", to_text(vm.value)}); }

  void forget_guest(vm_id vm) override { expect_virsh({"undefine", to_text(vm.value)}); }

  void break_connections() override {
    x_node.kill_libvirtd();
    x_node.start_daemons();
  }

  [[nodiscard]] std::string ready_text() const override { return "orrery-guest: ready"; }

  // A boot under emulation took 21 s at a load of 14.
  [[nodiscard]] std::chrono::seconds limit() const override { return std::chrono::seconds(120); }

private:
  void expect_virsh(const std::vector<std::string>& words) const {
    const auto done = x_node.virsh(words);
    EXPECT_EQ(done.status, 0) << done.output;
  }

  libvirt_node x_node;
};

driver_bench& real_libvirtd() {
  static libvirt_bench bench;
  return bench;
}

INSTANTIATE_TEST_SUITE_P(libvirt, driver_contract, testing::Values(&real_libvirtd));

} // namespace
} // namespace orrery::contract
