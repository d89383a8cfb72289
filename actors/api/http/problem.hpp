#pragma once

#include "events/core/error.hpp"

#include <string>
#include <string_view>

namespace orrery::http {

/// The media type of every error body (RFC 9457).
inline constexpr std::string_view problem_type = "application/problem+json";

/// The HTTP status that an error answers with, 400 to 599. Covers every code; a number of a newer
/// version gives 500.
[[nodiscard]] int status_of(error_code code);

/// A few words for people, the same for every error of a code ("Not found").
[[nodiscard]] std::string_view title_of(error_code code);

/// The RFC 9457 object of `failure` as JSON text: `type`, `title`, `status`, `detail`, `code`,
/// `retryable`, and `instance` when it is not empty (the path or id of the request). Text that is
/// not UTF-8 is shown with replacement characters. `status` is the one of the reply, usually
/// `status_of(failure.code)`.
[[nodiscard]] std::string problem_body(const error& failure, int status, std::string_view instance);

} // namespace orrery::http
