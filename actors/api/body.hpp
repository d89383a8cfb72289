#pragma once

#include "events/core/error.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::actors {

/// Reads a JSON object from outside, field by field, and refuses what nobody asked for: a misspelt
/// field is an error, never ignored. Every field is an error of its own text, naming field and
/// limit.
class body_reader {
public:
  /// Errors: `invalid_argument` (not JSON, not an object, too deep, a name given twice).
  [[nodiscard]] static result<body_reader> parse(std::string_view text);

  body_reader(body_reader&&) noexcept;
  body_reader& operator=(body_reader&&) noexcept;
  ~body_reader();

  /// A text of at most `size_max` bytes; `fallback` when it is missing (null: it is required).
  [[nodiscard]] std::string text(const char* field, std::size_t size_max,
                                 const char* fallback = nullptr);

  /// A whole number (also as a string of digits, as protobuf's JSON has it) within the limits.
  [[nodiscard]] std::uint64_t number(const char* field, std::uint64_t value_max,
                                     const std::uint64_t* fallback = nullptr);

  /// Whether it is there; then it is to be read by one of the others.
  [[nodiscard]] bool has(const char* field) const;

  /// An object of texts, in the order of its names; nothing when it is missing. At most `count_max`
  /// of them, each name and each text of at most `size_max` bytes.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>>
  texts_by_name(const char* field, std::size_t count_max, std::size_t size_max);

  /// A list of texts; nothing when it is missing. Limits as above.
  [[nodiscard]] std::vector<std::string> texts(const char* field, std::size_t count_max,
                                               std::size_t size_max);

  /// True or false; false when it is missing.
  [[nodiscard]] bool truth(const char* field);

  /// An object within; nothing when it is missing. Its fields are read and finished as of the
  /// whole, and its errors name it, too.
  [[nodiscard]] std::optional<body_reader> object(const char* field);

  /// A list of such; nothing when it is missing. At most `count_max`.
  [[nodiscard]] std::vector<body_reader> objects(const char* field, std::size_t count_max);

  /// Ends the reading: the first error, or an unknown field.
  [[nodiscard]] result<void> finish() const;

private:
  struct impl;
  explicit body_reader(std::unique_ptr<impl> made);
  std::unique_ptr<impl> x_impl;
};

} // namespace orrery::actors
