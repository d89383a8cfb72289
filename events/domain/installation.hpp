#pragma once

#include "events/core/net.hpp"
#include "events/core/persistent_map.hpp"
#include "events/domain/types.hpp"

#include <optional>
#include <string>

namespace orrery::domain {

/// What a network holds of the address space.
struct held_prefix {
  ipv4_prefix prefix;
  std::string network; ///< its name
  uuid cluster;
  std::optional<ipv6_prefix> prefix6;

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.prefix, of.network, of.cluster, of.prefix6);
  }
};

/// How many clusters, until an operator says otherwise: each has its names in one entity of its
/// own, and all of them in this one, which is copied for no decision. Ten times what one person
/// looks after.
inline constexpr std::uint32_t clusters_max_default = 1'000;

/// How many prefixes of networks: a claim is compared with all of them, which takes well under a
/// millisecond for so many.
inline constexpr std::uint32_t prefixes_max_default = 4'096;

/// The highest figure that a limit can be set to: the address space has 65,536 prefixes of the
/// shortest length that a subnet may have (/16), and comparing with so many takes some
/// milliseconds.
inline constexpr std::uint32_t limit_figure_max = 65'536;

/// The whole: edition, limits, the names of clusters, and the address space: which network holds
/// which prefix. One writer for all of it, so that no name and no address is given twice, however
/// many clusters in however many partitions ask at once.
struct installation_state {
  v1::Edition edition = v1::EDITION_UNSPECIFIED;
  std::uint32_t clusters_max = clusters_max_default;
  std::uint32_t prefixes_max = prefixes_max_default;
  persistent_map<std::string, uuid> cluster_names;
  persistent_map<uuid, held_prefix> prefixes; ///< by network
  std::uint64_t version = 0;                  ///< events so far

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.edition, of.clusters_max, of.prefixes_max, of.cluster_names, of.prefixes,
              of.version);
  }
};

/// True when the edition covers a cluster of this kind.
[[nodiscard]] bool covers(v1::Edition edition, v1::HypervisorKind kind);

[[nodiscard]] std::string_view name_of(v1::Edition edition);

/// "clusters", "prefixes": as API and CLI call a limit; empty for one that there is not.
[[nodiscard]] std::string_view name_of(v1::Installation::Limit limit);

/// `state` is null for an installation that was not founded yet; `self` is its id.
[[nodiscard]] outcome decide(const installation_state* state, const uuid& self,
                             const v1::InstallationCommand& command, const context& with);

void evolve(installation_state& state, const v1::InstallationEvent& event);

} // namespace orrery::domain
