#include "actors/api/http/problem.hpp"

#include <nlohmann/json.hpp>

namespace orrery::http {

namespace {

struct row {
  int status;
  std::string_view title;
};

/// The one table from codes to HTTP. 409 is for what another state of the world would allow, 422
/// for what is well-formed and will never be allowed, 5xx for what is not the caller's doing.
row row_of(error_code code) {
  switch (code) {
  case error_code::internal:
    return {500, "Internal error"};
  case error_code::invalid_argument:
    return {400, "Invalid argument"};
  case error_code::not_found:
    return {404, "Not found"};
  case error_code::already_exists:
    return {409, "Already exists"};
  case error_code::busy:
    return {409, "Busy"};
  case error_code::capacity_exhausted:
    return {409, "Capacity exhausted"};
  case error_code::addresses_exhausted:
    return {409, "Addresses exhausted"};
  case error_code::unsupported:
    return {422, "Unsupported"};
  case error_code::unauthenticated:
    return {401, "Unauthenticated"};
  case error_code::too_large:
    return {413, "Too large"};
  case error_code::too_many_requests:
    return {429, "Too many requests"};
  case error_code::unavailable:
    return {503, "Unavailable"};
  case error_code::timed_out:
    return {504, "Timed out"};
  case error_code::conflict:
    return {409, "Conflict"};
  case error_code::storage_full:
    return {507, "Storage full"};
  case error_code::damaged:
    return {500, "Stored data damaged"};
  case error_code::log_cut:
    return {500, "Log cut"};
  case error_code::locked:
    return {503, "Locked by another process"};
  case error_code::clock_untrusted:
    return {503, "Clock not trusted"};
  case error_code::read_only:
    return {403, "Read only"};
  case error_code::driver_failed:
    return {502, "Hypervisor failed"};
  case error_code::guest_stopped:
    return {409, "Guest stopped"};
  case error_code::superseded:
    return {409, "Superseded"};
  case error_code::key_reused:
    return {422, "Idempotency key reused"};
  case error_code::config_invalid:
    return {500, "Configuration invalid"};
  case error_code::unknown_record:
    return {500, "Unknown record"};
  case error_code::io_failed:
    return {500, "Operating system refused"};
  case error_code::image_unknown:
    return {422, "Image unknown"};
  case error_code::target_behind:
    return {429, "Target behind"};
  case error_code::limit_reached:
    return {409, "Limit reached"};
  }
  return {500, "Internal error"}; // a number from a newer version, read from the log
}

} // namespace

int status_of(error_code code) { return row_of(code).status; }

std::string_view title_of(error_code code) { return row_of(code).title; }

std::string problem_body(const error& failure, int status, std::string_view instance) {
  // Ordered, so that people who read the body see the most telling members where RFC 9457 has them.
  nlohmann::ordered_json body;
  const auto code = name_of(failure.code);
  body["type"] = "urn:orrery:problem:" + std::string(code);
  body["title"] = title_of(failure.code);
  body["status"] = status;
  body["detail"] = failure.text;
  if (!instance.empty())
    body["instance"] = instance;
  body["code"] = code;
  body["retryable"] = failure.retryable;
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace orrery::http
