#include "drivers/simulated/simulated_hypervisor.hpp"

#include "drivers/guest_spec_check.hpp"

#include <algorithm>
#include <thread>

namespace orrery::drivers {

namespace {

error unavailable(std::string text) {
  return {.code = error_code::unavailable, .text = std::move(text), .retryable = true};
}

error connection_lost() {
  return unavailable("the connection to the simulated hypervisor is lost; connect again");
}

void sleep(std::chrono::microseconds duration) {
  if (duration.count() > 0)
    std::this_thread::sleep_for(duration);
}

result<void> only_success(const result<guest_seen>& seen) {
  if (!seen)
    return seen.error();
  return {};
}

} // namespace

simulated_hypervisor::simulated_hypervisor(std::shared_ptr<simulated_world> world)
    : x_world(std::move(world)), x_ear(std::make_shared<simulated_world::observer>()) {
  x_world->attach(x_ear);
}

simulated_hypervisor::~simulated_hypervisor() { listen({}); }

result<node_facts> simulated_hypervisor::connect() {
  const auto fault = x_world->begin(simulated_verb::connect, std::nullopt);
  sleep(x_world->x_options.verb_time);
  if (fault && fault->what == simulated_failure::slow)
    sleep(fault->delay);
  else if (fault)
    return fault->failure;
  x_ear->is_connected = true;
  auto images = x_world->x_options.images;
  std::ranges::sort(images);
  return node_facts{.hypervisor = "simulated",
                    .vcpus = x_world->x_options.vcpus,
                    .memory = x_world->x_options.memory,
                    .images = std::move(images)};
}

void simulated_hypervisor::listen(guest_listener listener) {
  const std::unique_lock lock(x_ear->guard);
  x_ear->listener = std::move(listener);
}

result<void> simulated_hypervisor::ask(simulated_verb verb, std::optional<vm_id> vm) {
  const auto fault = x_world->begin(verb, vm);
  if (!x_ear->is_connected)
    return connection_lost();
  sleep(x_world->x_options.verb_time);
  if (!fault)
    return {};
  switch (fault->what) {
  case simulated_failure::fail:
  case simulated_failure::fail_after:
    return fault->failure;
  case simulated_failure::slow:
    sleep(fault->delay);
    return {};
  case simulated_failure::late:
    sleep(fault->patience);
    return unavailable("the simulated hypervisor did not answer in time");
  case simulated_failure::lose_connection:
    x_world->disconnect(*x_ear);
    return connection_lost();
  }
  return {};
}

result<guest_seen> simulated_hypervisor::change(simulated_verb verb, vm_id vm,
                                                simulated_operation operation) {
  const auto fault = x_world->begin(verb, vm);
  if (!x_ear->is_connected)
    return connection_lost();
  std::chrono::microseconds duration = x_world->x_options.verb_time;
  std::chrono::microseconds patience = x_world->x_options.patience;
  if (!fault)
    return x_world->change(vm, std::move(operation), duration, patience);
  switch (fault->what) {
  case simulated_failure::fail:
    sleep(duration);
    return fault->failure;
  case simulated_failure::fail_after: {
    // Whatever came of it, the caller hears the failure.
    const auto lost = x_world->change(vm, std::move(operation), duration, patience);
    static_cast<void>(lost);
    return fault->failure;
  }
  case simulated_failure::slow:
    duration += fault->delay;
    break;
  case simulated_failure::late:
    duration = fault->delay;
    patience = fault->patience;
    break;
  case simulated_failure::lose_connection:
    x_world->disconnect(*x_ear);
    return connection_lost();
  }
  return x_world->change(vm, std::move(operation), duration, patience);
}

result<std::vector<guest_seen>> simulated_hypervisor::list(const uuid& installation) {
  if (auto asked = ask(simulated_verb::list, std::nullopt); !asked)
    return asked.error();
  std::vector<guest_seen> found;
  for (auto& shard : x_world->shards()) {
    const simulated_world::turn mine(*x_world, shard);
    for (const auto& [id, guest] : shard.guests)
      if (guest.defined && guest.spec.installation == installation)
        found.push_back(seen_of(vm_id{id}, guest));
  }
  std::ranges::sort(found, {}, &guest_seen::vm);
  return found;
}

result<guest_seen> simulated_hypervisor::inspect(vm_id vm) {
  if (auto asked = ask(simulated_verb::inspect, vm); !asked)
    return asked.error();
  return seen_of(vm, x_world->guest(vm));
}

result<guest_seen> simulated_hypervisor::fence(vm_id vm, fencing_token token) {
  return change(simulated_verb::fence, vm, {.what = simulated_change::fence, .token = token});
}

result<void> simulated_hypervisor::define(const guest_spec& spec, generation_number generation,
                                          fencing_token token) {
  if (auto checked = check_spec(spec); !checked)
    return checked;
  return only_success(change(
      simulated_verb::define, spec.vm,
      {.what = simulated_change::define, .generation = generation, .token = token, .spec = spec}));
}

result<void> simulated_hypervisor::start(vm_id vm, generation_number generation,
                                         fencing_token token) {
  return only_success(
      change(simulated_verb::start, vm,
             {.what = simulated_change::start, .generation = generation, .token = token}));
}

result<void> simulated_hypervisor::shutdown(vm_id vm, fencing_token token) {
  return only_success(
      change(simulated_verb::shutdown, vm, {.what = simulated_change::shutdown, .token = token}));
}

result<void> simulated_hypervisor::kill(vm_id vm, fencing_token token) {
  return only_success(
      change(simulated_verb::kill, vm, {.what = simulated_change::kill, .token = token}));
}

result<void> simulated_hypervisor::undefine(vm_id vm, fencing_token token) {
  return only_success(
      change(simulated_verb::undefine, vm, {.what = simulated_change::undefine, .token = token}));
}

result<std::string> simulated_hypervisor::console(vm_id vm, std::size_t bytes_max) {
  if (auto asked = ask(simulated_verb::console, vm); !asked)
    return asked.error();
  const auto guest = x_world->guest(vm);
  std::string text;
  if (!guest || guest->boot_count == 0)
    return text;
  // The console is a function of what is kept, so that it survives with the world.
  text =
      "simulated guest " + guest->spec.name + ", boot " + std::to_string(guest->boot_count) + "\n";
  if (guest->condition == guest_condition::running && x_world->answers(vm))
    text += "address " + to_text(guest->spec.port.address) + " is up\nready\n";
  if (guest->condition == guest_condition::stopped)
    text += guest->cause == stop_cause::guest ? "power down\n" : "";
  if (text.size() > bytes_max)
    text.erase(0, text.size() - bytes_max);
  return text;
}

} // namespace orrery::drivers
