#pragma once

#include "tests/sim/hosts.hpp"

namespace orrery::sim {

/// One process's connection to a host's hypervisor: it fails, is slow to answer, does what it said
/// it had not done, and does things long after it was asked. Each deed is told to the referee.
class host_driver final : public drivers::hypervisor {
public:
  host_driver(surroundings& around, std::shared_ptr<host> on, std::uint32_t process);

  [[nodiscard]] result<drivers::node_facts> connect() override;
  void listen(drivers::guest_listener listener) override;
  [[nodiscard]] result<std::vector<drivers::guest_seen>> list(const uuid& installation) override;
  [[nodiscard]] result<drivers::guest_seen> inspect(vm_id vm) override;
  [[nodiscard]] result<drivers::guest_seen> fence(vm_id vm, drivers::fencing_token token) override;
  [[nodiscard]] result<void> define(const drivers::guest_spec& spec, generation_number generation,
                                    drivers::fencing_token token) override;
  [[nodiscard]] result<void> start(vm_id vm, generation_number generation,
                                   drivers::fencing_token token) override;
  [[nodiscard]] result<void> shutdown(vm_id vm, drivers::fencing_token token) override;
  [[nodiscard]] result<void> kill(vm_id vm, drivers::fencing_token token) override;
  [[nodiscard]] result<void> undefine(vm_id vm, drivers::fencing_token token) override;
  [[nodiscard]] result<std::string> console(vm_id vm, std::size_t bytes_max) override;

private:
  using verb = std::function<result<void>(drivers::hypervisor&)>;

  /// A verb that changes something.
  result<void> change(deed what, vm_id vm, generation_number generation,
                      drivers::fencing_token token, verb act);
  [[nodiscard]] std::optional<error> unreachable();
  [[nodiscard]] std::optional<error> barred(const drivers::fencing_token& token);
  void end_late(std::optional<vm_id> of);
  void do_late(vm_id vm, verb act);

  surroundings& x_around;
  std::shared_ptr<host> x_host;
  drivers::simulated_hypervisor x_inner;
  std::uint32_t x_process;
};

/// A host's ports, in the hands of one process: only that they are there, and whether others are
/// told of them. What another process does to them is found at the next look, as on a real node.
class host_ports final : public pvip::host_network {
public:
  explicit host_ports(std::shared_ptr<host> on) : x_host(std::move(on)) {}

  [[nodiscard]] result<pvip::apply_report> reconcile(std::vector<pvip::port> ports) override;
  [[nodiscard]] result<pvip::apply_report> recheck() override;
  [[nodiscard]] result<void> ensure(const pvip::port& wanted) override;
  [[nodiscard]] result<void> announce(const std::string& link, bool announced) override;
  [[nodiscard]] result<void> amend(const pvip::port& wanted) override;
  [[nodiscard]] std::unordered_set<std::string> announced() override;
  [[nodiscard]] result<pvip::apply_report> answer_on(const std::string& uplink) override;
  [[nodiscard]] result<void> remove(const std::string& link) override;
  [[nodiscard]] result<bool> answers_arp(const pvip::port& wanted,
                                         std::chrono::milliseconds patience) override;

private:
  [[nodiscard]] const pvip::port* known(const std::string& link) const;
  void put(const pvip::port& one);

  std::shared_ptr<host> x_host;
  std::optional<std::map<std::string, pvip::port>> x_wanted; ///< none before `reconcile`
};

} // namespace orrery::sim
