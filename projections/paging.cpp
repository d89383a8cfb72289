#include "projections/paging.hpp"

#include "events/log/sha256.hpp"
#include "projections/rows.hpp"

#include <charconv>

namespace orrery::projections {

namespace {

// A token in hexadecimal: which list (4 bytes of a hash), how many records its rows held (8: all
// partitions' positions added), the last key, and 4 bytes of a hash over all that. The hash finds
// typing errors and cut tokens; it keeps no secret, since a token gives nothing that its list does
// not.
constexpr std::size_t hash_size = 4;
constexpr std::size_t fixed_size = hash_size + 8 + hash_size;

std::string short_hash(std::string_view bytes) {
  return std::string(log::bytes_of(log::sha256_of(bytes)).substr(0, hash_size));
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    text += digits[static_cast<std::uint8_t>(byte) >> 4];
    text += digits[static_cast<std::uint8_t>(byte) & 15];
  }
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0)
    return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t at = 0; at < text.size(); at += 2) {
    std::uint8_t byte = 0;
    const auto* end = text.data() + at + 2;
    if (std::from_chars(text.data() + at, end, byte, 16).ptr != end)
      return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

error bad_token() {
  return error{error_code::invalid_argument,
               "that page token is not one that this list gave: use nextPageToken as it came, with "
               "the same filters, or begin again without a token",
               false};
}

} // namespace

result<page_start> open_page(std::string_view query, const page& wanted, const log_positions& at) {
  if (wanted.size < 1 || wanted.size > page_size_max)
    return error{error_code::invalid_argument,
                 "a page has 1 to " + std::to_string(page_size_max) + " rows, not " +
                     std::to_string(wanted.size),
                 false};
  page_start start;
  start.size = wanted.size;
  if (wanted.token.empty())
    return start;
  if (wanted.token.size() > page_token_size_max)
    return bad_token();
  const auto bytes = from_hex(wanted.token);
  if (!bytes || bytes->size() <= fixed_size)
    return bad_token();
  const std::string_view signed_part(bytes->data(), bytes->size() - hash_size);
  if (short_hash(signed_part) != std::string_view(*bytes).substr(signed_part.size()) ||
      short_hash(query) != signed_part.substr(0, hash_size))
    return bad_token();
  if (u64_at(signed_part, hash_size) > at.total())
    return error{error_code::unavailable,
                 "that page token comes from newer rows than there are now: the projections are "
                 "being rebuilt; try again soon",
                 true};
  start.after = std::string(signed_part.substr(hash_size + 8));
  return start;
}

std::string token_after(std::string_view query, std::string_view last_key,
                        const log_positions& at) {
  std::string bytes = short_hash(query);
  add_u64(bytes, at.total());
  bytes += last_key;
  bytes += short_hash(bytes);
  return to_hex(bytes);
}

std::string walk_page(const reader& rows, std::string_view query, const page_start& start,
                      key_range range, const log_positions& at,
                      const std::function<row_fate(std::string_view, std::string_view)>& take) {
  range.after = start.after;
  std::uint32_t taken = 0;
  std::uint32_t visited = 0;
  std::string last_key;
  bool more = false;
  rows.scan(range, [&](std::string_view key, std::string_view value) {
    if (taken == start.size || visited == rows_visited_max) {
      more = true; // one row further: so the last page knows that it is the last
      return false;
    }
    ++visited;
    if (take(key, value) == row_fate::taken)
      ++taken;
    last_key = key;
    return true;
  });
  return more ? token_after(query, last_key, at) : std::string();
}

} // namespace orrery::projections
