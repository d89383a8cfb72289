#pragma once

#include "actors/api/api.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What the routes of the API have in common; for the folder's own files.

namespace orrery::actors {

[[nodiscard]] error invalid(std::string text);

/// The uuid in a view's id text.
[[nodiscard]] uuid id_in(const std::string& text);

/// `Json` is nlohmann's, whose header stays in the .cpp files. Texts from hypervisors were made
/// printable on their way in; anything else that is not UTF-8 is replaced, never thrown.
template <class Json> [[nodiscard]] http::response json_response(int status, const Json& body) {
  http::response made;
  made.status = status;
  made.body = body.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return made;
}

/// A record of a partition's log, or one of its entries on the timeline.
struct log_place {
  partition_number where{};
  std::uint64_t seq = 0;
  std::optional<std::uint32_t> entry = {};
};

/// As people and clients see a place in the log: "0/118", or "0/118/3" with the entry, and one in
/// each partition: "0/118,2/40".
[[nodiscard]] std::string position_text(const log_place& place);
[[nodiscard]] std::string position_text(const projections::log_positions& at);
[[nodiscard]] std::string position_text(const projections::entry_places& at);

/// Reads those without entries. Errors: `invalid_argument`.
[[nodiscard]] result<std::vector<log_place>> parse_position(std::string_view text);

/// Reads the places up to which a watcher knows the timeline, with or without entries, at most one
/// for each of so many partitions. Errors: `invalid_argument`.
[[nodiscard]] result<projections::entry_places> parse_entry_places(std::string_view text,
                                                                   std::size_t partitions);

/// Says up to which records an answer is right.
inline constexpr std::string_view position_header = "Orrery-Position";

void set_position(http::response& made, std::string position);

[[nodiscard]] http::response list_response(const char* name,
                                           std::span<const google::protobuf::Message* const> items,
                                           const std::string& next_token,
                                           const projections::log_positions& at);

[[nodiscard]] http::response row_response(const google::protobuf::Message& row,
                                          const projections::log_positions& at);

/// One request on its way through a route.
struct api::call {
  http::request request;
  http::responder respond;
  std::string name; ///< what stands for {name} in the path
  std::string verb; ///< what stands behind a colon

  void send(http::response made) const { respond(std::move(made)); }

  void fail(const error& why) const { respond(http::problem_response(why, request.path)); }

  template <class Row>
  void send(const char* list, const result<projections::listing<Row>>& found) const {
    if (!found)
      return fail(found.error());
    std::vector<const google::protobuf::Message*> items;
    for (const auto& item : found->items)
      items.push_back(&item);
    send(list_response(list, items, found->next_token, found->at));
  }

  template <class Row> void send(const result<projections::answer<Row>>& found) const {
    if (found)
      send(row_response(found->value, found->at));
    else
      fail(found.error());
  }

  [[nodiscard]] std::string parameter(const char* which) const;

  /// What `cluster`, `name` and `label` ask of a list. Errors: `invalid_argument`.
  [[nodiscard]] result<projections::inventory_filter> inventory_filter() const;

  /// The moment that `asOf` names, now when there is none. Errors: `invalid_argument`.
  [[nodiscard]] result<projections::as_of> as_of() const;

  /// Errors: `invalid_argument` when there is another parameter than these, an empty one, or one
  /// twice.
  [[nodiscard]] result<void> only(const std::vector<std::string_view>& allowed) const;

  /// The paging parameters. Errors: `invalid_argument`.
  [[nodiscard]] result<projections::page> page() const;
};

} // namespace orrery::actors
