#include "actors/api/call.hpp"

#include "events/core/text.hpp"
#include "events/schema/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace orrery::actors {

namespace {

nlohmann::ordered_json to_object(const google::protobuf::Message& message) {
  return nlohmann::ordered_json::parse(to_json(message));
}

} // namespace

error invalid(std::string text) { return {error_code::invalid_argument, std::move(text), false}; }

std::string position_text(std::uint64_t seq) { return "0/" + std::to_string(seq); }

void set_position(http::response& made, std::uint64_t seq) {
  made.headers.push_back({"Orrery-Position", position_text(seq)});
}

http::response list_response(const char* name,
                             std::span<const google::protobuf::Message* const> items,
                             const std::string& next_token, std::uint64_t seq) {
  nlohmann::ordered_json body;
  body[name] = nlohmann::ordered_json::array();
  for (const auto* item : items)
    body[name].push_back(to_object(*item));
  if (!next_token.empty())
    body["nextPageToken"] = next_token;
  auto made = json_response(200, body);
  set_position(made, seq);
  return made;
}

http::response row_response(const google::protobuf::Message& row, std::uint64_t seq) {
  auto made = json_response(200, to_object(row));
  set_position(made, seq);
  return made;
}

std::string api::call::parameter(const char* which) const {
  const auto* value = request.parameter(which);
  return value == nullptr ? std::string() : *value;
}

result<projections::page> api::call::page(std::initializer_list<std::string_view> allowed) const {
  projections::page wanted;
  for (const auto& [key, value] : request.query) {
    if (key == "pageToken") {
      wanted.token = value;
    } else if (key == "pageSize") {
      const auto [end, failed] =
          std::from_chars(value.data(), value.data() + value.size(), wanted.size);
      if (failed != std::errc() || end != value.data() + value.size())
        return invalid("pageSize '" + printable(value, 20) + "' is not a number");
    } else if (std::ranges::find(allowed, key) == allowed.end()) {
      return invalid("there is no parameter '" + printable(key, 40) + "' here");
    }
  }
  return wanted;
}

} // namespace orrery::actors
