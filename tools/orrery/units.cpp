#include "tools/orrery/units.hpp"

#include "events/core/text.hpp"

#include <array>
#include <charconv>
#include <optional>
#include <string>

namespace orrery::cli {

namespace {

constexpr std::uint64_t memory_mib_max = std::uint64_t{1024} * 1024 * 1024;
constexpr std::uint64_t duration_ms_max = std::uint64_t{24} * 3600 * 1000;

struct unit {
  std::string_view name;
  std::uint64_t factor;
};

/// A number from 1 to `most` times the unit behind it; nothing for anything else.
template <std::size_t Count>
std::optional<std::uint64_t> parse(std::string_view text, const std::array<unit, Count>& units,
                                   std::uint64_t most) {
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || number == 0)
    return std::nullopt;
  const auto rest = text.substr(static_cast<std::size_t>(parsed.ptr - text.data()));
  for (const auto& [name, factor] : units)
    if (name == rest && number <= most / factor)
      return number * factor;
  return std::nullopt;
}

} // namespace

result<mib> parse_memory(std::string_view text) {
  static constexpr std::array<unit, 3> units{{{"MiB", 1}, {"GiB", 1024}, {"TiB", 1'048'576}}};
  const auto size = parse(text, units, memory_mib_max);
  if (!size.has_value())
    return error{error_code::invalid_argument,
                 "'" + printable(text, 40) +
                     "' is not a memory size: want a whole number of MiB, GiB or TiB, for "
                     "instance 192MiB or 1GiB",
                 false};
  return mib{*size};
}

std::string memory_text(mib size) {
  if (size.count >= 1024 && size.count % 1024 == 0)
    return std::to_string(size.count / 1024) + "GiB";
  return std::to_string(size.count) + "MiB";
}

result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  static constexpr std::array<unit, 5> units{
      {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
  const auto time = parse(text, units, duration_ms_max);
  if (!time.has_value())
    return error{error_code::invalid_argument,
                 "'" + printable(text, 40) +
                     "' is not a time: want for instance 300ms, 90s, 10m or 1h, at most 24h",
                 false};
  return std::chrono::milliseconds(*time);
}

} // namespace orrery::cli
