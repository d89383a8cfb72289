#include "events/core/error.hpp"

namespace orrery {

std::string_view name_of(error_code code) {
  switch (code) {
  case error_code::internal:
    return "internal";
  case error_code::invalid_argument:
    return "invalid_argument";
  case error_code::not_found:
    return "not_found";
  case error_code::already_exists:
    return "already_exists";
  case error_code::busy:
    return "busy";
  case error_code::capacity_exhausted:
    return "capacity_exhausted";
  case error_code::addresses_exhausted:
    return "addresses_exhausted";
  case error_code::unsupported:
    return "unsupported";
  case error_code::unauthenticated:
    return "unauthenticated";
  case error_code::too_large:
    return "too_large";
  case error_code::too_many_requests:
    return "too_many_requests";
  case error_code::unavailable:
    return "unavailable";
  case error_code::timed_out:
    return "timed_out";
  case error_code::conflict:
    return "conflict";
  case error_code::storage_full:
    return "storage_full";
  case error_code::damaged:
    return "damaged";
  case error_code::log_cut:
    return "log_cut";
  case error_code::locked:
    return "locked";
  case error_code::clock_untrusted:
    return "clock_untrusted";
  case error_code::read_only:
    return "read_only";
  case error_code::driver_failed:
    return "driver_failed";
  case error_code::guest_stopped:
    return "guest_stopped";
  case error_code::superseded:
    return "superseded";
  case error_code::key_reused:
    return "key_reused";
  case error_code::config_invalid:
    return "config_invalid";
  case error_code::unknown_record:
    return "unknown_record";
  case error_code::io_failed:
    return "io_failed";
  case error_code::image_unknown:
    return "image_unknown";
  case error_code::target_behind:
    return "target_behind";
  case error_code::limit_reached:
    return "limit_reached";
  }
  return "internal"; // a number from a newer version, read from the log
}

} // namespace orrery
