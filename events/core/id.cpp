#include "events/core/id.hpp"

#include "events/core/text.hpp"

namespace orrery {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::size_t text_size = 36;

bool is_dash_position(std::size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  if (digit >= 'a' && digit <= 'f')
    return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F')
    return digit - 'A' + 10;
  return -1;
}

error not_a_uuid(std::string_view text) {
  return {error_code::invalid_argument,
          "'" + printable(text, text_shown_max) +
              "' is not an id: want 8-4-4-4-12 hexadecimal digits",
          false};
}

} // namespace

uuid make_uuid(utc_time now, partition_number where, std::uint64_t random) {
  const std::uint64_t millis = to_micros(now) / 1000;
  uuid made;
  made.a = (millis << 16) | 0x7000 | static_cast<std::uint16_t>(where);
  made.b = (std::uint64_t{0b10} << 62) | (random & ~(std::uint64_t{0b11} << 62));
  return made;
}

std::string to_text(const uuid& value) {
  std::string text;
  text.reserve(text_size);
  for (int digit = 0; digit < 32; ++digit) {
    const auto half = digit < 16 ? value.a : value.b;
    if (is_dash_position(text.size()))
      text += '-';
    text += hex_digits[(half >> (60 - 4 * (digit % 16))) & 0xf];
  }
  return text;
}

result<uuid> parse_uuid(std::string_view text) {
  if (text.size() != text_size)
    return not_a_uuid(text);
  uuid parsed;
  int digits = 0;
  for (std::size_t at = 0; at < text_size; ++at) {
    if (is_dash_position(at)) {
      if (text[at] != '-')
        return not_a_uuid(text);
      continue;
    }
    const int value = hex_value(text[at]);
    if (value < 0)
      return not_a_uuid(text);
    auto& half = digits < 16 ? parsed.a : parsed.b;
    half = (half << 4) | static_cast<std::uint64_t>(value);
    ++digits;
  }
  return parsed;
}

} // namespace orrery
