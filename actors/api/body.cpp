#include "actors/api/body.hpp"

#include "events/core/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace orrery::actors {

namespace {

/// The API's bodies are flat; deeper nesting is an attack on the parser's stack.
constexpr int depth_max = 8;

constexpr std::size_t shown_size_max = 64;

error invalid(std::string text) { return {error_code::invalid_argument, std::move(text), false}; }

} // namespace

struct body_reader::impl {
  explicit impl(nlohmann::json parsed, std::string place = {})
      : object(std::move(parsed)), path(std::move(place)) {}

  nlohmann::json object;
  std::string path; ///< of the object in the body, with a dot behind; empty: the body
  std::set<std::string> read;
  std::optional<error> first;

  [[nodiscard]] std::string name_of(const char* field) const { return "'" + path + field + "'"; }

  void fail(std::string text) {
    if (!first)
      first = invalid(std::move(text));
  }

  /// A text within the limits; the first failure is kept.
  std::string text_in(const nlohmann::json& value, const std::string& what, std::size_t size_max) {
    if (!value.is_string())
      fail(what + " is not a text");
    else if (value.get_ref<const std::string&>().size() > size_max)
      fail(what + " is longer than " + std::to_string(size_max) + " bytes");
    else
      return value.get<std::string>();
    return {};
  }

  /// A list or an object of at most so many, or null.
  const nlohmann::json* some(const char* field, nlohmann::json::value_t kind,
                             std::size_t count_max) {
    const auto* value = find(field);
    const std::string what = name_of(field);
    if (value == nullptr)
      return nullptr;
    if (value->type() != kind)
      fail(what +
           (kind == nlohmann::json::value_t::object ? " is not an object" : " is not a list"));
    else if (value->size() > count_max)
      fail(what + " has more than " + std::to_string(count_max) + " members");
    else
      return value;
    return nullptr;
  }

  const nlohmann::json* find(const char* field) {
    read.insert(field);
    const auto at = object.find(field);
    return at == object.end() || at->is_null() ? nullptr : &*at;
  }
};

body_reader::body_reader(std::unique_ptr<impl> made) : x_impl(std::move(made)) {}

body_reader::body_reader(body_reader&&) noexcept = default;
body_reader& body_reader::operator=(body_reader&&) noexcept = default;
body_reader::~body_reader() = default;

result<body_reader> body_reader::parse(std::string_view text) {
  bool is_too_deep = false;
  std::optional<std::string> twice;
  std::vector<std::set<std::string>> names; // of the objects that have not ended
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    is_too_deep = is_too_deep || depth > depth_max;
    if (event == nlohmann::json::parse_event_t::object_start)
      names.emplace_back();
    else if (event == nlohmann::json::parse_event_t::object_end)
      names.pop_back();
    else if (event == nlohmann::json::parse_event_t::key &&
             !names.back().insert(value.get<std::string>()).second)
      twice = value.get<std::string>();
    return !is_too_deep;
  };
  try {
    auto parsed = nlohmann::json::parse(text, watch);
    if (is_too_deep)
      return invalid("the body is nested too deeply");
    if (twice)
      return invalid("'" + printable(*twice, shown_size_max) + "' is given twice");
    if (!parsed.is_object())
      return invalid("the body is not a JSON object");
    return body_reader(std::make_unique<impl>(std::move(parsed)));
  } catch (const nlohmann::json::exception& failure) {
    return invalid("the body is not JSON: " + printable(failure.what(), 200));
  }
}

std::string body_reader::text(const char* field, std::size_t size_max, const char* fallback) {
  const auto* value = x_impl->find(field);
  if (value == nullptr) {
    if (fallback != nullptr)
      return fallback;
    x_impl->fail(x_impl->name_of(field) + " is missing");
    return {};
  }
  return x_impl->text_in(*value, x_impl->name_of(field), size_max);
}

std::vector<std::pair<std::string, std::string>>
body_reader::texts_by_name(const char* field, std::size_t count_max, std::size_t size_max) {
  std::vector<std::pair<std::string, std::string>> read;
  const auto* value = x_impl->some(field, nlohmann::json::value_t::object, count_max);
  if (value == nullptr)
    return read;
  for (const auto& [name, one] : value->items()) {
    const auto what = "'" + x_impl->path + field + "." + printable(name, shown_size_max) + "'";
    if (name.size() > size_max)
      x_impl->fail("a name in " + x_impl->name_of(field) + " is longer than " +
                   std::to_string(size_max) + " bytes");
    read.emplace_back(name, x_impl->text_in(one, what, size_max));
  }
  return read;
}

std::vector<std::string> body_reader::texts(const char* field, std::size_t count_max,
                                            std::size_t size_max) {
  std::vector<std::string> read;
  const auto* value = x_impl->some(field, nlohmann::json::value_t::array, count_max);
  if (value == nullptr)
    return read;
  for (const auto& one : *value)
    read.push_back(x_impl->text_in(one, "a member of " + x_impl->name_of(field), size_max));
  return read;
}

std::uint64_t body_reader::number(const char* field, std::uint64_t value_max,
                                  const std::uint64_t* fallback) {
  const auto* value = x_impl->find(field);
  if (value == nullptr) {
    if (fallback != nullptr)
      return *fallback;
    x_impl->fail(x_impl->name_of(field) + " is missing");
    return 0;
  }
  std::uint64_t read = 0;
  bool is_number = value->is_number_unsigned();
  if (is_number)
    read = value->get<std::uint64_t>();
  if (value->is_string()) {
    const auto& digits = value->get_ref<const std::string&>();
    constexpr std::size_t digits_max = 18; // fits 64 bits
    is_number = !digits.empty() && digits.size() <= digits_max &&
                std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
    if (is_number)
      read = std::stoull(digits);
  }
  if (!is_number || read > value_max) {
    x_impl->fail(x_impl->name_of(field) + " is not a whole number of at most " +
                 std::to_string(value_max));
    return 0;
  }
  return read;
}

bool body_reader::has(const char* field) const { return x_impl->find(field) != nullptr; }

bool body_reader::truth(const char* field) {
  const auto* value = x_impl->find(field);
  if (value != nullptr && !value->is_boolean())
    x_impl->fail(x_impl->name_of(field) + " is neither true nor false");
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

std::optional<body_reader> body_reader::object(const char* field) {
  constexpr std::size_t fields_max = 64; // more than any object has
  const auto* value = x_impl->some(field, nlohmann::json::value_t::object, fields_max);
  if (value == nullptr)
    return std::nullopt;
  return body_reader(std::make_unique<impl>(*value, x_impl->path + field + "."));
}

std::vector<body_reader> body_reader::objects(const char* field, std::size_t count_max) {
  std::vector<body_reader> read;
  const auto* value = x_impl->some(field, nlohmann::json::value_t::array, count_max);
  if (value == nullptr)
    return read;
  for (const auto& one : *value) {
    const auto place = x_impl->path + field + "[" + std::to_string(read.size()) + "]";
    if (!one.is_object())
      x_impl->fail("'" + place + "' is not an object");
    read.push_back(body_reader(
        std::make_unique<impl>(one.is_object() ? one : nlohmann::json::object(), place + ".")));
  }
  return read;
}

result<void> body_reader::finish() const {
  if (x_impl->first)
    return *x_impl->first;
  for (const auto& [name, value] : x_impl->object.items())
    if (!x_impl->read.contains(name))
      return invalid("there is no field '" + x_impl->path + printable(name, shown_size_max) +
                     "' here");
  return {};
}

} // namespace orrery::actors
