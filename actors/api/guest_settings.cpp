#include "actors/api/guest_settings.hpp"

#include "actors/api/call.hpp"
#include "events/core/guest_port.hpp"
#include "events/domain/guest_settings.hpp"

#include <string>
#include <utility>

namespace orrery::actors {

result<void> read_guests(body_reader& body, v1::NetworkCommand& into) {
  constexpr std::size_t address_text_size_max = 45; // the longest way to write an IPv6 address
  auto& made = *into.mutable_set_guests();
  if (body.has("mtu"))
    made.set_mtu(static_cast<std::uint32_t>(body.number("mtu", guest_mtu)));
  if (body.has("nameServers")) {
    auto* servers = made.mutable_name_servers();
    for (const auto& text :
         body.texts("nameServers", 2 * name_servers_max, address_text_size_max)) {
      const auto address = parse_ip_address(text);
      if (!address)
        return address.error();
      domain::add(*servers, *address);
    }
  }
  if (body.has("classlessRoutes"))
    made.set_classless_routes(body.truth("classlessRoutes"));
  return {};
}

void api::set_guests(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  v1::NetworkCommand wanted;
  const auto guests = read_guests(*body, wanted);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  if (!guests)
    return made.fail(guests.error());
  change_network(made, std::move(wanted), "network.set_guests");
}

} // namespace orrery::actors
