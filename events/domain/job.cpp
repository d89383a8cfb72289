#include "events/domain/job.hpp"

namespace orrery::domain {

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
  default:
    return "unknown"; // protobuf enums are open
  }
}

void write(state_bytes& out, const activity& job) {
  out.add(job.job);
  out.add(static_cast<std::uint64_t>(job.kind));
  out.add(job.generation);
  out.add(job.step);
  out.add(job.started_at);
  out.add(job.deadline);
  out.add(job.failure_code);
  out.add(job.failure);
}

} // namespace orrery::domain
