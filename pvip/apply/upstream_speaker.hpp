#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/bird_reply.hpp"
#include "pvip/upstream/upstream.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orrery::pvip {

struct bird_place;

/// How a node stands with the routers above it.
struct router_standing {
  std::vector<neighbour_state>
      neighbours;          ///< sorted; also those of before, while there is a problem
  std::string problem{};   ///< why they are not spoken with as wished; may be empty
  bool is_silence = false; ///< the problem is that nobody is heard, as it is when all begins
};

/// How one node tells the routers above it which guests it has. Calls block; one at a time.
class upstream_speaker {
public:
  upstream_speaker() = default;
  upstream_speaker(const upstream_speaker&) = delete;
  upstream_speaker& operator=(const upstream_speaker&) = delete;
  virtual ~upstream_speaker() = default;

  /// Has routers told as `wanted` says, and by no routing daemon when that is nothing, or ARP,
  /// which is a matter of each port (`port::arp_uplink`). The own addresses of a routed upstream
  /// are the first IPv4 address and, for IPv6 routers, the first IPv6 address that is not
  /// link-local on `uplink`, whatever `wanted` has. Idempotent: a daemon that runs as wanted is
  /// left alone, one that died is started again; where it is not known what is wanted, what is
  /// spoken goes on. A problem is an error of `wanted`, no such uplink, one without an address or,
  /// for ARP, without a carrier, no full OSPF neighbour on it, and those of `bird::open`,
  /// `bird::ensure` and `bird::stop`.
  [[nodiscard]] virtual router_standing ensure(const std::string& uplink,
                                               result<std::optional<upstream>> wanted) = 0;
};

/// The speaker of a node's network namespace, as in `host_network::open`; `place` for its BIRD,
/// which goes on when the speaker ends. Nothing is opened before it is needed.
[[nodiscard]] std::unique_ptr<upstream_speaker> make_upstream_speaker(std::string namespace_name,
                                                                      bird_place place);

/// Speaks with nobody, and says that each BGP router listens.
[[nodiscard]] std::unique_ptr<upstream_speaker> make_simulated_speaker();

} // namespace orrery::pvip
