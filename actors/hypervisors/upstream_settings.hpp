#pragma once

#include "events/domain/cluster.hpp"
#include "pvip/upstream/upstream.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orrery::actors {

/// A cluster's upstream, as its nodes are to have it.
struct upstream_wish {
  std::shared_ptr<const v1::Upstream> said = std::make_shared<const v1::Upstream>(); ///< not null
  std::vector<ip_prefix> guests; ///< of the cluster's networks, sorted; when guests are learned

  [[nodiscard]] bool is_none() const {
    return said->protocol_case() == v1::Upstream::PROTOCOL_NOT_SET;
  }

  /// The link on which a node answers ARP for its guests; empty: on none.
  [[nodiscard]] std::string arp_uplink() const {
    return said->has_arp() ? said->uplink() : std::string();
  }

  friend bool operator==(const upstream_wish& left, const upstream_wish& right);
};

[[nodiscard]] upstream_wish wish_of(const domain::cluster_state& cluster);

/// The longest name of a secret, in bytes: a file's, with room for an ending.
inline constexpr std::size_t secret_name_size_max = 63;

/// Whether a secret may have that name: 1 to 63 of a-z, A-Z, 0-9, '.', '_', '-', the first no '.',
/// so that it is no path.
[[nodiscard]] bool is_secret_name(std::string_view name);

/// What a secret holds, by its name. Blocks.
using secret_reader = std::function<result<std::string>(const std::string& name)>;

/// What pvip makes of it; nothing when routers are told nothing. The own address stays open.
/// Errors: `invalid_argument` (an address that is none, a name of a secret that cannot be one),
/// those of `secret` and of `pvip::check`.
[[nodiscard]] result<std::optional<pvip::upstream>> upstream_of(const upstream_wish& wish,
                                                                const secret_reader& secret);

/// With the times and the area that were left out, and refused if it cannot work, as far as its
/// words alone tell. Errors as `upstream_of`.
[[nodiscard]] result<v1::Upstream> completed(v1::Upstream said);

} // namespace orrery::actors
