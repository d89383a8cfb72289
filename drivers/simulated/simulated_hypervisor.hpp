#pragma once

#include "drivers/hypervisor.hpp"
#include "drivers/simulated/simulated_world.hpp"

#include <memory>

namespace orrery::drivers {

/// A driver of a simulated node. Several may share one world, as a restarted orchestrator finds the
/// guests that its predecessor started.
class simulated_hypervisor final : public hypervisor {
public:
  explicit simulated_hypervisor(std::shared_ptr<simulated_world> world);
  ~simulated_hypervisor() override;

  [[nodiscard]] result<node_facts> connect() override;
  void listen(guest_listener listener) override;
  [[nodiscard]] result<std::vector<guest_seen>> list(const uuid& installation) override;
  [[nodiscard]] result<guest_seen> inspect(vm_id vm) override;
  [[nodiscard]] result<guest_seen> fence(vm_id vm, fencing_token token) override;
  [[nodiscard]] result<void> define(const guest_spec& spec, generation_number generation,
                                    fencing_token token) override;
  [[nodiscard]] result<void> start(vm_id vm, generation_number generation,
                                   fencing_token token) override;
  [[nodiscard]] result<void> shutdown(vm_id vm, fencing_token token) override;
  [[nodiscard]] result<void> kill(vm_id vm, fencing_token token) override;
  [[nodiscard]] result<void> undefine(vm_id vm, fencing_token token) override;
  [[nodiscard]] result<std::string> console(vm_id vm, std::size_t bytes_max) override;

private:
  /// What every verb does first: is there a connection, does a fault strike? A question sleeps
  /// here.
  [[nodiscard]] result<void> ask(simulated_verb verb, std::optional<vm_id> vm);
  [[nodiscard]] result<guest_seen> change(simulated_verb verb, vm_id vm,
                                          simulated_operation operation);

  std::shared_ptr<simulated_world> x_world;
  std::shared_ptr<simulated_world::observer> x_ear;
};

} // namespace orrery::drivers
