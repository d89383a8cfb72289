#pragma once

#include "events/core/error.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::cli {

/// One message of a stream of server-sent events, or a change of the position alone.
struct stream_message {
  std::string event; ///< "" when it names none
  std::string id;    ///< of the last message that had one
  std::string data;  ///< lines joined by newlines; "" moves the position only

  friend bool operator==(const stream_message&, const stream_message&) = default;
};

/// Longest message, in bytes: an event has some 500, its id a dozen for each partition.
inline constexpr std::size_t stream_message_size_max = std::size_t{1024} * 1024;

/// Takes a stream of server-sent events apart, as the HTML standard has it (section 9.2.6), however
/// it is cut into reads.
class event_stream {
public:
  /// The messages that `bytes` completed. Errors: `too_large`.
  [[nodiscard]] result<std::vector<stream_message>> add(std::string_view bytes);

private:
  void take_line(std::string_view line, std::vector<stream_message>& into);

  std::string x_line; ///< what came of it
  bool x_after_cr = false;
  stream_message x_now; ///< what came of it; its id is kept from one to the next
  bool x_has_id = false;
};

} // namespace orrery::cli
