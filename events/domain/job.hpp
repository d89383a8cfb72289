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

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.job, of.kind, of.generation, of.step, of.started_at, of.deadline, of.failure_code,
              of.failure);
  }
};

/// What an event of any noun says of a job; all null for most events. Points into the event.
struct job_news {
  const v1::JobEvent::Started* started = nullptr;
  const v1::JobEvent::AttemptFailed* attempt_failed = nullptr;
  const v1::JobEvent::Ended* ended = nullptr;
};

[[nodiscard]] job_news job_news_of(const v1::Event& event);

/// The job that an event of a resource begins.
[[nodiscard]] activity begun_by(const v1::JobEvent::Started& event, utc_time decided_at);

/// Its first step.
inline constexpr std::string_view step_accepted = "accepted";

/// Writes that the job of the command being decided begins.
void write_start(v1::JobEvent::Started* event, v1::JobKind kind, std::uint64_t generation,
                 std::chrono::seconds patience, const context& with);

/// Writes that a job ends; without `why` it is done.
void write_end(v1::JobEvent::Ended* event, const activity& job, std::string_view step);
void write_end(v1::JobEvent::Ended* event, const activity& job, v1::Job::State state,
               std::string_view step, const error& why);

/// The refusal of a request while a job is in progress. `thing`: "VM 'web-1'"; `way_out`: what to
/// do about it.
[[nodiscard]] error busy_with(const activity& job, const std::string& thing,
                              const std::string& way_out);

/// "vm.create", as API and CLI print it.
[[nodiscard]] std::string_view name_of(v1::JobKind kind);

} // namespace orrery::domain
