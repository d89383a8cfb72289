#include "tools/orrery/labels.hpp"

#include "tools/orrery/failure.hpp"

#include <algorithm>
#include <utility>

namespace orrery::cli {

namespace {

/// Sets a label that was not said before.
void set_once(json& set, const std::string& key, const std::string& value) {
  if (std::ranges::find(set.names, key) != set.names.end())
    throw failure(exit_code::usage, "usage", "the label '" + key + "' is said twice: say it once");
  set.set(key, json::of(value));
}

failure not_a_label(const std::string& said, const char* wanted) {
  return {exit_code::usage, "usage", "'" + said + "' is no label: want " + wanted};
}

} // namespace

json labels_to_change(const std::vector<std::string>& said) {
  auto set = json::object();
  auto remove = json::list();
  for (const auto& one : said) {
    const auto equals = one.find('=');
    if (equals != std::string::npos)
      set_once(set, one.substr(0, equals), one.substr(equals + 1));
    else if (one.size() > 1 && one.ends_with('-'))
      remove.items.push_back(json::of(one.substr(0, one.size() - 1)));
    else
      throw not_a_label(one, "KEY=VALUE, or KEY- to remove it");
  }
  auto made = json::object();
  if (!set.items.empty())
    made.set("set", std::move(set));
  if (!remove.items.empty())
    made.set("remove", std::move(remove));
  return made;
}

json labels_to_have(const std::vector<std::string>& said) {
  auto made = json::object();
  for (const auto& one : said) {
    const auto equals = one.find('=');
    if (equals == std::string::npos)
      throw not_a_label(one, "KEY=VALUE");
    set_once(made, one.substr(0, equals), one.substr(equals + 1));
  }
  return made;
}

} // namespace orrery::cli
