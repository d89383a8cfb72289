#include "events/core/text.hpp"

#include <algorithm>

namespace orrery {

namespace {

/// Bytes of the well-formed character at the front of `text` (not empty), 0 when it is broken (RFC
/// 3629, section 4).
std::size_t character_size(std::string_view text) {
  const auto at = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto first = at(0);
  if (first < 0x80)
    return 1;
  std::size_t size = 0;
  unsigned char second_min = 0x80;
  unsigned char second_max = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    size = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    size = 3;
    if (first == 0xe0)
      second_min = 0xa0;
    if (first == 0xed)
      second_max = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    size = 4;
    if (first == 0xf0)
      second_min = 0x90;
    if (first == 0xf4)
      second_max = 0x8f;
  } else {
    return 0;
  }
  if (text.size() < size || at(1) < second_min || at(1) > second_max)
    return 0;
  for (std::size_t i = 2; i < size; ++i)
    if (at(i) < 0x80 || at(i) > 0xbf)
      return 0;
  return size;
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

} // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto size = character_size(text);
    if (size == 0)
      return false;
    text.remove_prefix(size);
  }
  return true;
}

result<void> check_name(std::string_view what, std::string_view name) {
  const bool good = !name.empty() && name.size() <= name_size_max &&
                    std::ranges::all_of(name, is_name_character) && name.front() >= 'a' &&
                    name.front() <= 'z' && name.back() != '-';
  if (good)
    return {};
  return error{error_code::invalid_argument,
               std::string(what) + " '" + printable(name, name_size_max) +
                   "' is not a name: want 1 to 63 of a-z, 0-9 and '-', starting with a letter, "
                   "not ending with '-'",
               false};
}

std::string printable(std::string_view text, std::size_t size_max) {
  std::string made;
  while (!text.empty()) {
    const auto size = character_size(text);
    const auto first = static_cast<unsigned char>(text.front());
    const bool shown = size > 0 && first >= 0x20 && first != 0x7f;
    const auto add = shown ? text.substr(0, size) : std::string_view("?");
    if (made.size() + add.size() > size_max)
      break;
    made += add;
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return made;
}

} // namespace orrery
