#pragma once

#include "events/core/id.hpp"
#include "events/log/sha256.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::log {

// Small text files of a log (`log.meta`, the manifest of a backup): lines of a key and a value, and
// at the end a line with the CRC-32C of all before it. People read them; programs take nothing but
// what was written.

/// `text` with the line of its checksum behind it.
[[nodiscard]] std::string with_checksum(std::string text);

/// A text without the line of its checksum.
struct checked_text {
  std::string_view lines;
  bool is_good = false; ///< the checksum is there and fits
};

/// Total: nothing is good about a text that is too short.
[[nodiscard]] checked_text without_checksum(std::string_view text);

/// Takes a text apart from its start. After the first failure `position` is where it is wrong. A
/// caller encodes what it got and compares, so numbers need not be canonical here.
class text_reader {
public:
  explicit text_reader(std::string_view text) : x_text(text) {}

  /// Steps over `word` if it comes next.
  [[nodiscard]] bool take(std::string_view word);

  [[nodiscard]] std::optional<uuid> take_uuid();
  [[nodiscard]] std::optional<std::uint64_t> take_number();
  [[nodiscard]] std::optional<digest> take_digest();

  [[nodiscard]] std::size_t position() const { return x_at; }

  [[nodiscard]] bool ended() const { return x_at == x_text.size(); }

private:
  std::string_view x_text;
  std::size_t x_at = 0;
};

} // namespace orrery::log
