#include "tests/support/random_history.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace orrery::support {

namespace {

constexpr std::uint64_t client_nonce = 77;

template <class T, std::size_t Size> T pick(dice& from, const std::array<T, Size>& choices) {
  return choices[from.below(Size)];
}

} // namespace

std::uint64_t dice::next() {
  x_state += 0x9e3779b97f4a7c15ULL;
  auto mixed = x_state;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31);
}

std::uint64_t random_commands::near(std::uint64_t number) {
  if (x_dice.chance(70))
    return number;
  const auto moved = number + x_dice.below(4);
  return moved < 2 ? moved : moved - 2;
}

std::uint32_t random_commands::any_vm() {
  constexpr std::uint32_t recent = 6; // few enough that one VM's story gets long
  const auto last = std::max(x_vms, 1U);
  if (x_dice.chance(10))
    return 1 + static_cast<std::uint32_t>(x_dice.below(last + 2));
  const auto back = static_cast<std::uint32_t>(x_dice.below(std::min(last, recent)));
  return last - back;
}

v1::Command random_commands::any_placement() {
  vm_wish wish;
  const bool again = x_dice.chance(10);
  wish.number = again ? any_vm() : ++x_vms;
  wish.name = "vm-" + std::to_string(x_dice.below(20));
  wish.image = x_dice.chance(90) ? "debian" : "beos";
  wish.vcpus = static_cast<std::uint32_t>(x_dice.chance(90) ? 1 + x_dice.below(3) : x_dice.next());
  wish.memory_mib = x_dice.chance(90) ? 64 * (1 + x_dice.below(16)) : x_dice.below(1ULL << 40);
  wish.network = 1 + static_cast<std::uint32_t>(x_dice.below(x_dice.chance(90) ? 2 : 4));
  if (x_dice.chance(5))
    wish.name = pick<std::string>(x_dice, std::array<std::string, 4>{"", "Web", "a\xff", "-"});
  if (x_dice.chance(20))
    wish.address =
        "10.99." + std::to_string(x_dice.below(2)) + "." + std::to_string(x_dice.below(18));
  if (x_dice.chance(5))
    wish.cluster = 1 + static_cast<std::uint32_t>(x_dice.below(4));
  if (x_dice.chance(30)) {
    const auto wanted = any_labels();
    for (const auto& one : wanted.set())
      wish.labels.emplace_back(one.key(), one.value());
  }
  return place_vm(wish);
}

/// Few keys and values, so that they meet again.
v1::SetLabels random_commands::any_labels() {
  constexpr std::array<std::string_view, 5> keys{"env", "team", "tier", "acme/cost-centre", "bad-"};
  v1::SetLabels wanted;
  for (auto left = x_dice.below(4); left > 0; --left) {
    const std::string key(keys[x_dice.below(x_dice.chance(95) ? 4 : 5)]);
    if (x_dice.chance(30)) {
      wanted.add_remove(key);
      continue;
    }
    domain::add(*wanted.mutable_set(), key,
                x_dice.chance(3) ? "a b" : std::to_string(x_dice.below(3)));
  }
  return wanted;
}

v1::Command random_commands::any_labelling() {
  const auto number = 1 + static_cast<std::uint32_t>(x_dice.below(3));
  switch (x_dice.below(7)) {
  case 0:
    return label_cluster(any_labels(), number);
  case 3:
    return set_upstream(bgp_upstream(static_cast<int>(x_dice.below(3))), number);
  case 1:
    return label_node(any_labels(), number);
  case 2:
    return label_network(any_labels(), number);
  default:
    return label_vm(any_labels(), any_vm());
  }
}

/// Few ranges, of small subnets, so that they meet each other and what is taken.
v1::Command random_commands::any_addressing() {
  constexpr std::array<std::string_view, 6> ends{"2-3", "3-3", "7-9", "0-1", "12-14", "5-4"};
  const auto number = 1 + static_cast<std::uint32_t>(x_dice.below(3));
  const auto subnet = "10.99." + std::to_string(number - 1) + ".";
  std::vector<std::string> ranges;
  for (auto left = 1 + x_dice.below(2); left > 0; --left) {
    const auto both = pick(x_dice, ends);
    const auto dash = both.find('-');
    ranges.push_back(subnet + std::string(both.substr(0, dash + 1)) + subnet +
                     std::string(both.substr(dash + 1)));
  }
  switch (x_dice.below(7)) {
  case 5:
  case 6:
    return any_settings(number);
  case 0: // mostly none, so that VMs find addresses
    return set_quarantine(x_dice.chance(80) ? 0
                                            : static_cast<std::uint32_t>(
                                                  x_dice.below(x_dice.chance(90) ? 60 : 1'000'000)),
                          number);
  case 1:
    return reserve(ranges, x_dice.chance(95) ? "printers" : "a\nb", number);
  default:
    return free(ranges, number);
  }
}

/// Few claims, of small subnets; what a port is said to be without was mostly asked to go.
v1::Command random_commands::any_further() {

  constexpr std::array<std::string_view, 5> few{"", "4", "6", "8/30", "12/31"};
  constexpr std::uint32_t claims = 12;
  const auto subnet = "10.99." + std::to_string(x_dice.below(2)) + ".";
  const auto text = pick(x_dice, few);
  const auto addresses = text.empty() ? std::string() : subnet + std::string(text);
  // Mostly one story goes on: asked for, asked to go, seen gone.
  const auto step = x_dice.chance(75) ? x_asked.steps++ % 3 : x_dice.below(3);
  if (step == 0) {
    x_asked.addresses = addresses;
    x_asked.vm = any_vm();
    return add_addresses(1 + static_cast<std::uint32_t>(x_dice.below(claims)), addresses,
                         x_asked.vm);
  }
  if (step == 1)
    return x_dice.chance(20) ? remove_addresses(addresses, any_vm())
                             : remove_addresses(x_asked.addresses, x_asked.vm);
  std::vector<std::uint32_t> all(claims);
  std::iota(all.begin(), all.end(), 1U);
  return note_port(all, x_asked.vm, x_dice.chance(20) ? 0 : 1'000);
}

v1::Command random_commands::any_settings(std::uint32_t network) {
  if (x_dice.chance(40))
    return set_rate(pick(x_dice, std::array<std::uint64_t, 4>{0, 1'000'000, 50'000'000, 1}),
                    any_vm());
  guests_wish wish;
  if (x_dice.chance(50))
    wish.mtu = static_cast<std::uint32_t>(x_dice.chance(90) ? 1'280 + x_dice.below(221)
                                                            : x_dice.below(2'000));
  if (x_dice.chance(50)) {
    wish.name_servers.emplace();
    for (auto left = x_dice.below(4); left > 0; --left)
      wish.name_servers->push_back(
          pick(x_dice, std::array<std::string, 3>{"192.0.2.53", "2001:db8::53", "127.0.0.1"}));
  }
  if (x_dice.chance(30))
    wish.classless_routes = x_dice.chance(50);
  return set_guests(wish, network);
}

v1::Command random_commands::any_user_command() {
  switch (x_dice.below(10)) {
  case 0:
  case 1:
    return any_placement();
  case 7:
    return any_further();
  case 2:
    return start_vm(any_vm());
  case 3:
    return shutdown_vm(any_vm());
  case 4:
    return stop_vm(any_vm());
  case 5:
    return any_labelling();
  case 6:
    return any_addressing();
  default:
    return remove_vm(any_vm());
  }
}

v1::Command random_commands::any_observation(const world& at) {
  saying said;
  const auto number = any_vm();
  const auto* found = at.find_vm(number);
  const auto node_number = found != nullptr && found->node == node(2) ? 2U : 1U;
  said.node = x_dice.chance(95) ? node_number : 3 - node_number;
  const auto* from = at.find_node(said.node);
  said.epoch = near(from == nullptr ? 0 : from->epoch);
  said.number = near(++x_saying);
  said.generation = near(found == nullptr ? 1 : found->generation.count);
  said.wish = x_dice.chance(30) ? 0 : near(said.generation);
  const auto drift = std::chrono::microseconds(x_dice.below(2'000'000));
  said.at = at.now() - std::chrono::seconds(1) + drift;
  if (x_dice.chance(3))
    said.at = from_micros(x_dice.next() >> 13);
  constexpr std::array causes{v1::VmObserved::CAUSE_UNSPECIFIED,
                              v1::VmObserved::NEVER_RAN,
                              v1::VmObserved::GUEST,
                              v1::VmObserved::HOST,
                              v1::VmObserved::CRASHED,
                              v1::VmObserved::UNKNOWN_CAUSE};
  constexpr std::array states{v1::VmObserved::ABSENT,    v1::VmObserved::STOPPED,
                              v1::VmObserved::RUNNING,   v1::VmObserved::REACHABLE,
                              v1::VmObserved::REACHABLE, v1::VmObserved::UNKNOWN};
  said.state = pick(x_dice, states);
  said.cause = pick(x_dice, causes);
  if (x_dice.chance(1))
    said.state = v1::VmObserved::STATE_UNSPECIFIED;
  said.reason = x_dice.chance(50) ? "no route" : "\x01\xfe";
  return observe(number, said);
}

v1::Command random_commands::any_failure(const world& at) {
  failure told;
  const auto number = any_vm();
  const auto* found = at.find_vm(number);
  told.generation = near(found == nullptr ? 1 : found->generation.count);
  told.text = "attempt " + std::to_string(x_dice.below(3));
  told.final = x_dice.chance(30);
  return report_failure(number, told);
}

v1::Command random_commands::any_deadline(const world& at) {
  const auto number = any_vm();
  const auto* found = at.find_vm(number);
  auto made = pass_deadline(number, near(found == nullptr ? 1 : found->generation.count));
  // As the partition sends it: without an origin.
  made.mutable_origin();
  return made;
}

v1::Command random_commands::any_node_word(const world& at) {
  const auto number = 1 + static_cast<std::uint32_t>(x_dice.below(x_dice.chance(80) ? 2 : 5));
  const auto* found = at.find_node(number);
  const auto nonce = near(found == nullptr ? 1 : found->nonce);
  switch (x_dice.below(5)) {
  case 0:
    return lose(number, nonce);
  case 4:
    return note_upstream(number, nonce,
                         {.up = x_dice.chance(50) ? std::vector<std::string>{"192.0.2.1"}
                                                  : std::vector<std::string>{},
                          .down = {"192.0.2.2"},
                          .problem = x_dice.chance(20) ? "no \x01 file" : ""});
  case 1:
    return see_alive(number, nonce, at.now() + std::chrono::seconds(x_dice.below(4)));
  default: {
    greeting said;
    said.node = number;
    said.nonce = 1 + x_dice.below(1000);
    said.vcpus = static_cast<std::uint32_t>(1 + x_dice.below(4));
    said.memory_mib = 1024 * (1 + x_dice.below(6));
    if (x_dice.chance(20))
      said.images = {"debian", "alpine", "debian"};
    return hello(said);
  }
  }
}

v1::Command random_commands::any_expansion() {
  const auto number = 1 + static_cast<std::uint32_t>(x_dice.below(5));
  const auto name = "thing-" + std::to_string(x_dice.below(6));
  switch (x_dice.below(6)) {
  case 0:
    return trust_clock();
  case 4:
    return remove_network(number);
  case 5:
    return set_limit(static_cast<v1::Installation::Limit>(x_dice.below(4)),
                     static_cast<std::uint32_t>(1 + x_dice.below(9)));
  case 1:
    return add_cluster(
        {.number = number, .name = name, .kind = static_cast<v1::HypervisorKind>(x_dice.below(9))});
  case 2:
    return add_node(
        {.number = number, .name = name, .vcpus = static_cast<std::uint32_t>(x_dice.below(3))});
  default: {
    const auto third = std::to_string(x_dice.below(4));
    return add_network({.number = number,
                        .name = name,
                        .prefix = "10.99." + third + ".0/28",
                        .gateway = "10.99." + third + "." + std::to_string(x_dice.below(17)),
                        .prefix6 = x_dice.chance(60) ? "2001:db8:" + third + "::/64" : ""});
  }
  }
}

v1::Command random_commands::any_nonsense() {
  const std::array entities{installation(), cluster(), node(), network(), vm(any_vm()), uuid{}};
  v1::Command made;
  switch (x_dice.below(6)) {
  case 0:
    made = found();
    break;
  case 1:
    made = start_vm(1);
    break;
  case 2:
    made = hello();
    break;
  case 3:
    made.mutable_cluster();
    break;
  case 4:
    made.mutable_vm();
    break;
  default:
    break; // no body at all
  }
  // A command with a `found` for another id would found a second installation: the door knows one.
  if (!made.has_installation())
    domain::set(made.mutable_entity(), pick(x_dice, entities));
  return made;
}

v1::Command random_commands::next(const world& at) {
  const auto roll = x_dice.below(100);
  v1::Command made;
  if (roll < 35)
    made = any_user_command();
  else if (roll < 72)
    made = any_observation(at);
  else if (roll < 80)
    made = any_failure(at);
  else if (roll < 86)
    made = any_deadline(at);
  else if (roll < 92)
    made = any_node_word(at);
  else if (roll < 96)
    made = any_expansion();
  else
    made = any_nonsense();
  if (x_dice.chance(10) && !made.has_origin())
    made = with_origin(std::move(made), client_nonce, near(++x_origin));
  if (x_dice.chance(10))
    made = with_key(std::move(made), 1 + x_dice.below(30), x_dice.below(2));
  return made;
}

std::chrono::microseconds random_commands::next_pause() {
  if (x_dice.chance(1))
    return domain::partition_state::key_age_max / 2;
  if (x_dice.chance(5))
    return std::chrono::seconds(x_dice.below(200));
  return std::chrono::microseconds(x_dice.below(20'000));
}

world random_world(std::uint64_t seed, std::size_t count) {
  auto made = founded_world();
  made.must(add_node({.number = 1, .name = "n1", .memory_mib = 2048}));
  made.must(add_node({.number = 2, .name = "n2"}));
  made.must(hello({.node = 1, .nonce = 1, .vcpus = 2}));
  made.must(hello({.node = 2, .nonce = 1, .vcpus = 1, .memory_mib = 4096}));
  made.must(add_network({.number = 1, .prefix = "10.99.0.0/29"}));
  made.must(
      add_network({.number = 2, .name = "dmz", .prefix = "10.99.1.0/28", .gateway = "10.99.1.1"}));
  random_commands commands(seed);
  for (std::size_t told = 0; told < count;) {
    made.pass(commands.next_pause());
    std::vector<v1::Command> batch;
    const auto size = std::min(commands.next_batch_size(), count - told);
    for (std::size_t i = 0; i < size; ++i)
      batch.push_back(commands.next(made));
    told += size;
    made.tell_all(std::move(batch));
  }
  return made;
}

} // namespace orrery::support
