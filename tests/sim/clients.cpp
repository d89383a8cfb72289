#include "tests/sim/clients.hpp"

#include "events/core/guest_port.hpp"

namespace orrery::sim {

namespace {

constexpr micros call_latency_min{200};
constexpr micros call_latency_max{2'000};

/// How long a client waits for an answer before it asks again, or gives up: some are impatient.
constexpr micros patience_min{1'000'000};
constexpr micros patience_max{40'000'000};

constexpr micros pause_min{100'000};
constexpr micros pause_max{3'000'000};

/// Between two wishes of all clients together.
constexpr micros wish_pause_max{1'000'000};

constexpr std::uint32_t nodes = 3;
constexpr std::uint64_t keyed_percent = 70;

/// One wish of so many is another cluster, so that there are messages between partitions.
constexpr std::uint64_t cluster_share = 12;
constexpr std::uint64_t clusters_max = 60;

/// One wish of so many is for a network: one of few prefixes, so that clusters want the same; or to
/// delete one.
constexpr std::uint64_t network_share = 5;
constexpr std::uint64_t prefixes = 6;
constexpr std::uint64_t elsewhere_percent = 20; ///< VMs in another network than "lan"

constexpr partition_number installation_partition{0};

/// The name of the cluster in which a partition's VMs are.
std::string home_name(partition_number where) { return "c" + to_text(where); }

const domain::cluster_state* find_home(process& at, partition_number where, uuid& id) {
  const domain::cluster_state* found = nullptr;
  at.part(where).core().state().for_each([&](const uuid& entity, const domain::entity_ptr& one) {
    const auto* cluster = std::get_if<domain::cluster_state>(one.get());
    if (cluster == nullptr || cluster->name != home_name(where))
      return;
    id = entity;
    found = cluster;
  });
  return found;
}

/// Some network of a cluster: "lan", or any one; perhaps not ready, or about to go.
uuid any_network(const domain::cluster_state& cluster, std::optional<std::uint64_t> other) {
  if (!other)
    if (const auto* lan = cluster.network_names.find("lan"))
      return *lan;
  std::vector<uuid> all;
  cluster.networks.for_each([&all](const uuid& one, const auto&) { all.push_back(one); });
  return all.empty() ? uuid{} : all[other.value_or(0) % all.size()];
}

/// Addresses command `to` the home cluster; false: it is not there yet.
bool address_home(process& at, partition_number where, v1::Command& to) {
  uuid id;
  if (find_home(at, where, id) == nullptr)
    return false;
  domain::set(to.mutable_entity(), id);
  return true;
}

} // namespace

clients::clients(surroundings& around, std::function<std::shared_ptr<process>()> anyone)
    : x_around(around), x_anyone(std::move(anyone)) {
  for (const auto& [where, truth] : around.referees)
    if (where != installation_partition || around.referees.size() == 1)
      x_homes.push_back(where);
}

void clients::begin() {
  found();
  x_around.time.in(pause_max, [this] { wish(); });
}

void clients::found() {
  for (const auto where : x_homes) {
    add_cluster(home_name(where), where);
    furnish(where);
  }
}

void clients::add_cluster(std::string name, partition_number where) {
  ask(
      installation_partition,
      [this, name = std::move(name), where](process& at, v1::Command& command) {
        const auto& installation = x_around.identity.installation.value;
        domain::set(command.mutable_entity(), installation);
        auto* add = command.mutable_installation()->mutable_add_cluster();
        domain::set(add->mutable_cluster(), make_uuid(at.wall(), where, at.random()));
        add->set_name(name);
        add->set_kind(v1::SIMULATED);
        return at.part(installation_partition).core().state().find(installation) != nullptr;
      },
      true);
}

/// Nodes and a network for the home cluster.
void clients::furnish(partition_number where) {
  for (std::uint32_t number = 1; number <= nodes; ++number)
    ask(
        where,
        [where, number](process& at, v1::Command& command) {
          auto* add = command.mutable_cluster()->mutable_add_node();
          domain::set(add->mutable_node(), make_uuid(at.wall(), where, at.random()));
          add->set_name("n" + std::to_string(number));
          return address_home(at, where, command);
        },
        true);
  const auto second = static_cast<std::uint32_t>(where) << 16;
  add_network(where, "lan", {ipv4{0x0a630000 + second}, 20}, true); // 10.99.0.0, 10.100.0.0, …
}

void clients::add_network(partition_number where, std::string name, const ipv4_prefix& prefix,
                          bool is_keyed) {
  ask(
      where,
      [where, name = std::move(name), prefix](process& at, v1::Command& command) {
        auto* add = command.mutable_cluster()->mutable_add_network();
        domain::set(add->mutable_network(), make_uuid(at.wall(), where, at.random()));
        domain::set(add->mutable_subnet(), make_uuid(at.wall(), where, at.random()));
        add->set_name(name);
        add->set_prefix(prefix.base.bits);
        add->set_prefix_length(prefix.length);
        add->set_gateway(prefix.base.bits + 1);
        return address_home(at, where, command);
      },
      is_keyed);
}

// Wishes ------------------------------------------------------------------------------------------

void clients::wish() {
  if (x_is_settling)
    return;
  auto& dice = x_around.random;
  const auto home = x_homes[dice.below(x_homes.size())];
  const partition_number any{static_cast<std::uint16_t>(dice.below(x_around.referees.size()))};
  if (dice.below(cluster_share) == 0 && x_clusters < clusters_max)
    add_cluster("x" + std::to_string(++x_clusters), any);
  else if (dice.below(network_share) == 0)
    wish_for_network(home);
  else
    wish_for_vm(home);
  x_around.time.in(x_around.between(micros(0), wish_pause_max), [this] { wish(); });
}

void clients::wish_for_network(partition_number where) {
  auto& dice = x_around.random;
  const auto roll = dice.below(100);
  const auto which = dice.next();
  const bool is_keyed = dice.chance(keyed_percent);
  std::vector<uuid> networks;
  std::vector<uuid> all;
  x_around.truth(where).state().for_each([&](const uuid& entity, const domain::entity_ptr& one) {
    const auto* network = std::get_if<domain::network_state>(one.get());
    if (network == nullptr)
      return;
    all.push_back(entity);
    if (network->name != "lan")
      networks.push_back(entity);
  });
  if (!all.empty() && which % 3 == 0)
    return set_guests(all[which % all.size()], which);
  if (networks.empty() || roll < 55) {
    const auto third = static_cast<std::uint32_t>(which % prefixes) << 8;
    const std::uint8_t length = roll % 4 == 0 ? 23 : 24; // some hold two of them
    const ipv4_prefix wanted{ipv4{0x0a010000 + third}, length};
    return add_network(where, "net-" + std::to_string(++x_networks),
                       {ipv4{wanted.base.bits & wanted.mask()}, length}, is_keyed);
  }
  const auto network = networks[which % networks.size()];
  ask(
      where,
      [network](process&, v1::Command& command) {
        domain::set(command.mutable_entity(), network);
        command.mutable_network()->mutable_remove();
        return true;
      },
      is_keyed);
}

void clients::wish_for_vm(partition_number where) {
  std::vector<uuid> vms;
  x_around.truth(where).state().for_each([&vms](const uuid& entity, const domain::entity_ptr& one) {
    if (std::holds_alternative<domain::vm_state>(*one))
      vms.push_back(entity);
  });
  auto& dice = x_around.random;
  const auto roll = dice.below(100);
  const auto which = dice.next();
  const bool is_keyed = dice.chance(keyed_percent);
  const auto wanted = x_around.given.vms / x_homes.size();
  if (vms.size() < wanted / 2 || (vms.size() < wanted && roll < 40) || vms.empty())
    return add_vm(where);
  const auto& vm = vms[which % vms.size()];
  if (roll < 5)
    return set_rate(vm, which);
  if (roll < 12)
    return change_addresses(vm, which);
  if (roll < 55)
    return act_on(vm, v1::VmCommand::kStart, is_keyed);
  if (roll < 70)
    return act_on(vm, v1::VmCommand::kShutdown, is_keyed);
  if (roll < 85)
    return act_on(vm, v1::VmCommand::kStop, is_keyed);
  act_on(vm, v1::VmCommand::kRemove, is_keyed);
}

void clients::add_vm(partition_number where) {
  constexpr std::uint64_t names = 3; // some ask for a name that is taken
  const auto name = "vm-" + std::to_string(++x_names - x_around.random.below(names));
  const auto roll = x_around.random.below(100);
  const std::string image = roll < 85   ? "debian"
                            : roll < 92 ? "debian-deaf"
                            : roll < 97 ? "debian-silent"
                                        : "beos";
  std::optional<std::uint64_t> other;
  if (x_around.random.chance(elsewhere_percent))
    other = x_around.random.next();
  ask(
      where,
      [where, name, image, other](process& at, v1::Command& command) {
        uuid id;
        const auto* cluster = find_home(at, where, id);
        if (cluster == nullptr || cluster->networks.size() == 0)
          return false;
        domain::set(command.mutable_entity(), id);
        auto* place = command.mutable_cluster()->mutable_place_vm();
        domain::set(place->mutable_vm(), make_uuid(at.wall(), where, at.random()));
        domain::set(place->mutable_nic(), make_uuid(at.wall(), where, at.random()));
        domain::set(place->mutable_network(), any_network(*cluster, other));
        place->set_name(name);
        place->set_image(image);
        place->set_vcpus(1);
        place->set_memory_mib(256);
        return true;
      },
      x_around.random.chance(keyed_percent));
}

void clients::set_guests(const uuid& network, std::uint64_t which) {
  ask(
      network.partition(),
      [network, which](process&, v1::Command& command) {
        domain::set(command.mutable_entity(), network);
        auto* body = command.mutable_network()->mutable_set_guests();
        body->set_mtu(1'400 + static_cast<std::uint32_t>(which % 100));
        body->set_classless_routes(which % 2 == 0);
        return true;
      },
      true);
}

void clients::set_rate(const uuid& vm, std::uint64_t which) {
  ask(
      vm.partition(),
      [vm, which](process&, v1::Command& command) {
        domain::set(command.mutable_entity(), vm);
        command.mutable_vm()->mutable_set_rate()->set_bits_a_second_max(guest_rate_min *
                                                                        (which % 4));
        return true;
      },
      true);
}

void clients::change_addresses(const uuid& vm, std::uint64_t which) {
  const auto known = x_around.truth(vm.partition()).state().find(vm);
  const auto& nic = std::get<domain::vm_state>(*known).nic;
  const bool is_less = !nic.further.empty() && which % 3 != 0;
  auto wanted = is_less ? nic.further[(which >> 2) % nic.further.size()].prefix : ipv4_prefix{};
  if (!is_less && which % 2 == 0) { // four addresses of the first 256 of its network
    wanted.length = 30;
    wanted.base =
        ipv4{(nic.address.bits & ~0xFFU) | static_cast<std::uint32_t>((which >> 8) & 0xFC)};
  }
  ask(
      vm.partition(),
      [vm, wanted, is_less](process& at, v1::Command& command) {
        domain::set(command.mutable_entity(), vm);
        if (is_less) {
          auto* body = command.mutable_vm()->mutable_remove_addresses();
          body->set_base(wanted.base.bits);
          body->set_length(wanted.length);
          return true;
        }
        auto* body = command.mutable_vm()->mutable_add_addresses();
        domain::set(body->mutable_claim(), make_uuid(at.wall(), vm.partition(), at.random()));
        body->set_base(wanted.base.bits);
        body->set_length(wanted.length);
        return true;
      },
      true);
}

void clients::act_on(const uuid& vm, v1::VmCommand::BodyCase what, bool is_keyed) {
  ask(
      vm.partition(),
      [vm, what](process&, v1::Command& command) {
        domain::set(command.mutable_entity(), vm);
        auto* body = command.mutable_vm();
        if (what == v1::VmCommand::kStart)
          body->mutable_start();
        else if (what == v1::VmCommand::kShutdown)
          body->mutable_shutdown();
        else if (what == v1::VmCommand::kStop)
          body->mutable_stop();
        else
          body->mutable_remove();
        return true;
      },
      is_keyed);
}

void clients::trust_clock() {
  if (is_trusting())
    return;
  x_trusting = ask(
      installation_partition,
      [this](process&, v1::Command& command) {
        domain::set(command.mutable_entity(), x_around.identity.installation.value);
        command.mutable_installation()->mutable_trust_clock();
        return true;
      },
      false);
}

void clients::settle() {
  if (!std::exchange(x_is_settling, true))
    nudge();
}

void clients::nudge() {
  constexpr micros interval{20'000'000};
  x_around.time.in(interval, [this] { nudge(); });
  for (const auto where : x_homes)
    x_around.truth(where).state().for_each(
        [this](const uuid& entity, const domain::entity_ptr& one) {
          const auto* vm = std::get_if<domain::vm_state>(one.get());
          if (vm == nullptr || vm->job)
            return;
          const bool is_on = domain::is_on(vm->observed.state);
          if (vm->desired == domain::desired_state::running && !is_on)
            act_on(entity, v1::VmCommand::kStart, true);
          if (vm->desired == domain::desired_state::stopped && is_on)
            act_on(entity, v1::VmCommand::kStop, true);
        });
}

// Asking ------------------------------------------------------------------------------------------

std::shared_ptr<clients::request> clients::ask(partition_number where, maker make, bool is_keyed) {
  auto one = std::make_shared<request>();
  one->number = ++x_requests;
  one->where = where;
  one->make = std::move(make);
  one->key = is_keyed ? one->number : 0;
  ++x_open;
  attempt(one);
  return one;
}

void clients::attempt(const std::shared_ptr<request>& one) {
  if (!one->is_open)
    return;
  const auto at = x_anyone();
  if (at == nullptr)
    return give_up_or_again(one, x_around.between(pause_min, pause_max));
  const auto number = ++one->attempt;
  x_around.time.in(x_around.between(patience_min, patience_max), [this, one, number] {
    if (one->is_open && one->attempt == number) {
      ++x_unheard;
      give_up_or_again(one, micros(0));
    }
  });
  at->later(x_around.between(call_latency_min, call_latency_max), [this, one, at = at.get()] {
    v1::Command command;
    domain::set(command.mutable_id(), make_uuid(at->wall(), one->where, at->random()));
    command.mutable_principal()->set_kind(v1::Principal::OPERATOR);
    if (one->key != 0) {
      command.mutable_key()->set_key_hash(one->key);
      command.mutable_key()->set_body_hash(one->key * 31);
    }
    if (!one->make(*at, command)) {
      x_around.time.in(x_around.between(pause_min, pause_max), [this, one] { attempt(one); });
      return;
    }
    at->stamp(command);
    at->part(one->where)
        .submit(command, [this, one, at, command](const actors::command_reply& said) {
          x_around.truth(one->where).on_answer(command, said, at->part(one->where).folded());
          x_around.time.in(call_latency_min,
                           [this, one, command, said] { on_answer(one, command, said); });
        });
  });
}

void clients::on_answer(const std::shared_ptr<request>& one, const v1::Command& asked,
                        const actors::command_reply& said) {
  x_around.seen.tell("answer", one->number, [&] {
    return to_text(domain::from_proto(asked.id())) + ": " + said.reply.ShortDebugString() +
           " seq " + std::to_string(said.seq);
  });
  if (said.seq != 0 && one->key != 0) {
    if (one->decided && *one->decided != said.command)
      x_around.truth(one->where)
          .fail("same_answer", "client key " + std::to_string(one->key) +
                                   " was answered from two commands, " + to_text(*one->decided) +
                                   " and " + to_text(said.command));
    one->decided = said.command;
  }
  if (!one->is_open)
    return;
  if (said.seq == 0) // refused at the door, or nobody knows
    return give_up_or_again(one, x_around.between(pause_min, pause_max));
  one->is_open = false;
  --x_open;
  ++(said.reply.code() == 0 ? x_answered : x_refused);
}

void clients::give_up_or_again(const std::shared_ptr<request>& one, micros pause) {
  if (one->key != 0 || one->attempt == 0) {
    x_around.time.in(pause, [this, one] { attempt(one); });
    return;
  }
  one->is_open = false;
  --x_open;
}

} // namespace orrery::sim
