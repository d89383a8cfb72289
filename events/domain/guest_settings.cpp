#include "events/domain/guest_settings.hpp"

#include "events/core/net.hpp"
#include "events/domain/ipv6.hpp"

#include <algorithm>
#include <string>

namespace orrery::domain {

namespace {

template <class Address> result<void> check_servers(const std::vector<Address>& servers) {
  if (servers.size() > name_servers_max)
    return refuse(error_code::invalid_argument,
                  "guests look at " + std::to_string(name_servers_max) +
                      " name servers of a family, not at " + std::to_string(servers.size()) +
                      ": name fewer");
  for (const auto& server : servers) {
    if (!can_be_host(server))
      return refuse(error_code::invalid_argument,
                    to_text(server) + " cannot be a name server: it is no host's address");
    if (std::ranges::count(servers, server) > 1)
      return refuse(error_code::invalid_argument,
                    "the name server " + to_text(server) + " is named twice: once is enough");
  }
  return {};
}

} // namespace

result<void> check_guests(const v1::GuestSettings& guests, bool has_ipv6) {
  const std::uint32_t mtu_min = has_ipv6 ? guest_mtu_min6 : guest_mtu_min;
  if (guests.mtu() != 0 && (guests.mtu() < mtu_min || guests.mtu() > guest_mtu))
    return refuse(error_code::invalid_argument,
                  "an MTU of " + std::to_string(guests.mtu()) + " is not possible: want " +
                      std::to_string(mtu_min) + " to " + std::to_string(guest_mtu) +
                      (has_ipv6 ? " in a network with IPv6" : ""));
  if (auto checked = check_servers(name_servers_of(guests)); !checked)
    return checked;
  return check_servers(name_servers6_of(guests));
}

v1::GuestSettings changed(const v1::GuestSettings& before,
                          const v1::NetworkCommand::SetGuests& change) {
  auto made = before;
  if (change.has_mtu())
    made.set_mtu(change.mtu() == guest_mtu ? 0 : change.mtu());
  if (change.has_name_servers()) {
    *made.mutable_name_servers() = change.name_servers().of4();
    *made.mutable_name_servers6() = change.name_servers().of6();
  }
  if (change.has_classless_routes())
    made.set_classless_routes(change.classless_routes());
  return made;
}

std::uint16_t mtu_of(const v1::GuestSettings& guests) {
  return guests.mtu() == 0 ? guest_mtu : static_cast<std::uint16_t>(guests.mtu());
}

std::vector<ipv4> name_servers_of(const v1::GuestSettings& guests) {
  std::vector<ipv4> made;
  for (const auto bits : guests.name_servers())
    made.push_back(ipv4{bits});
  return made;
}

std::vector<ipv6> name_servers6_of(const v1::GuestSettings& guests) {
  std::vector<ipv6> made;
  for (const auto& address : guests.name_servers6())
    made.push_back(from_proto(address));
  return made;
}

std::vector<std::string> name_server_texts(const v1::GuestSettings& guests) {
  std::vector<std::string> made;
  for (const auto server : name_servers_of(guests))
    made.push_back(to_text(server));
  for (const auto& server : name_servers6_of(guests))
    made.push_back(to_text(server));
  return made;
}

void add(v1::NetworkCommand::SetGuests::NameServers& to, const ip_address& server) {
  if (const auto* of4 = std::get_if<ipv4>(&server))
    to.add_of4(of4->bits);
  else
    set(to.add_of6(), std::get<ipv6>(server));
}

} // namespace orrery::domain
