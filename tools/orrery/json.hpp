#pragma once

#include "events/core/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::cli {

/// Containers within containers; the API needs six. A reply above it is refused, so that nothing
/// that walks a tree can run out of stack.
inline constexpr std::size_t json_depth_max = 64;

/// A JSON value as it came: members in their order, numbers as they were written. The command line
/// prints what is there, so it keeps more than it understands.
struct json {
  enum class kind { null, boolean, number, text, list, object };

  kind type = kind::null;
  std::string scalar;             ///< a text, a number as written, "true", "false"
  std::vector<std::string> names; ///< of an object's members, one for each item
  std::vector<json> items;        ///< of a list or an object

  [[nodiscard]] static json of(std::string_view text);

  [[nodiscard]] static json of(const char* text) { return of(std::string_view(text)); }

  [[nodiscard]] static json of(std::uint64_t number);
  [[nodiscard]] static json of(bool value);
  [[nodiscard]] static json list();
  [[nodiscard]] static json object();

  [[nodiscard]] bool is_object() const { return type == kind::object; }

  [[nodiscard]] bool is_list() const { return type == kind::list; }

  /// Adds a member; returns the object, so that calls chain.
  json& set(std::string_view name, json value);

  /// What stands at "observed.state" or "subnets.0.prefix"; a null when any part of the way is
  /// missing.
  [[nodiscard]] const json& at(std::string_view path) const;

  /// A scalar as text, "" for null, compact JSON for lists and objects.
  [[nodiscard]] std::string text() const;

  friend bool operator==(const json&, const json&) = default;
};

/// Errors: `invalid_argument` for text that is not JSON or is nested too deep.
[[nodiscard]] result<json> parse_json(std::string_view text);

enum class json_layout { compact, indented };

/// Valid JSON in UTF-8 without a newline at the end. Control characters, C1 too, are escaped: it
/// may go to a terminal.
[[nodiscard]] std::string to_json(const json& value, json_layout layout);

/// The same value as YAML 1.2 with a newline at the end. Every text that could be read as
/// something else is quoted.
[[nodiscard]] std::string to_yaml(const json& value);

} // namespace orrery::cli
