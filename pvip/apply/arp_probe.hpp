#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/file_descriptor.hpp"
#include "pvip/plan/plan.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace orrery::pvip {

/// Time between two questions: a guest that comes up is seen soon, and a network of a thousand
/// starting guests carries four small frames a second each.
inline constexpr std::chrono::milliseconds question_interval{250};

/// A raw socket for ARP on one link, in the network namespace of the calling thread; it stays there
/// and may be used from any thread. Errors: `not_found` (no such link), `io_failed`.
[[nodiscard]] result<file_descriptor> open_arp_socket(const std::string& link);

/// One that only sends, on any link.
[[nodiscard]] result<file_descriptor> open_arp_sender(const std::string& link);

/// Asks for `wanted.address` until `wanted.mac` answers (true) or `patience` is over (false).
/// `open_socket` is called first, and again when the link went away meanwhile. Blocks in poll(2)
/// only. Errors: those of the first `open_socket`.
[[nodiscard]] result<bool> probe_arp(const port& wanted, std::chrono::milliseconds patience,
                                     const std::function<result<file_descriptor>()>& open_socket);

} // namespace orrery::pvip
