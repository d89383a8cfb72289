#pragma once

#include "projections/paging.hpp"
#include "projections/projection.hpp"
#include "projections/views.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace orrery::projections {

/// Every job that ever was, with its steps: folded from the job events, and from the facts that
/// were seen while it ran.
class jobs final : public projection {
public:
  static constexpr std::string_view family = "jobs";

  [[nodiscard]] std::string_view name() const override { return family; }

  [[nodiscard]] std::uint32_t version() const override { return 3; }

  void apply(commit_span commits, writer& rows) const override;
};

/// Which jobs, in terms of ids. Nothing, or unspecified: any.
struct job_terms {
  std::optional<uuid> resource = {};
  v1::Job::State state = v1::Job::STATE_UNSPECIFIED;
};

/// Newest first. Errors: `invalid_argument` (page).
[[nodiscard]] result<listing<v1::Job>> list_jobs(const reader& rows, const job_terms& terms,
                                                 const page& wanted);

/// One job by `job_<uuid>` or a bare UUID. Errors: `not_found`, `invalid_argument`.
[[nodiscard]] result<answer<v1::Job>> find_job(const reader& rows, std::string_view id);

/// A job that a commit ended.
struct ended_job {
  v1::JobKind kind = v1::JOB_KIND_UNSPECIFIED;
  v1::Job::State state = v1::Job::STATE_UNSPECIFIED;
};

/// The jobs that a commit ended, in its order; mostly none. Pure.
[[nodiscard]] std::vector<ended_job> jobs_ended_by(const folded_commit& commit);

} // namespace orrery::projections
