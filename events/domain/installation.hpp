#pragma once

#include "events/core/persistent_map.hpp"
#include "events/domain/types.hpp"

#include <string>

namespace orrery::domain {

/// The whole: edition and the names of clusters.
struct installation_state {
  v1::Edition edition = v1::EDITION_UNSPECIFIED;
  persistent_map<std::string, uuid> cluster_names;
  std::uint64_t version = 0; ///< events so far
};

/// True when the edition covers a cluster of this kind.
[[nodiscard]] bool covers(v1::Edition edition, v1::HypervisorKind kind);

[[nodiscard]] std::string_view name_of(v1::Edition edition);

/// `state` is null for an installation that was not founded yet.
[[nodiscard]] outcome decide(const installation_state* state,
                             const v1::InstallationCommand& command, const context& with);

void evolve(installation_state& state, const v1::InstallationEvent& event);

void write(state_bytes& out, const installation_state& state);

} // namespace orrery::domain
