#include "actors/api/body.hpp"
#include "actors/api/call.hpp"
#include "actors/hypervisors/upstream_settings.hpp"

#include <limits>
#include <utility>

// POST /v1/clusters/{name}:setUpstream

namespace orrery::actors {

namespace {

/// An address, or the name of a link or a secret, each of which has a lower limit of its own.
constexpr std::size_t text_size_max = 64;

std::uint32_t number_in(body_reader& from, const char* field) {
  constexpr std::uint64_t none = 0;
  return static_cast<std::uint32_t>(
      from.number(field, std::numeric_limits<std::uint32_t>::max(), &none));
}

result<void> read_bgp(body_reader& from, v1::Upstream::Bgp& into) {
  into.set_as(number_in(from, "as"));
  into.set_hold_seconds(number_in(from, "holdSeconds"));
  for (auto& one : from.objects("routers", pvip::bgp_neighbours_max)) {
    auto* router = into.add_routers();
    router->set_address(one.text("address", text_size_max));
    router->set_as(number_in(one, "as"));
    router->set_secret(one.text("secret", text_size_max, ""));
    if (auto read = one.finish(); !read)
      return read;
  }
  return from.finish();
}

result<void> read_ospf(body_reader& from, v1::Upstream::Ospf& into) {
  into.set_area(from.text("area", text_size_max, ""));
  into.set_hello_seconds(number_in(from, "helloSeconds"));
  into.set_dead_seconds(number_in(from, "deadSeconds"));
  into.set_secret(from.text("secret", text_size_max, ""));
  into.set_ipv6(from.truth("ipv6"));
  return from.finish();
}

result<v1::Upstream> read_upstream(std::string_view text) {
  auto body = body_reader::parse(text);
  if (!body)
    return body.error();
  v1::Upstream said;
  said.set_uplink(body->text("uplink", text_size_max, ""));
  said.set_learn_default(body->truth("learnDefault"));
  said.set_learn_guests(body->truth("learnGuests"));
  auto arp = body->object("arp");
  auto bgp = body->object("bgp");
  auto ospf = body->object("ospf");
  if (arp.has_value() + bgp.has_value() + ospf.has_value() > 1)
    return error{error_code::invalid_argument, "give one of 'arp', 'bgp' and 'ospf'", false};
  result<void> read;
  if (arp) {
    said.mutable_arp();
    read = arp->finish();
  } else if (bgp) {
    read = read_bgp(*bgp, *said.mutable_bgp());
  } else if (ospf) {
    read = read_ospf(*ospf, *said.mutable_ospf());
  }
  if (read)
    read = body->finish();
  return read ? result<v1::Upstream>(std::move(said)) : read.error();
}

} // namespace

void api::set_upstream(call& made) {
  constexpr const char* kind = "cluster.set_upstream";
  auto said = read_upstream(made.request.body);
  if (!said)
    return made.fail(said.error());
  auto wanted = completed(*std::move(said));
  if (!wanted)
    return made.fail(wanted.error());
  const auto found = x_services.store->find_cluster(made.name);
  if (!found)
    return fail_unless_repeated(made, found.error(), kind);
  auto command = new_command(id_in(found->value.id()));
  *command.mutable_cluster()->mutable_set_upstream()->mutable_upstream() = std::move(*wanted);
  send_command(made, std::move(command), kind, found->value.name());
}

void api::act_on_cluster(call& made) {
  if (made.verb == "setUpstream")
    return set_upstream(made);
  set_cluster_labels(made);
}

} // namespace orrery::actors
