#pragma once

#include "tools/orrery/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orrery::cli {

/// How a cluster's nodes shall speak with the routers, as it was said.
struct upstream_words {
  std::string protocol; ///< arp, bgp, ospf, none
  std::string uplink;
  std::optional<std::uint32_t> as;
  std::vector<std::string> routers; ///< ADDRESS,as=NUMBER[,secret=NAME]
  std::string hold;
  std::string area;
  std::string hello;
  std::string dead;
  std::string secret;
  bool ipv6 = false;
  bool learn_default = false;
  bool learn_guests = false;
};

/// What the API wants of it. Throws `failure` (usage) for what belongs to another protocol, for a
/// router or a time that is none, and when something is missing.
[[nodiscard]] json upstream_of(const upstream_words& said);

} // namespace orrery::cli
