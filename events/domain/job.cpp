#include "events/domain/job.hpp"

namespace orrery::domain {

job_news job_news_of(const v1::Event& event) {
  job_news told;
  if (event.has_vm()) {
    if (event.vm().has_job_started())
      told.started = &event.vm().job_started();
    if (event.vm().has_job_attempt_failed())
      told.attempt_failed = &event.vm().job_attempt_failed();
    if (event.vm().has_job_ended())
      told.ended = &event.vm().job_ended();
  } else if (event.has_network()) {
    if (event.network().has_job_started())
      told.started = &event.network().job_started();
    if (event.network().has_job_ended())
      told.ended = &event.network().job_ended();
  }
  return told;
}

activity begun_by(const v1::JobEvent::Started& event, utc_time decided_at) {
  activity job;
  job.job = from_proto(event.job());
  job.kind = event.kind();
  job.generation = event.generation();
  job.step = step_accepted;
  job.started_at = decided_at;
  job.deadline = from_micros(event.deadline());
  return job;
}

void write_start(v1::JobEvent::Started* event, v1::JobKind kind, std::uint64_t generation,
                 std::chrono::seconds patience, const context& with) {
  set(event->mutable_job(), with.command);
  event->set_kind(kind);
  event->set_generation(generation);
  event->set_deadline(to_micros(with.now + patience));
}

void write_end(v1::JobEvent::Ended* event, const activity& job, std::string_view step) {
  set(event->mutable_job(), job.job);
  event->set_state(v1::Job::DONE);
  event->set_step(std::string(step));
}

void write_end(v1::JobEvent::Ended* event, const activity& job, v1::Job::State state,
               std::string_view step, const error& why) {
  write_end(event, job, step);
  event->set_state(state);
  event->set_code(static_cast<std::uint32_t>(why.code));
  event->set_text(why.text);
}

error busy_with(const activity& job, const std::string& thing, const std::string& way_out) {
  return refuse(error_code::busy,
                thing + " is busy with job job_" + to_text(job.job) + " (" +
                    std::string(name_of(job.kind)) + "): " + way_out,
                true);
}

std::string_view name_of(v1::JobKind kind) {
  switch (kind) {
  case v1::VM_CREATE:
    return "vm.create";
  case v1::VM_START:
    return "vm.start";
  case v1::VM_SHUTDOWN:
    return "vm.shutdown";
  case v1::VM_STOP:
    return "vm.stop";
  case v1::VM_DELETE:
    return "vm.delete";
  case v1::NETWORK_CREATE:
    return "network.create";
  case v1::NETWORK_DELETE:
    return "network.delete";
  default:
    return "unknown"; // protobuf enums are open
  }
}

} // namespace orrery::domain
