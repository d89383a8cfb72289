#include "events/log/new_identity.hpp"

#include "events/core/check.hpp"

#include <sys/random.h>

#include <chrono>

namespace orrery::log {

std::uint64_t random_number() {
  std::uint64_t value = 0;
  // 8 bytes: never short, never interrupted (getrandom(2)).
  ORRERY_CHECK(getrandom(&value, sizeof value, 0) == sizeof value);
  return value;
}

log_identity new_identity() {
  const auto now =
      std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  constexpr partition_number first{0};
  log_identity made;
  made.installation.value = make_uuid(now, first, random_number());
  made.log.value = make_uuid(now, first, random_number());
  return made;
}

} // namespace orrery::log
