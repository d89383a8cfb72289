#include "events/domain/addressing.hpp"

#include "actors/api/body.hpp"
#include "actors/api/call.hpp"
#include "events/core/net.hpp"

#include <string>
#include <utility>

namespace orrery::actors {

namespace {

/// `ranges` of the body, each with `note`. Errors: `invalid_argument`.
result<domain::address_ranges> read_ranges(body_reader& body, const std::string& note) {
  constexpr std::size_t range_text_size_max = 31; // 255.255.255.255-255.255.255.255
  const auto texts = body.texts("ranges", domain::reserved_ranges_max, range_text_size_max);
  if (auto read = body.finish(); !read)
    return read.error();
  domain::address_ranges made;
  for (const auto& text : texts) {
    const auto addresses = parse_ipv4_range(text);
    if (!addresses)
      return addresses.error();
    domain::add(made, *addresses, note);
  }
  return made;
}

} // namespace

void api::reserve_addresses(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  const auto note = body->text("note", domain::range_note_size_max, "");
  auto read = read_ranges(*body, note);
  if (!read)
    return made.fail(read.error());
  v1::NetworkCommand wanted;
  *wanted.mutable_reserve_ranges()->mutable_ranges() = std::move(*read);
  change_network(made, std::move(wanted), "network.reserve");
}

void api::free_addresses(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  auto read = read_ranges(*body, {});
  if (!read)
    return made.fail(read.error());
  v1::NetworkCommand wanted;
  *wanted.mutable_free_ranges()->mutable_ranges() = std::move(*read);
  change_network(made, std::move(wanted), "network.free");
}

void api::set_quarantine(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  const auto seconds = body->number("seconds", domain::quarantine_seconds_max);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  v1::NetworkCommand wanted;
  wanted.mutable_set_quarantine()->set_seconds(static_cast<std::uint32_t>(seconds));
  change_network(made, std::move(wanted), "network.set_quarantine");
}

void api::act_on_network(call& made) {
  if (made.verb == "reserve")
    return reserve_addresses(made);
  if (made.verb == "free")
    return free_addresses(made);
  if (made.verb == "setQuarantine")
    return set_quarantine(made);
  if (made.verb == "setGuests")
    return set_guests(made);
  set_network_labels(made);
}

} // namespace orrery::actors
