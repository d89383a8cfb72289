#include "events/domain/addressing.hpp"

#include "events/core/safety.hpp"
#include "events/core/text.hpp"
#include "events/domain/ipv6.hpp"
#include "events/domain/nic.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace orrery::domain {

namespace {

/// An address by its number, which is counted in 64 bits so that one behind the last is a number,
/// too.
ipv4 at(std::uint64_t bits) { return ipv4{static_cast<std::uint32_t>(bits)}; }

/// Of an event, which says of a prefix what was checked.
ipv4_prefix given_in(std::uint32_t base, std::uint32_t length) {
  const bool is_prefix = length >= further_length_min && length < whole_address;
  return {ipv4{base}, is_prefix ? static_cast<std::uint8_t>(length) : whole_address};
}

std::uint32_t length_in(const ipv4_prefix& prefix) {
  return prefix.length == whole_address ? 0 : prefix.length;
}

v1::NetworkEvent* add_event(decision& made) { return made.events.emplace_back().mutable_network(); }

error not_ready(const network_state& state) {
  if (state.stage != network_stage::requested)
    return refuse(error_code::conflict,
                  "network '" + state.name + "' is being deleted: use another network");
  return refuse(error_code::busy,
                "network '" + state.name +
                    "' is not ready: its prefix is not granted yet (`orrery network get " +
                    state.name + "` shows its state): wait for it",
                true);
}

/// The subnet of the network in which all of them are, or null.
const subnet_state* subnet_around(const network_state& state, const ipv4_range& addresses) {
  const auto at = std::ranges::find_if(state.subnets, [&](const subnet_state& one) {
    return one.prefix.contains(addresses.first) && one.prefix.contains(addresses.last);
  });
  return at == state.subnets.end() ? nullptr : &*at;
}

std::string prefixes_of(const network_state& state) {
  std::string made;
  for (const auto& subnet : state.subnets)
    made += (made.empty() ? "" : ", ") + to_text(subnet.prefix);
  return made;
}

// --- who is given an address ---------------------------------------------------------------------

struct place {
  const subnet_state* subnet = nullptr;
  ipv4_prefix addresses;
};

/// Whether a VM can be given one of them that was asked for by name.
result<void> check_free(const network_state& state, const subnet_state& subnet, ipv4 wanted,
                        const context& with) {
  const std::string words = to_text(wanted) + " of network '" + state.name + "'";
  if (!is_usable(subnet, wanted))
    return refuse(error_code::invalid_argument,
                  to_text(wanted) + " is no address that a VM of network '" + state.name +
                      "' can have: want one of " + prefixes_of(state) +
                      ", and not the first, the last or the gateway's");
  if (subnet.taken.contains(wanted.bits))
    return refuse(error_code::conflict, words + " is held by a VM: ask for another, or for none");
  const auto* until = subnet.resting.find(wanted.bits);
  if (until != nullptr && *until > with.now)
    return refuse(error_code::conflict,
                  words + " was a VM's and rests until " + to_text(*until) +
                      ": wait, ask for another, or for none",
                  true);
  return {};
}

/// The address that was asked for by name, or the prefix.
result<place> wanted_place(const network_state& state, const ipv4_prefix& wanted,
                           const context& with) {
  if (wanted.length > whole_address || wanted.length < further_length_min ||
      (wanted.base.bits & ~wanted.mask()) != 0)
    return refuse(error_code::invalid_argument,
                  to_text(wanted) + " is no network that can be behind a VM: want one of " +
                      std::to_string(further_length_min) +
                      " to 31 bits, by its first address (10.99.0.64/28)");
  const auto last = wanted.last();
  const auto* subnet = subnet_around(state, {wanted.base, last});
  if (subnet == nullptr)
    return refuse(error_code::invalid_argument, text_of(wanted) + " is not in network '" +
                                                    state.name + "': want what is in " +
                                                    prefixes_of(state));
  for (std::uint64_t bits = wanted.base.bits; bits <= last.bits; ++bits)
    if (auto checked = check_free(state, *subnet, at(bits), with); !checked)
      return checked.error();
  return place{subnet, wanted};
}

/// Any that is free.
result<place> any_place(const network_state& state, const context& with) {
  std::optional<utc_time> rested;
  for (const auto& subnet : state.subnets) {
    if (const auto address = next_free(subnet, with.now))
      return place{&subnet, only(*address)};
    if (const auto first = next_rested(subnet, with.now); first && (!rested || *first < *rested))
      rested = first;
  }
  const std::string words = "network '" + state.name + "' has no free address";
  if (rested)
    return refuse(error_code::addresses_exhausted,
                  words + " that has rested since its release; the next has at " +
                      to_text(*rested) + ": wait, or use another network",
                  true);
  return refuse(error_code::addresses_exhausted,
                words + ": delete a VM, free what is reserved, or use another network", true);
}

// --- what is reserved ----------------------------------------------------------------------------

/// A range of addresses of the network, with a note that can be shown.
result<void> check_range(const network_state& state, const v1::AddressRange& range) {
  const auto addresses = addresses_of(range);
  if (addresses.first > addresses.last || subnet_around(state, addresses) == nullptr)
    return refuse(error_code::invalid_argument,
                  to_text(addresses) + " is no range of addresses of network '" + state.name +
                      "': want FIRST-LAST within " + prefixes_of(state));
  if (range.note().size() > range_note_size_max ||
      printable(range.note(), range_note_size_max) != range.note())
    return refuse(error_code::invalid_argument, "the note of " + to_text(addresses) +
                                                    " is not plain text of at most " +
                                                    std::to_string(range_note_size_max) + " bytes");
  return {};
}

/// The ranges of the subnet that `addresses` meets, in order.
std::vector<const reserved_range*> met_by(const std::vector<reserved_range>& all,
                                          const ipv4_range& addresses) {
  std::vector<const reserved_range*> met;
  for (const auto& one : all)
    if (one.addresses.overlaps(addresses))
      met.push_back(&one);
  return met;
}

/// What of `range` is not reserved yet. Errors: `conflict` when some of it is, with another
/// note: then it is somebody else's.
result<void> add_missing(address_ranges& to, const std::vector<reserved_range>& all,
                         const network_state& state, const v1::AddressRange& range) {
  const auto addresses = addresses_of(range);
  std::uint64_t next = addresses.first.bits;
  for (const auto* met : met_by(all, addresses)) {
    if (met->note != range.note())
      return refuse(error_code::conflict,
                    to_text(addresses) + " of network '" + state.name + "' overlaps " +
                        to_text(met->addresses) + ", which is reserved " +
                        (met->note.empty() ? "without a note" : "as '" + met->note + "'") +
                        ": free that first, say the same note, or leave it out");
    if (next < met->addresses.first.bits)
      add(to, {at(next), at(met->addresses.first.bits - 1)}, range.note());
    next = std::max<std::uint64_t>(next, std::uint64_t{met->addresses.last.bits} + 1);
  }
  if (next <= addresses.last.bits)
    add(to, {at(next), addresses.last}, range.note());
  return {};
}

/// What of the reserved ranges `range` is. Errors: `not_found` when some of it is not reserved.
result<void> add_reserved(address_ranges& to, const std::vector<reserved_range>& all,
                          const network_state& state, const v1::AddressRange& range) {
  const auto addresses = addresses_of(range);
  std::uint64_t next = addresses.first.bits;
  for (const auto* met : met_by(all, addresses)) {
    if (next < met->addresses.first.bits)
      break;
    const auto last = std::min(met->addresses.last, addresses.last);
    add(to, {at(next), last}, met->note);
    next = std::uint64_t{last.bits} + 1;
  }
  if (next > addresses.last.bits)
    return {};
  return refuse(error_code::not_found, to_text(at(next)) + " is not reserved in network '" +
                                           state.name + "': `orrery network get " + state.name +
                                           " -o json` shows what is");
}

/// What a command makes of a subnet's reserved ranges: for each of its ranges `gather` adds to the
/// event what changes, and `apply` does it, so that the next one finds it done.
template <auto Event, class Gather, class Apply>
outcome change_ranges(const network_state& state, const address_ranges& ranges, Gather gather,
                      Apply apply) {
  for (const auto& range : ranges)
    if (auto checked = check_range(state, range); !checked)
      return checked.error();
  decision made;
  for (const auto& subnet : state.subnets) {
    address_ranges changed;
    auto then = subnet.reserved;
    for (const auto& range : ranges) {
      if (!subnet.prefix.contains(ipv4{range.first()}))
        continue;
      const auto before = changed.size();
      if (auto gathered = gather(changed, then, state, range); !gathered)
        return gathered.error();
      for (int i = before; i < changed.size(); ++i)
        apply(then, changed[i]);
    }
    if (then.size() > reserved_ranges_max)
      return refuse(error_code::limit_reached,
                    "a subnet has at most " + std::to_string(reserved_ranges_max) +
                        " reserved ranges, and network '" + state.name +
                        "' would have more: say neighbours as one range with one note, or free "
                        "some");
    if (changed.empty())
      continue;
    auto* event = (add_event(made)->*Event)();
    set(event->mutable_subnet(), subnet.subnet);
    *event->mutable_ranges() = std::move(changed);
  }
  return made;
}

// --- what is given -------------------------------------------------------------------------------

v1::Nic first_of(const place& found, const uuid& nic, const uuid& network) {
  nic_state given;
  given.nic = nic;
  given.address = found.addresses.base;
  given.prefix_length = found.subnet->prefix.length;
  given.gateway = found.subnet->gateway;
  given.mac = mac_of(nic);
  given.address6 = address6_of(*found.subnet, found.addresses.base).value_or(ipv6{});
  return to_proto(given, network);
}

v1::FurtherAddresses further_of(const place& found, const uuid& claim) {
  further_addresses given;
  given.claim = claim;
  given.prefix = found.addresses;
  given.prefix6 = prefix6_of(*found.subnet, found.addresses).value_or(ipv6_prefix{});
  return to_proto(given);
}

subnet_state* find_subnet(network_state& state, const uuid& subnet) {
  for (auto& candidate : state.subnets)
    if (candidate.subnet == subnet)
      return &candidate;
  return nullptr;
}

} // namespace

ipv4_range addresses_of(const v1::AddressRange& range) {
  return {ipv4{range.first()}, ipv4{range.last()}};
}

void add(address_ranges& to, const ipv4_range& addresses, const std::string& note) {
  auto* made = to.Add();
  made->set_first(addresses.first.bits);
  made->set_last(addresses.last.bits);
  made->set_note(note);
}

outcome assign(const network_state& state, const uuid& self,
               const v1::NetworkCommand::AssignAddress& command, const context& with) {
  if (state.stage != network_stage::ready && safety::holds(safety::line::granted_first))
    return not_ready(state);
  const auto nic = from_proto(command.nic());
  if (state.addresses_of.contains(nic) || state.nic_of_mac_bits.contains(mac_bits_of(nic)))
    return refuse(error_code::conflict, "that NIC has an address already: try again", true);
  const auto found =
      command.address() == 0 && command.length() == 0
          ? any_place(state, with)
          : wanted_place(state, prefix_in(command.address(), command.length()), with);
  if (!found)
    return found.error();
  decision made;
  auto* assigned = add_event(made)->mutable_address_assigned();
  set(assigned->mutable_subnet(), found->subnet->subnet);
  *assigned->mutable_nic() = command.nic();
  *assigned->mutable_vm() = command.vm();
  assigned->set_address(found->addresses.base.bits);
  assigned->set_length(length_in(found->addresses));
  auto& give = made.messages.emplace_back();
  give.entity = from_proto(command.vm());
  auto* to = give.command.mutable_vm();
  if (command.is_further())
    *to->mutable_give_further()->mutable_addresses() = further_of(*found, nic);
  else
    *to->mutable_give_address()->mutable_nic() = first_of(*found, nic, self);
  return made;
}

outcome release(const network_state& state, const v1::NetworkCommand::ReleaseAddress& command,
                const context& with) {
  const auto nic = from_proto(command.nic());
  const auto* addresses = state.addresses_of.find(nic);
  if (addresses == nullptr)
    return refuse(error_code::internal, "network '" + state.name + "' holds nothing for that NIC");
  decision made;
  for (const auto& subnet : state.subnets) {
    if (!subnet.prefix.contains(addresses->base))
      continue;
    auto* released = add_event(made)->mutable_address_released();
    set(released->mutable_subnet(), subnet.subnet);
    *released->mutable_nic() = command.nic();
    released->set_address(addresses->base.bits);
    released->set_length(length_in(*addresses));
    if (state.quarantine_seconds != 0)
      released->set_rests_until(
          to_micros(with.now + std::chrono::seconds(state.quarantine_seconds)));
  }
  return made;
}

outcome reserve(const network_state& state, const v1::NetworkCommand::ReserveRanges& command) {
  if (state.stage != network_stage::ready)
    return not_ready(state);
  if (command.ranges().empty())
    return refuse(error_code::invalid_argument, "there is no range to reserve: name one or more");
  return change_ranges<&v1::NetworkEvent::mutable_ranges_reserved>(
      state, command.ranges(), add_missing,
      [](std::vector<reserved_range>& all, const v1::AddressRange& added) {
        put_apart(all, {addresses_of(added), added.note()});
      });
}

outcome free(const network_state& state, const v1::NetworkCommand::FreeRanges& command) {
  if (command.ranges().empty())
    return refuse(error_code::invalid_argument, "there is no range to free: name one or more");
  return change_ranges<&v1::NetworkEvent::mutable_ranges_freed>(
      state, command.ranges(), add_reserved,
      [](std::vector<reserved_range>& all, const v1::AddressRange& freed) {
        cut_out(all, addresses_of(freed));
      });
}

result<void> check_quarantine(std::uint32_t seconds) {
  if (seconds <= quarantine_seconds_max)
    return {};
  return refuse(error_code::invalid_argument,
                "a quarantine of " + std::to_string(seconds) + " s is longer than a day (" +
                    std::to_string(quarantine_seconds_max) + " s): reserve what must rest longer");
}

outcome set_quarantine(const network_state& state, std::uint32_t seconds) {
  if (auto checked = check_quarantine(seconds); !checked)
    return checked.error();
  decision made;
  if (seconds != state.quarantine_seconds)
    add_event(made)->mutable_quarantine_changed()->set_seconds(seconds);
  return made;
}

void evolve_addresses(network_state& state, const v1::NetworkEvent& event) {
  switch (event.body_case()) {
  case v1::NetworkEvent::kSubnetAdded: {
    const auto& added = event.subnet_added();
    subnet_state subnet;
    subnet.subnet = from_proto(added.subnet());
    subnet.prefix = {ipv4{added.prefix()}, static_cast<std::uint8_t>(added.prefix_length())};
    subnet.gateway = ipv4{added.gateway()};
    subnet.prefix6 = prefix6_of(added);
    state.subnets.push_back(std::move(subnet));
    break;
  }
  case v1::NetworkEvent::kAddressAssigned: {
    const auto& assigned = event.address_assigned();
    const auto nic = from_proto(assigned.nic());
    const auto addresses = given_in(assigned.address(), assigned.length());
    if (auto* subnet = find_subnet(state, from_proto(assigned.subnet())))
      give(*subnet, addresses, nic);
    state.addresses_of.put(nic, addresses);
    state.nic_of_mac_bits.put(mac_bits_of(nic), nic);
    break;
  }
  case v1::NetworkEvent::kAddressReleased: {
    const auto& released = event.address_released();
    const auto nic = from_proto(released.nic());
    if (auto* subnet = find_subnet(state, from_proto(released.subnet())))
      take_back(*subnet, given_in(released.address(), released.length()),
                from_micros(released.rests_until()));
    state.addresses_of.erase(nic);
    state.nic_of_mac_bits.erase(mac_bits_of(nic));
    break;
  }
  case v1::NetworkEvent::kRangesReserved:
    if (auto* subnet = find_subnet(state, from_proto(event.ranges_reserved().subnet())))
      for (const auto& range : event.ranges_reserved().ranges())
        reserve(*subnet, {addresses_of(range), range.note()});
    break;
  case v1::NetworkEvent::kRangesFreed:
    if (auto* subnet = find_subnet(state, from_proto(event.ranges_freed().subnet())))
      for (const auto& range : event.ranges_freed().ranges())
        free(*subnet, addresses_of(range));
    break;
  case v1::NetworkEvent::kQuarantineChanged:
    state.quarantine_seconds = event.quarantine_changed().seconds();
    break;
  default: // not about addresses
    break;
  }
}

} // namespace orrery::domain
