#pragma once

#include "projections/projection.hpp"

namespace orrery::projections {

/// How long every VM was in which state, with how much, from the facts' own times: what bills are
/// made of. Folded from the VMs' events alone.
///
/// From its creation to the fact that it is gone each moment of a VM lies in exactly one phase; a
/// phase has one state and is not empty, and its neighbours have other states. Every meter of a VM
/// is read from its phases (usage_query.hpp).
class usage final : public projection {
public:
  static constexpr std::string_view family = "usage";

  [[nodiscard]] std::string_view name() const override { return family; }

  [[nodiscard]] std::uint32_t version() const override { return 2; }

  void apply(commit_span commits, writer& rows) const override;
};

} // namespace orrery::projections
