#pragma once

#include "events/core/net.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

/// What guests sent and were sent, as a node counts it. Pure.
namespace orrery::pvip {

/// IP packets, without their Ethernet headers, as the node handles them: what a guest's or the
/// node's offloads keep together is one packet with one header.
struct packet_count {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;

  friend bool operator==(const packet_count&, const packet_count&) = default;
};

/// Of one address of a port, or of one prefix behind its guest.
struct address_traffic {
  packet_count sent;     ///< by the guest, and not dropped by the filter
  packet_count received; ///< handed to the guest's link, whether or not the guest took it
};

/// By link, and then by address or prefix.
using traffic_of_ports = std::map<std::string, std::map<ip_prefix, address_traffic>>;

/// A total that goes on when what counts begins again: on another node after a move, or when a port
/// or the node's filter was made anew.
struct running_count {
  packet_count total;
  packet_count last; ///< reading; zero before the first of another place

  friend bool operator==(const running_count&, const running_count&) = default;
};

/// `before` after `reading` by the same counter, which is taken to have begun again when it is
/// below the last. What was counted between the last reading and a new beginning is lost: so read
/// before a port is removed. Never less than `before`; at the end of 64 bits it stays.
[[nodiscard]] running_count counted_on(const running_count& before, const packet_count& reading);

/// `before` for a counter that has not been read yet, as on the node to which a guest moved.
[[nodiscard]] running_count carried_over(const running_count& before);

} // namespace orrery::pvip
