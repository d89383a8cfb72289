#include "pvip/upstream/upstream.hpp"

#include "events/core/text.hpp"
#include "pvip/plan/plan.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

namespace orrery::pvip {

namespace {

/// RFC 7607, RFC 6793, RFC 7300.
constexpr std::uint32_t as_zero = 0;
constexpr std::uint32_t as_trans = 23'456;
constexpr std::uint32_t as_last_of_16_bits = 65'535;
constexpr std::uint32_t as_last = 4'294'967'295;

using fault = std::optional<error>;

error refused(std::string text) {
  return {.code = error_code::invalid_argument, .text = std::move(text)};
}

fault fault_of_as(std::string_view whose, std::uint32_t as) {
  if (as == as_zero || as == as_trans || as == as_last_of_16_bits || as == as_last) {
    return refused(std::string(whose) + " has the AS number " + std::to_string(as) +
                   ", which is reserved; private ones are 64512 to 65534 and 4200000000 to "
                   "4294967294");
  }
  return std::nullopt;
}

fault fault_of_host(std::string_view what, const ip_address& address) {
  if (!can_be_host(address)) {
    return refused(
        std::string(what) + " " + to_text(address) +
        " cannot be a host's address; give the one on the uplink's link, of IPv6 a global or "
        "unique local one");
  }
  return std::nullopt;
}

/// What a string of BIRD's configuration can hold: it has no escapes.
fault fault_of_password(const std::string& whose, std::string_view password,
                        std::size_t bytes_max) {
  if (password.size() > bytes_max) {
    return error{.code = error_code::too_large,
                 .text = "the password of " + whose + " has " + std::to_string(password.size()) +
                         " bytes, more than the limit " + std::to_string(bytes_max) +
                         " of its protocol; choose a shorter one"};
  }
  const auto allowed = [](char c) { return c >= ' ' && c <= '~' && c != '"'; };
  if (!std::ranges::all_of(password, allowed)) {
    return refused("the password of " + whose +
                   " has a character that BIRD cannot take; use printable ASCII without '\"'");
  }
  return std::nullopt;
}

fault fault_of_uplink(std::string_view name) {
  if (!is_uplink_name(name)) {
    return refused(
        "\"" + printable(name, text_shown_max) +
        "\" cannot be an uplink; its name is 1 to 15 of a-z, A-Z, 0-9, '.', '_' and '-'");
  }
  return std::nullopt;
}

fault fault_of_neighbour(const bgp_neighbour& of, const routed_upstream& whole) {
  const std::string name = "BGP neighbour " + to_text(of.address);
  if (auto wrong = fault_of_host("the BGP neighbour", of.address)) {
    return wrong;
  }
  if ((whole.own_address && of.address == ip_address(*whole.own_address)) ||
      (whole.own_address6 && of.address == ip_address(*whole.own_address6))) {
    return refused(name + " has the node's own address; give the router's");
  }
  if (auto wrong = fault_of_as(name, of.as)) {
    return wrong;
  }
  return fault_of_password(name, of.password, bgp_password_bytes_max);
}

fault fault_of(const bgp_upstream& bgp, const routed_upstream& whole) {
  if (auto wrong = fault_of_as("the node", bgp.as)) {
    return wrong;
  }
  if (bgp.neighbours.empty()) {
    return refused("no BGP neighbour is given, so nobody would hear of guests; give at least one");
  }
  if (bgp.neighbours.size() > bgp_neighbours_max) {
    return error{.code = error_code::too_large,
                 .text = std::to_string(bgp.neighbours.size()) +
                         " BGP neighbours, more than the limit " +
                         std::to_string(bgp_neighbours_max) + "; use route reflectors"};
  }
  if (bgp.hold_time < hold_time_min || bgp.hold_time > hold_time_max) {
    return refused("the hold time of BGP is " + std::to_string(bgp.hold_time.count()) +
                   " s; it can be " + std::to_string(hold_time_min.count()) + " to " +
                   std::to_string(hold_time_max.count()) + " s");
  }
  std::set<ip_address> seen;
  for (const bgp_neighbour& each : bgp.neighbours) {
    if (auto wrong = fault_of_neighbour(each, whole)) {
      return wrong;
    }
    if (!seen.insert(each.address).second) {
      return refused("BGP neighbour " + to_text(each.address) + " is given twice; remove one");
    }
  }
  return std::nullopt;
}

fault fault_of(const ospf_upstream& ospf, const routed_upstream& /*whole*/) {
  if (auto wrong = fault_of_uplink(ospf.interface)) {
    return wrong;
  }
  if (ospf.hello < hello_min || ospf.dead > dead_max || ospf.dead < 2 * ospf.hello) {
    return refused("OSPF's hello is " + std::to_string(ospf.hello.count()) +
                   " s and its dead time " + std::to_string(ospf.dead.count()) +
                   " s; hello can be " + std::to_string(hello_min.count()) +
                   " s or more, and dead twice that or more, up to " +
                   std::to_string(dead_max.count()) + " s");
  }
  return fault_of_password("OSPF", ospf.password, ospf_password_bytes_max);
}

fault fault_of_learned(const std::vector<ip_prefix>& within) {
  if (within.size() > learned_prefixes_max) {
    return error{.code = error_code::too_large,
                 .text = "guests' routes shall be learned within " + std::to_string(within.size()) +
                         " prefixes, more than the limit " + std::to_string(learned_prefixes_max) +
                         "; give larger ones"};
  }
  for (const ip_prefix& each : within) {
    const auto length_min = learned_length_min(each.base);
    const auto length_max = bits_of(each.base);
    if (each.length < length_min || each.length > length_max || !each.contains(each.base)) {
      return refused("guests' routes shall be learned within " + to_text(each) +
                     ", which is no prefix of a network; give a /" + std::to_string(length_min) +
                     " to /" + std::to_string(length_max) + " without bits of hosts");
    }
  }
  return std::nullopt;
}

std::vector<ip_address> own_addresses_of(const routed_upstream& settings) {
  std::vector<ip_address> all;
  if (settings.own_address) {
    all.emplace_back(*settings.own_address);
  }
  if (settings.own_address6) {
    all.emplace_back(*settings.own_address6);
  }
  return all;
}

bool is_ipv6(const bgp_neighbour& of) { return std::holds_alternative<ipv6>(of.address); }

result<void> to_result(fault of) { return of ? result<void>(*std::move(of)) : result<void>(); }

} // namespace

bool needs_own_address6(const routed_upstream& settings) {
  const auto* bgp = std::get_if<bgp_upstream>(&settings.protocol);
  return bgp != nullptr && std::ranges::any_of(bgp->neighbours, is_ipv6);
}

bool has_ipv6(const routed_upstream& settings) {
  const auto* ospf = std::get_if<ospf_upstream>(&settings.protocol);
  return ospf != nullptr ? ospf->with_ipv6 : needs_own_address6(settings);
}

result<void> check(const routed_upstream& settings) {
  for (const auto& own : own_addresses_of(settings)) {
    if (auto wrong = fault_of_host("the node's own address", own)) {
      return *std::move(wrong);
    }
  }
  if (auto wrong = fault_of_learned(settings.learned_within)) {
    return *std::move(wrong);
  }
  return to_result(std::visit([&settings](const auto& each) { return fault_of(each, settings); },
                              settings.protocol));
}

result<void> check(const upstream& settings) {
  if (const auto* routed = std::get_if<routed_upstream>(&settings)) {
    return check(*routed);
  }
  return check_uplink(std::get<static_arp_upstream>(settings).uplink);
}

result<void> check_uplink(std::string_view name) { return to_result(fault_of_uplink(name)); }

} // namespace orrery::pvip
