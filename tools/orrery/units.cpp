#include "tools/orrery/units.hpp"

#include "events/core/text.hpp"
#include "tools/orrery/failure.hpp"

#include <array>
#include <charconv>
#include <optional>
#include <string>

namespace orrery::cli {

namespace {

constexpr std::uint64_t memory_mib_max = std::uint64_t{1024} * 1024 * 1024;
constexpr std::uint64_t rate_max = 1'000'000'000'000; // of sense; the API says what a NIC can have
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

namespace {

constexpr std::array<unit, 4> rate_units{
    {{"G", 1'000'000'000}, {"M", 1'000'000}, {"k", 1'000}, {"", 1}}};

} // namespace

result<std::uint64_t> parse_rate(std::string_view text) {
  if (text == "none" || text == "0")
    return std::uint64_t{0};
  constexpr std::string_view bit = "bit";
  const auto number = text.ends_with(bit) ? text.substr(0, text.size() - bit.size()) : text;
  const auto rate = parse(number, rate_units, rate_max);
  if (!rate.has_value())
    return error{error_code::invalid_argument,
                 "'" + printable(text, 40) +
                     "' is not a rate: want bits a second, for instance 100M or 1G, or none",
                 false};
  return *rate;
}

std::string rate_text(std::uint64_t bits_a_second) {
  if (bits_a_second == 0)
    return "-";
  for (const auto& [name, factor] : rate_units)
    if (bits_a_second % factor == 0)
      return std::to_string(bits_a_second / factor) + std::string(name);
  return std::to_string(bits_a_second);
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

std::uint64_t whole_seconds(std::string_view what, const std::string& text) {
  const auto refuse = [what](const std::string& why) -> failure {
    return {exit_code::usage, "usage", std::string(what) + ": " + why};
  };
  const auto wanted = parse_duration(text);
  if (!wanted)
    throw refuse(wanted.error().text);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*wanted);
  if (seconds != *wanted)
    throw refuse("'" + text + "' is no whole number of seconds");
  return static_cast<std::uint64_t>(seconds.count());
}

} // namespace orrery::cli
