#pragma once

#include "events/domain/types.hpp"

#include <optional>
#include <string>

namespace orrery::domain {

/// The job in progress on a resource. Part of that resource.
struct activity {
  uuid job;
  v1::JobKind kind = v1::JOB_KIND_UNSPECIFIED;
  std::uint64_t generation = 0;
  std::string step; ///< where it is: accepted, defined, started
  utc_time started_at;
  utc_time deadline;
  std::uint32_t failure_code = 0; ///< of the last failed attempt, 0 for none
  std::string failure;
};

/// "vm.create", as API and CLI print it.
[[nodiscard]] std::string_view name_of(v1::JobKind kind);

void write(state_bytes& out, const activity& job);

} // namespace orrery::domain
