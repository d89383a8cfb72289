#include "events/core/time.hpp"

#include "events/core/text.hpp"

#include <array>
#include <cstdio>

namespace orrery {

namespace {

constexpr std::uint64_t micros_a_second = 1'000'000;

error not_a_time(std::string_view text) {
  return {error_code::invalid_argument,
          "'" + printable(text, text_shown_max) +
              "' is not a time: want UTC like 2026-11-22T09:14:02.113Z",
          false};
}

/// Reads exactly `count` decimal digits at `at`; -1 when they are not there.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size())
    return -1;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9')
      return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

} // namespace

std::string to_text(utc_time when) {
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date(day);
  const auto micros = static_cast<std::uint64_t>((when - day).count());
  const auto seconds = micros / micros_a_second;
  std::array<char, 40> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02u:%02u:%02u.%06uZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<unsigned>(seconds / 3600),
                static_cast<unsigned>(seconds / 60 % 60), static_cast<unsigned>(seconds % 60),
                static_cast<unsigned>(micros % micros_a_second));
  return buffer.data();
}

result<utc_time> parse_time(std::string_view text) {
  constexpr std::size_t seconds_end = 19; // "2026-11-22T09:14:02"
  if (text.size() < seconds_end + 1 || text.back() != 'Z' || text[4] != '-' || text[7] != '-' ||
      text[10] != 'T' || text[13] != ':' || text[16] != ':')
    return not_a_time(text);
  const int year = digits(text, 0, 4);
  const int month = digits(text, 5, 2);
  const int day = digits(text, 8, 2);
  const int hour = digits(text, 11, 2);
  const int minute = digits(text, 14, 2);
  const int second = digits(text, 17, 2);
  if (year < 1970 || month < 1 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 59)
    return not_a_time(text);
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok())
    return not_a_time(text);
  std::int64_t fraction = 0;
  if (const auto size = text.size() - seconds_end - 1; size > 0) {
    if (text[seconds_end] != '.' || size < 2 || size > 7)
      return not_a_time(text);
    const int value = digits(text, seconds_end + 1, size - 1);
    if (value < 0)
      return not_a_time(text);
    fraction = value;
    for (std::size_t scale = size - 1; scale < 6; ++scale)
      fraction *= 10;
  }
  return utc_time(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + std::chrono::seconds(second) +
         std::chrono::microseconds(fraction);
}

} // namespace orrery
