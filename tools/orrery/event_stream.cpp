#include "tools/orrery/event_stream.hpp"

#include <utility>

namespace orrery::cli {

result<std::vector<stream_message>> event_stream::add(std::string_view bytes) {
  std::vector<stream_message> made;
  for (const char c : bytes) {
    const bool is_second_half = c == '\n' && x_after_cr;
    x_after_cr = c == '\r';
    if (is_second_half)
      continue;
    if (c == '\n' || c == '\r') {
      take_line(x_line, made);
      x_line.clear();
      continue;
    }
    x_line += c;
    if (x_line.size() + x_now.data.size() > stream_message_size_max)
      return error{error_code::too_large, "a message of the stream is longer than 1 MiB", false};
  }
  return made;
}

void event_stream::take_line(std::string_view line, std::vector<stream_message>& into) {
  if (line.empty()) {
    if (!x_now.data.empty())
      x_now.data.pop_back(); // the newline behind its last line
    if (!x_now.data.empty() || x_has_id)
      into.push_back(x_now);
    x_now.event.clear();
    x_now.data.clear();
    x_has_id = false;
    return;
  }
  const auto name = line.substr(0, line.find(':'));
  auto value = line.substr(name.size());
  if (value.starts_with(':'))
    value.remove_prefix(1);
  if (value.starts_with(' '))
    value.remove_prefix(1);
  if (name == "event") {
    x_now.event = value;
  } else if (name == "data") {
    x_now.data.append(value).append("\n");
  } else if (name == "id") {
    x_now.id = value;
    x_has_id = true;
  }
}

} // namespace orrery::cli
