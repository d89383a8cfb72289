#include "tests/sim/hosts.hpp"

#include "tests/sim/host_driver.hpp"

namespace orrery::sim {

namespace {

/// More than the simulated clusters ask for.
constexpr vcpu_count host_vcpus{64};
constexpr mib host_memory{std::uint64_t{64} * 1024};

} // namespace

hosts::hosts(surroundings& around) : x_around(around) {
  for (auto& [where, truth] : around.referees)
    truth.watch_guests([this](const uuid& vm) { return runs(vm); });
}

host& hosts::of(const uuid& node) {
  auto& found = x_hosts[node];
  if (found)
    return *found;
  drivers::simulated_world::options wanted;
  wanted.verb_time = std::chrono::microseconds(0); // no thread, no clock
  wanted.vcpus = host_vcpus;
  wanted.memory = host_memory;
  wanted.images = {"debian", "debian-deaf", "debian-silent"};
  found = std::make_shared<host>();
  found->node = node;
  found->world = *drivers::simulated_world::open(std::move(wanted));
  found->hands = std::make_shared<drivers::simulated_hypervisor>(found->world);
  static_cast<void>(found->hands->connect());
  return *found;
}

actors::node_link hosts::connect(std::uint32_t process, const uuid& node) {
  of(node);
  actors::node_link link;
  link.hypervisor = std::make_unique<host_driver>(x_around, x_hosts.at(node), process);
  link.network = std::make_unique<host_ports>(x_hosts.at(node));
  link.speaker = pvip::make_simulated_speaker();
  return link;
}

bool hosts::runs(const uuid& vm) {
  for (const auto& [node, one] : x_hosts) {
    const auto guest = one->world->guest(vm_id{vm});
    if (guest && guest->condition == drivers::guest_condition::running)
      return true;
  }
  return false;
}

std::string hosts::told_wrong() {
  for (const auto& [node, one] : x_hosts)
    for (const auto& [link, port] : one->ports) {
      const auto vm = one->world->guest_on(link);
      if (port.announced != (vm && runs(vm->value)))
        return "others are " + std::string(port.announced ? "" : "not ") + "told of " + link +
               " of " + (vm ? to_text(*vm) : std::string("no guest"));
    }
  return {};
}

const pvip::port* hosts::port_on(const uuid& node, const std::string& link) const {
  const auto host = x_hosts.find(node);
  if (host == x_hosts.end())
    return nullptr;
  const auto port = host->second->ports.find(link);
  return port == host->second->ports.end() ? nullptr : &port->second;
}

std::vector<support::guest> hosts::guests() {
  std::vector<support::guest> found;
  for (const auto& [node, one] : x_hosts) {
    static_cast<void>(one->hands->connect());
    if (const auto listed = one->hands->list(x_around.identity.installation.value))
      for (const auto& guest : *listed)
        found.push_back({guest.vm.value, node});
  }
  return found;
}

host* hosts::any_host() {
  if (x_hosts.empty())
    return nullptr;
  auto at = x_hosts.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(x_around.random.below(x_hosts.size())));
  return at->second.get();
}

void hosts::lose_host(micros duration) {
  auto* lost = any_host();
  const bool loses_power = x_around.random.chance(40);
  if (lost == nullptr || lost->is_away)
    return;
  x_around.count(fault::host);
  x_around.seen.tell("host", lost->node.b, [&] {
    return "vanishes for " + std::to_string(duration.count() / 1000) + " ms" +
           (loses_power ? ", its guests end" : "");
  });
  lost->is_away = true;
  if (loses_power) {
    lost->late.clear();
    static_cast<void>(lost->hands->connect());
    if (const auto listed = lost->hands->list(x_around.identity.installation.value))
      for (const auto& guest : *listed)
        lost->world->crash_guest(guest.vm);
  }
  lost->world->lose_connections();
  x_around.time.in(duration, [this, node = lost->node] {
    of(node).is_away = false;
    x_around.seen.note("host back", node.b);
  });
}

void hosts::disturb_guest() {
  auto* on = any_host();
  const auto dice = x_around.random.next();
  if (on == nullptr || on->is_away)
    return;
  static_cast<void>(on->hands->connect());
  const auto listed = on->hands->list(x_around.identity.installation.value);
  if (!listed || listed->empty())
    return;
  const auto& guest = (*listed)[dice / 4 % listed->size()];
  x_around.count(fault::guest);
  x_around.seen.tell("guest", guest.vm.value.b,
                     [&] { return to_text(guest.vm) + " is disturbed"; });
  switch (dice % 4) {
  case 0:
    return on->world->crash_guest(guest.vm);
  case 1:
    return on->world->destroy_guest(guest.vm);
  case 2:
    return on->world->power_off_guest(guest.vm);
  default:
    return on->world->lose_guest(guest.vm);
  }
}

void hosts::calm() {
  for (auto& [node, one] : x_hosts)
    one->is_away = false;
}

} // namespace orrery::sim
