#include "pvip/apply/bird_reply.hpp"

#include "events/core/text.hpp"
#include "pvip/upstream/bird_config.hpp"

#include <algorithm>
#include <utility>

namespace orrery::pvip {

namespace {

constexpr std::size_t code_bytes = 4;

/// BIRD's words about one neighbour are a few.
constexpr std::size_t info_bytes_max = 200;

// Numbers of lines, from the list in BIRD's documentation of its commands.
constexpr int code_of_protocols = 1002;
constexpr int code_of_ospf_neighbours = 1013;

error damaged(const std::string& what, std::string_view line) {
  return {.code = error_code::damaged,
          .text = "BIRD " + what + ": \"" + printable(line, text_shown_max) + "\"",
          .retryable = true};
}

std::optional<int> read_code(std::string_view line) {
  if (line.size() <= code_bytes) {
    return std::nullopt;
  }
  int code = 0;
  for (const char c : line.substr(0, code_bytes)) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    code = code * 10 + (c - '0');
  }
  return code;
}

/// Takes the next word away; empty at the end.
std::string_view next_word(std::string_view& rest) {
  constexpr std::string_view blanks = " \t";
  rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
  const auto word = rest.substr(0, rest.find_first_of(blanks));
  rest.remove_prefix(word.size());
  return word;
}

void skip_words(std::string_view& rest, int count) {
  for (int i = 0; i < count; ++i) {
    (void)next_word(rest);
  }
}

/// The words of a line, one blank apart.
std::string told(std::string_view rest) {
  std::string words;
  for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
    words += (words.empty() ? "" : " ") + std::string(word);
  }
  return printable(words, info_bytes_max);
}

} // namespace

result<std::optional<bird_reply>> bird_reply_reader::take(std::string_view bytes) {
  while (!bytes.empty()) {
    if (x_whole) {
      return damaged("said more than a reply", bytes);
    }
    const auto end = bytes.find('\n');
    const auto part = bytes.substr(0, end);
    if (x_rest.size() + part.size() > line_bytes_max) {
      return error{.code = error_code::too_large,
                   .text =
                       "BIRD said a line of more than " + std::to_string(line_bytes_max) + " bytes",
                   .retryable = true};
    }
    x_rest += part;
    if (end == std::string_view::npos) {
      break;
    }
    bytes.remove_prefix(end + 1);
    if (auto taken = take_line(std::exchange(x_rest, {})); !taken) {
      return taken.error();
    }
  }
  return x_whole ? std::optional(std::move(x_lines)) : std::nullopt;
}

result<void> bird_reply_reader::take_line(std::string_view line) {
  if (line.starts_with('+')) {
    return {};
  }
  if (x_lines.size() == lines_max) {
    return error{.code = error_code::too_large,
                 .text = "BIRD said more than " + std::to_string(lines_max) + " lines",
                 .retryable = true};
  }
  if (line.starts_with(' ') && !x_lines.empty()) {
    x_lines.push_back({.code = x_lines.back().code, .text = std::string(line.substr(1))});
    return {};
  }
  const auto code = read_code(line);
  if (!code || (line[code_bytes] != ' ' && line[code_bytes] != '-')) {
    return damaged("said a line without its number", line);
  }
  x_whole = line[code_bytes] == ' ';
  x_lines.push_back({.code = *code, .text = std::string(line.substr(code_bytes + 1))});
  return {};
}

std::vector<protocol_state> read_protocols(const bird_reply& reply) {
  std::vector<protocol_state> found;
  for (const bird_line& line : reply) {
    if (line.code != code_of_protocols) {
      continue;
    }
    std::string_view rest = line.text;
    const auto name = next_word(rest);
    skip_words(rest, 4); // protocol, table, state, since
    found.push_back({.name = std::string(name), .info = told(rest)});
  }
  return found;
}

std::vector<neighbour_state> read_bgp_neighbours(const bird_reply& reply) {
  std::vector<neighbour_state> found;
  for (protocol_state& each : read_protocols(reply)) {
    if (const auto address = bgp_neighbour_in_name(each.name)) {
      found.push_back({.address = *address,
                       .established = each.info == "Established",
                       .info = std::move(each.info)});
    }
  }
  std::ranges::sort(found, {}, &neighbour_state::address);
  return found;
}

std::vector<neighbour_state> read_bgp_neighbours(const bird_reply& reply,
                                                 const bgp_upstream& wanted) {
  const auto there = read_bgp_neighbours(reply);
  std::vector<neighbour_state> found;
  for (const bgp_neighbour& each : wanted.neighbours) {
    const auto at = std::ranges::find(there, each.address, &neighbour_state::address);
    found.push_back(at != there.end() ? *at
                                      : neighbour_state{.address = each.address,
                                                        .info = "BIRD does not have it"});
  }
  std::ranges::sort(found, {}, &neighbour_state::address);
  return found;
}

std::vector<neighbour_state> read_ospf_neighbours(const bird_reply& reply) {
  std::vector<neighbour_state> found;
  for (const bird_line& line : reply) {
    if (line.code != code_of_ospf_neighbours) {
      continue;
    }
    std::string_view rest = line.text;
    skip_words(rest, 2); // router id, priority
    const auto state = next_word(rest);
    skip_words(rest, 2); // dead in, interface
    if (const auto address = parse_ip_address(next_word(rest))) {
      found.push_back({.address = *address,
                       .established = state.starts_with("Full/") || state == "2-Way/Other",
                       .info = printable(state, info_bytes_max)});
    }
  }
  std::ranges::sort(found, {}, &neighbour_state::address);
  return found;
}

} // namespace orrery::pvip
