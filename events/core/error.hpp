#pragma once

#include "events/core/check.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace orrery {

/// What went wrong, as a number that never changes its meaning. Append only: numbers are stored in
/// the log and are part of the API (as the names that `name_of` gives); a retired one is never used
/// again.
enum class error_code : std::uint16_t {
  internal = 1,            ///< a bug of ours; the text names the place
  invalid_argument = 2,    ///< the request can never succeed as it stands
  not_found = 3,           ///< the named thing does not exist
  already_exists = 4,      ///< a name or id is taken
  busy = 5,                ///< another job holds the resource; retry when it ended
  capacity_exhausted = 6,  ///< no node has the room
  addresses_exhausted = 7, ///< the subnet has no free address
  unsupported = 8,         ///< this kind of hypervisor cannot do it (the capability table says so)
  unauthenticated = 9,     ///< no token, or a wrong one
  too_large = 10,          ///< an input above its limit
  too_many_requests = 11,  ///< a queue or window is full
  unavailable = 12,        ///< a part is not reachable now
  timed_out = 13,          ///< the deadline passed
  conflict = 14,           ///< state or version differs from what the request needs
  storage_full = 15,       ///< the disk of the log or of the projections is full
  damaged = 16,            ///< stored bytes are not what was written
  log_cut = 17,            ///< the log ends before something that was built from it
  locked = 18,             ///< another process owns the directory
  clock_untrusted = 19,    ///< the clock disagrees with the log
  read_only = 20,          ///< this process only reads
  driver_failed = 21,      ///< the hypervisor refused or failed
  guest_stopped = 22,      ///< the guest ended before it was reachable
  superseded = 23,         ///< a newer request replaced this one
  key_reused = 24,         ///< the idempotency key came with another body
  config_invalid = 25,     ///< the configuration file is wrong
  unknown_record = 26,     ///< a record of a type or format that this version does not know
  io_failed = 27,          ///< the operating system refused an operation
  image_unknown = 28,      ///< no node of the cluster has the image
  target_behind = 29,      ///< another partition leaves too much undecided to be sent more
  limit_reached = 30,      ///< there are as many as the installation's limit allows
};

/// The stable snake_case name of a code, as API and CLI print it ("capacity_exhausted").
[[nodiscard]] std::string_view name_of(error_code code);

/// A failure, told to an operator: what failed, on which thing, and what to do. Holds no secret.
struct error {
  error_code code = error_code::internal;
  std::string text;       ///< one or two sentences, UTF-8, no trailing newline
  bool retryable = false; ///< the same request may succeed later

  friend bool operator==(const error&, const error&) = default;
};

/// Either a value or an error; a subset of C++23's `std::expected`. Reading the wrong side ends the
/// process.
template <class T> class [[nodiscard]] result {
public:
  result(T value) : x_state(std::in_place_index<0>, std::move(value)) {}

  result(orrery::error failure) : x_state(std::in_place_index<1>, std::move(failure)) {}

  [[nodiscard]] bool has_value() const { return x_state.index() == 0; }

  explicit operator bool() const { return has_value(); }

  [[nodiscard]] T& operator*() & { return value(); }

  [[nodiscard]] const T& operator*() const& { return value(); }

  [[nodiscard]] T&& operator*() && { return std::move(value()); }

  T* operator->() { return &value(); }

  const T* operator->() const { return &value(); }

  [[nodiscard]] T& value() {
    ORRERY_CHECK(has_value());
    return *std::get_if<0>(&x_state);
  }

  [[nodiscard]] const T& value() const {
    ORRERY_CHECK(has_value());
    return *std::get_if<0>(&x_state);
  }

  [[nodiscard]] const orrery::error& error() const {
    ORRERY_CHECK(!has_value());
    return *std::get_if<1>(&x_state);
  }

private:
  std::variant<T, orrery::error> x_state;
};

template <> class [[nodiscard]] result<void> {
public:
  result() = default;

  result(orrery::error failure) : x_error(std::move(failure)) {}

  [[nodiscard]] bool has_value() const { return !x_error.has_value(); }

  explicit operator bool() const { return has_value(); }

  [[nodiscard]] const orrery::error& error() const {
    ORRERY_CHECK(x_error.has_value());
    return *x_error;
  }

private:
  std::optional<orrery::error> x_error;
};

} // namespace orrery
