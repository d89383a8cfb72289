#include "actors/api/call.hpp"

#include "events/core/text.hpp"
#include "events/schema/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

namespace orrery::actors {

namespace {

nlohmann::ordered_json to_object(const google::protobuf::Message& message) {
  return nlohmann::ordered_json::parse(to_json(message));
}

} // namespace

uuid id_in(const std::string& text) {
  const auto underscore = text.find('_');
  const auto parsed = parse_uuid(std::string_view(text).substr(underscore + 1));
  ORRERY_CHECK(parsed.has_value());
  return *parsed;
}

error invalid(std::string text) { return {error_code::invalid_argument, std::move(text), false}; }

std::string position_text(const log_place& place) {
  return to_text(place.where) + "/" + std::to_string(place.seq) +
         (place.entry ? "/" + std::to_string(*place.entry) : std::string());
}

std::string position_text(const projections::log_positions& at) {
  std::string text;
  for (const auto& [where, position] : at.all())
    text += (text.empty() ? "" : ",") + position_text({where, position.seq});
  return text.empty() ? position_text(log_place{}) : text;
}

std::string position_text(const projections::entry_places& at) {
  std::string text;
  for (const auto& [where, place] : at)
    text += (text.empty() ? "" : ",") + position_text({where, place.seq, place.entry});
  return text.empty() ? position_text(log_place{}) : text;
}

namespace {

/// Takes a number and the '/' behind it, if there is one, from the front of `text`.
template <class Number> bool take_number(std::string_view& text, Number& value) {
  const auto slash = std::min(text.find('/'), text.size());
  const auto parsed = std::from_chars(text.data(), text.data() + slash, value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + slash || slash + 1 == text.size())
    return false;
  text.remove_prefix(std::min(slash + 1, text.size()));
  return true;
}

std::optional<log_place> parse_place(std::string_view text) {
  std::uint16_t where = 0;
  log_place place;
  if (!take_number(text, where) || where > partition_number_max || text.empty() ||
      !take_number(text, place.seq))
    return std::nullopt;
  if (!text.empty() && (!take_number(text, place.entry.emplace()) || !text.empty()))
    return std::nullopt;
  place.where = static_cast<partition_number>(where);
  return place;
}

/// Several, with commas between them; nothing when one of them makes no sense.
std::optional<std::vector<log_place>> parse_places(std::string_view text) {
  std::vector<log_place> places;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    const auto place = parse_place(text.substr(begin, end - begin));
    if (!place)
      return std::nullopt;
    places.push_back(*place);
    begin = end + 1;
  }
  return places;
}

} // namespace

result<std::vector<log_place>> parse_position(std::string_view text) {
  auto places = parse_places(text);
  if (!places ||
      std::ranges::any_of(*places, [](const auto& one) { return one.entry.has_value(); }))
    return invalid("'" + printable(text, 40) +
                   "' is not a position: want one like 0/118, or several like 0/118,2/40");
  return std::move(*places);
}

result<projections::entry_places> parse_entry_places(std::string_view text,
                                                     std::size_t partitions) {
  const auto places = parse_places(text);
  projections::entry_places made;
  bool is_good = places.has_value();
  if (places)
    for (const auto& one : *places) {
      const bool is_entry_of_nothing = one.entry && one.seq == 0;
      is_good = is_good && static_cast<std::size_t>(one.where) < partitions &&
                !is_entry_of_nothing &&
                made.try_emplace(one.where, projections::entry_place{one.seq, one.entry}).second;
    }
  if (!is_good)
    return invalid("'" + printable(text, 40) +
                   "' is not a position in this log: want an id that the stream gave, like "
                   "0/118/3,2/40, or an Orrery-Position; 0/0 is the beginning");
  std::erase_if(made, [](const auto& one) { return one.second.seq == 0; });
  return made;
}

void set_position(http::response& made, std::string position) {
  made.headers.push_back({std::string(position_header), std::move(position)});
}

http::response list_response(const char* name,
                             std::span<const google::protobuf::Message* const> items,
                             const std::string& next_token, const projections::log_positions& at) {
  nlohmann::ordered_json body;
  body[name] = nlohmann::ordered_json::array();
  for (const auto* item : items)
    body[name].push_back(to_object(*item));
  if (!next_token.empty())
    body["nextPageToken"] = next_token;
  auto made = json_response(200, body);
  set_position(made, position_text(at));
  return made;
}

http::response row_response(const google::protobuf::Message& row,
                            const projections::log_positions& at) {
  auto made = json_response(200, to_object(row));
  set_position(made, position_text(at));
  return made;
}

result<projections::inventory_filter> api::call::inventory_filter() const {
  auto labels = projections::parse_labels(parameter("label"));
  if (!labels)
    return labels.error();
  return projections::inventory_filter{parameter("cluster"), parameter("name"), std::move(*labels)};
}

std::string api::call::parameter(const char* which) const {
  const auto* value = request.parameter(which);
  return value == nullptr ? std::string() : *value;
}

result<void> api::call::only(const std::vector<std::string_view>& allowed) const {
  for (auto one = request.query.begin(); one != request.query.end(); ++one) {
    if (std::ranges::find(allowed, std::string_view(one->name)) == allowed.end())
      return invalid("there is no parameter '" + printable(one->name, 40) + "' here");
    if (one->value.empty())
      return invalid("parameter '" + one->name + "' is empty: say what is wanted, or leave it out");
    if (std::find_if(request.query.begin(), one,
                     [one](const auto& before) { return before.name == one->name; }) != one)
      return invalid("parameter '" + one->name + "' is given twice: say it once");
  }
  return {};
}

result<projections::as_of> api::call::as_of() const {
  projections::as_of when;
  const auto text = parameter("asOf");
  if (text.empty())
    return when;
  if (text.find('/') == std::string::npos) {
    const auto time = parse_time(text);
    if (!time)
      return invalid("asOf: '" + printable(text, 40) +
                     "' is neither a time (2026-11-28T12:00:00Z) nor a position (1/118)");
    when.time = *time;
    return when;
  }
  const auto places = parse_position(text);
  if (!places)
    return places.error();
  for (const auto& place : *places)
    when.position.set(place.where, {place.seq, {}});
  if (when.is_now())
    return invalid("asOf: '" + printable(text, 40) + "' is before everything");
  return when;
}

result<projections::page> api::call::page() const {
  projections::page wanted;
  wanted.token = parameter("pageToken");
  if (const auto size = parameter("pageSize"); !size.empty()) {
    const auto [end, failed] = std::from_chars(size.data(), size.data() + size.size(), wanted.size);
    if (failed != std::errc() || end != size.data() + size.size())
      return invalid("pageSize '" + printable(size, 20) + "' is not a number");
  }
  return wanted;
}

} // namespace orrery::actors
