#include "tools/orrery/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace orrery::cli {

namespace {

struct character {
  std::size_t size = 1;  ///< bytes
  std::size_t width = 1; ///< columns
  bool shown = false;    ///< false: shown as '?'
};

/// The character at the front of `text`, which is not empty.
character first_of(std::string_view text) {
  utf8proc_int32_t point = 0;
  const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &point);
  if (size <= 0)
    return {};
  const auto bytes = static_cast<std::size_t>(size);
  switch (utf8proc_category(point)) {
  case UTF8PROC_CATEGORY_CC: // control
  case UTF8PROC_CATEGORY_CF: // marks that turn the direction, or are not seen
  case UTF8PROC_CATEGORY_CN: // unassigned
  case UTF8PROC_CATEGORY_CO: // private use
  case UTF8PROC_CATEGORY_CS:
  case UTF8PROC_CATEGORY_ZL: // line and paragraph separators
  case UTF8PROC_CATEGORY_ZP:
    return {bytes, 1, false};
  default:
    return {bytes, static_cast<std::size_t>(std::max(utf8proc_charwidth(point), 0)), true};
  }
}

} // namespace

terminal this_terminal() {
  terminal made;
  made.out = ::isatty(STDOUT_FILENO) == 1;
  made.err = ::isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (made.out || made.err) {
    const int descriptor = made.out ? STDOUT_FILENO : STDERR_FILENO;
    if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
      made.width = size.ws_col;
  }
  const auto* no_colour = std::getenv("NO_COLOR");
  const auto* kind = std::getenv("TERM");
  made.colours = made.err && (no_colour == nullptr || *no_colour == '\0') && kind != nullptr &&
                 std::string_view(kind) != "dumb";
  return made;
}

std::string clean(std::string_view text) {
  std::string made;
  made.reserve(text.size());
  while (!text.empty()) {
    const auto one = first_of(text);
    made += one.shown ? text.substr(0, one.size) : std::string_view("?");
    text.remove_prefix(one.size);
  }
  return made;
}

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const auto one = first_of(text);
    width += one.width;
    text.remove_prefix(one.size);
  }
  return width;
}

std::string fit(std::string_view text, std::size_t width) {
  if (width_of(text) <= width)
    return std::string(text);
  if (width == 0)
    return {};
  std::size_t used = 0;
  std::size_t size = 0;
  while (size < text.size()) {
    const auto one = first_of(text.substr(size));
    if (used + one.width > width - 1)
      break;
    used += one.width;
    size += one.size;
  }
  return std::string(text.substr(0, size)) + "…";
}

std::string age_text(std::chrono::microseconds age) {
  constexpr long long two_hours = 7'200;
  constexpr long long two_days = 172'800;
  const auto seconds = std::max<long long>(age.count() / 1'000'000, 0);
  if (seconds < 120)
    return std::to_string(seconds) + "s";
  if (seconds < two_hours)
    return std::to_string(seconds / 60) + "m";
  if (seconds < two_days)
    return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / (two_days / 2)) + "d";
}

std::string elapsed_text(std::chrono::microseconds time) {
  const auto tenths = std::max<long long>(time.count() / 100'000, 0);
  std::array<char, 64> text{};
  if (tenths < 1200)
    std::snprintf(text.data(), text.size(), "%lld.%lld s", tenths / 10, tenths % 10);
  else
    std::snprintf(text.data(), text.size(), "%lld min %02lld s", tenths / 600, tenths / 10 % 60);
  return text.data();
}

} // namespace orrery::cli
