#include "tools/orrery/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace orrery::cli {

namespace {

/// Builds the tree from the parser's calls. `x_open` are the containers that are not closed.
class builder : public nlohmann::json_sax<nlohmann::json> {
public:
  json root;

  bool null() override { return add(json()); }

  bool boolean(bool value) override { return add(json::of(value)); }

  bool number_integer(number_integer_t value) override { return number(std::to_string(value)); }

  bool number_unsigned(number_unsigned_t value) override { return number(std::to_string(value)); }

  bool number_float(number_float_t /*value*/, const string_t& written) override {
    return number(written);
  }

  bool string(string_t& value) override { return add(json::of(std::string_view(value))); }

  bool binary(binary_t& /*value*/) override { return false; }

  bool start_object(std::size_t /*elements*/) override { return open(json::object()); }

  bool key(string_t& value) override {
    x_open.back().names.push_back(value);
    return true;
  }

  bool end_object() override { return close(); }

  bool start_array(std::size_t /*elements*/) override { return open(json::list()); }

  bool end_array() override { return close(); }

  bool parse_error(std::size_t /*position*/, const std::string& /*last_token*/,
                   const nlohmann::detail::exception& /*why*/) override {
    return false;
  }

private:
  bool number(std::string written) {
    json made;
    made.type = json::kind::number;
    made.scalar = std::move(written);
    return add(std::move(made));
  }

  bool add(json value) {
    if (x_open.empty())
      root = std::move(value);
    else
      x_open.back().items.push_back(std::move(value));
    return true;
  }

  bool open(json container) {
    if (x_open.size() == json_depth_max)
      return false;
    x_open.push_back(std::move(container));
    return true;
  }

  bool close() {
    auto done = std::move(x_open.back());
    x_open.pop_back();
    return add(std::move(done));
  }

  std::vector<json> x_open;
};

std::string in_quotes(std::string_view text) {
  std::string made = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are two bytes, the first 0xc2; some terminals obey them.
    const bool c1 =
        c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c == '"' || c == '\\') {
      made += '\\';
      made += text[i];
    } else if (c == '\n') {
      made += "\\n";
    } else if (c == '\t') {
      made += "\\t";
    } else if (c < 0x20 || c == 0x7f || c1) {
      if (c1)
        ++i;
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x",
                    static_cast<unsigned>(static_cast<unsigned char>(text[i])));
      made += escape.data();
    } else {
      made += text[i];
    }
  }
  return made + "\"";
}

void add_json(std::string& out, const json& value, json_layout layout, std::size_t depth) {
  const bool indented = layout == json_layout::indented;
  const auto line = [&](std::size_t level) {
    if (indented)
      out += "\n" + std::string(2 * level, ' ');
  };
  switch (value.type) {
  case json::kind::null:
    out += "null";
    return;
  case json::kind::boolean:
  case json::kind::number:
    out += value.scalar;
    return;
  case json::kind::text:
    out += in_quotes(value.scalar);
    return;
  case json::kind::list:
  case json::kind::object:
    break;
  }
  out += value.is_object() ? "{" : "[";
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    if (i > 0)
      out += ",";
    line(depth + 1);
    if (value.is_object())
      out += in_quotes(value.names[i]) + (indented ? ": " : ":");
    add_json(out, value.items[i], layout, depth + 1);
  }
  if (!value.items.empty())
    line(depth);
  out += value.is_object() ? "}" : "]";
}

/// True for a text that YAML (1.1 readers too) takes as the text it is, without quotes.
bool plain_in_yaml(std::string_view text) {
  static constexpr std::array<std::string_view, 9> words{"y",   "n",    "yes",   "no",  "on",
                                                         "off", "true", "false", "null"};
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !letter(text.front()))
    return false;
  const bool safe = std::ranges::all_of(text, [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '/';
  });
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return safe && std::ranges::find(words, lower) == words.end();
}

std::string yaml_text(std::string_view text) {
  return plain_in_yaml(text) ? std::string(text) : in_quotes(text);
}

/// Adds `value` after "name:" or "-" (which `out` ends with) and ends the line.
void add_yaml(std::string& out, const json& value, std::size_t indent) {
  if (value.type == json::kind::null) {
    out += " null\n";
    return;
  }
  if (!value.is_list() && !value.is_object()) {
    out += " " + (value.type == json::kind::text ? yaml_text(value.scalar) : value.scalar) + "\n";
    return;
  }
  if (value.items.empty()) {
    out += value.is_list() ? " []\n" : " {}\n";
    return;
  }
  out += "\n";
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    out += std::string(indent, ' ');
    if (value.is_object()) {
      out += yaml_text(value.names[i]) + ":";
      add_yaml(out, value.items[i], indent + 2);
      continue;
    }
    std::string item;
    add_yaml(item, value.items[i], indent + 2);
    // The first line of a container stands behind the dash instead of below it.
    out += item.front() == '\n' ? "- " + item.substr(indent + 3) : "-" + item;
  }
}

const json* member_of(const json& object, std::string_view name) {
  const auto found = std::ranges::find(object.names, name);
  if (found == object.names.end())
    return nullptr;
  return &object.items[static_cast<std::size_t>(found - object.names.begin())];
}

const json* item_of(const json& list, std::string_view number) {
  std::size_t at = 0;
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), at);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == number.data() + number.size();
  return whole && at < list.items.size() ? &list.items[at] : nullptr;
}

} // namespace

json json::of(std::string_view text) {
  json made;
  made.type = kind::text;
  made.scalar = text;
  return made;
}

json json::of(std::uint64_t number) {
  json made;
  made.type = kind::number;
  made.scalar = std::to_string(number);
  return made;
}

json json::of(bool value) {
  json made;
  made.type = kind::boolean;
  made.scalar = value ? "true" : "false";
  return made;
}

json json::list() {
  json made;
  made.type = kind::list;
  return made;
}

json json::object() {
  json made;
  made.type = kind::object;
  return made;
}

json& json::set(std::string_view name, json value) {
  names.emplace_back(name);
  items.push_back(std::move(value));
  return *this;
}

const json& json::at(std::string_view path) const {
  static const json missing;
  const json* here = this;
  while (!path.empty()) {
    const auto name = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    here = here->is_list() ? item_of(*here, name) : member_of(*here, name);
    if (here == nullptr)
      return missing;
  }
  return *here;
}

std::string json::text() const {
  switch (type) {
  case kind::null:
    return {};
  case kind::boolean:
  case kind::number:
  case kind::text:
    return scalar;
  case kind::list:
  case kind::object:
    break;
  }
  return to_json(*this, json_layout::compact);
}

result<json> parse_json(std::string_view text) {
  builder made;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &made))
    return error{error_code::invalid_argument, "this is not JSON, or it is nested too deep", false};
  return std::move(made.root);
}

std::string to_json(const json& value, json_layout layout) {
  std::string made;
  add_json(made, value, layout, 0);
  return made;
}

std::string to_yaml(const json& value) {
  std::string made;
  add_yaml(made, value, 0);
  // What stands alone has no "name:" before it: take the blank or the line break away.
  return made.substr(1);
}

} // namespace orrery::cli
