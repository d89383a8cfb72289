#include "events/log/checked_text.hpp"

#include "events/log/segment_frame.hpp"

#include <array>
#include <charconv>
#include <cstdio>

namespace orrery::log {

namespace {

constexpr std::string_view crc_key = "crc32c ";
constexpr std::size_t crc_digits = 8;
constexpr std::size_t crc_line_size = crc_key.size() + crc_digits + 1;
constexpr std::size_t uuid_text_size = 36;
constexpr std::size_t digest_text_size = 64;

std::string crc_line(std::string_view covered) {
  std::array<char, crc_digits + 1> digits{};
  std::snprintf(digits.data(), digits.size(), "%08x", crc32c(0xffffffff, covered));
  return std::string(crc_key) + digits.data() + "\n";
}

} // namespace

std::string with_checksum(std::string text) {
  text += crc_line(text);
  return text;
}

checked_text without_checksum(std::string_view text) {
  if (text.size() < crc_line_size)
    return {};
  const auto lines = text.substr(0, text.size() - crc_line_size);
  return {lines, text.substr(lines.size()) == crc_line(lines)};
}

bool text_reader::take(std::string_view word) {
  if (x_text.substr(x_at, word.size()) != word)
    return false;
  x_at += word.size();
  return true;
}

std::optional<uuid> text_reader::take_uuid() {
  const auto parsed = parse_uuid(x_text.substr(x_at, uuid_text_size));
  if (!parsed)
    return std::nullopt;
  x_at += uuid_text_size;
  return *parsed;
}

std::optional<std::uint64_t> text_reader::take_number() {
  std::uint64_t value = 0;
  const auto* const start = x_text.data() + x_at;
  const auto [stopped, failed] = std::from_chars(start, x_text.data() + x_text.size(), value);
  if (failed != std::errc{})
    return std::nullopt;
  x_at += static_cast<std::size_t>(stopped - start);
  return value;
}

std::optional<digest> text_reader::take_digest() {
  const auto parsed = parse_digest(x_text.substr(x_at, digest_text_size));
  if (!parsed)
    return std::nullopt;
  x_at += digest_text_size;
  return *parsed;
}

} // namespace orrery::log
