#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/bird_reply.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace orrery::pvip {

/// BIRD's control socket. A connection for each question, so that a BIRD that began again is spoken
/// to like any other. From any thread; calls block.
class bird_control {
public:
  /// BIRD answers between two of its works; one of these is to read a kernel with 10,000 routes.
  static constexpr std::chrono::seconds answer_limit{10};

  /// `socket`: the path that BIRD was given.
  explicit bird_control(std::string socket, std::chrono::milliseconds patience = answer_limit);

  /// The reply to one line, without its end. Errors: `unavailable` (no BIRD there, or it ended
  /// meanwhile), `timed_out`, `driver_failed` with BIRD's words (it refused, or did not
  /// understand), `invalid_argument` (more than one line, a path too long for a socket), those of
  /// `bird_reply_reader`, `io_failed`.
  [[nodiscard]] result<bird_reply> ask(std::string_view command) const;

  /// That it is there and answers. Errors: those of `ask`.
  [[nodiscard]] result<void> status() const;

  /// That it could read the file. Errors: those of `ask`; `driver_failed` names the line.
  [[nodiscard]] result<void> configure_check(const std::string& file) const;

  /// Reads its file again. It may still be at it when this returns. Errors: those of `ask`,
  /// `conflict` (it is ending).
  [[nodiscard]] result<void> configure() const;

private:
  std::string x_socket;
  std::chrono::milliseconds x_patience;
};

} // namespace orrery::pvip
