#include "actors/hypervisors/upstream_settings.hpp"

#include "events/core/text.hpp"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

namespace orrery::actors {

namespace {

error refused(std::string text) { return {error_code::invalid_argument, std::move(text), false}; }

/// The password behind the name of a secret; none without a name.
result<std::string> password_of(const std::string& name, const secret_reader& secret) {
  if (name.empty())
    return std::string();
  if (!is_secret_name(name))
    return refused("'" + printable(name, secret_name_size_max) +
                   "' cannot be the name of a secret: want 1 to 63 of a-z, A-Z, 0-9, '.', '_' and "
                   "'-', no '.' first");
  return secret(name);
}

result<pvip::bgp_upstream> protocol_of(const v1::Upstream::Bgp& said, const secret_reader& secret) {
  pvip::bgp_upstream made;
  made.as = said.as();
  made.hold_time = std::chrono::seconds(said.hold_seconds());
  for (const auto& router : said.routers()) {
    const auto address = parse_ip_address(router.address());
    if (!address)
      return refused("a router: " + address.error().text);
    auto password = password_of(router.secret(), secret);
    if (!password)
      return password.error();
    made.neighbours.push_back({*address, router.as(), std::move(*password)});
  }
  return made;
}

result<pvip::ospf_upstream> protocol_of(const v1::Upstream& whole, const v1::Upstream::Ospf& said,
                                        const secret_reader& secret) {
  const auto area = parse_ipv4(said.area());
  if (!area)
    return area.error();
  auto password = password_of(said.secret(), secret);
  if (!password)
    return password.error();
  return pvip::ospf_upstream{*area,
                             whole.uplink(),
                             std::chrono::seconds(said.hello_seconds()),
                             std::chrono::seconds(said.dead_seconds()),
                             std::move(*password),
                             said.ipv6()};
}

template <class Protocol>
result<std::optional<pvip::upstream>> routed(const upstream_wish& wish, result<Protocol> protocol) {
  if (!protocol)
    return protocol.error();
  const auto& said = *wish.said;
  if (auto checked = pvip::check_uplink(said.uplink()); !checked)
    return checked.error();
  const pvip::routed_upstream made{.own_address = {},
                                   .protocol = *std::move(protocol),
                                   .learns_default = said.learn_default(),
                                   .learned_within = wish.guests};
  if (auto checked = pvip::check(made); !checked)
    return checked.error();
  return std::optional<pvip::upstream>(made);
}

} // namespace

bool operator==(const upstream_wish& left, const upstream_wish& right) {
  return left.guests == right.guests &&
         (left.said == right.said ||
          google::protobuf::util::MessageDifferencer::Equals(*left.said, *right.said));
}

upstream_wish wish_of(const domain::cluster_state& cluster) {
  upstream_wish made{cluster.upstream, {}};
  if (cluster.upstream->learn_guests())
    cluster.networks.for_each([&made](const uuid&, const domain::cluster_network& network) {
      made.guests.push_back({network.prefix.base, network.prefix.length});
      if (network.prefix6)
        made.guests.push_back({network.prefix6->base, network.prefix6->length});
    });
  std::ranges::sort(made.guests);
  return made;
}

bool is_secret_name(std::string_view name) {
  return !name.empty() && name.size() <= secret_name_size_max && name.front() != '.' &&
         std::ranges::all_of(name, is_plain);
}

result<std::optional<pvip::upstream>> upstream_of(const upstream_wish& wish,
                                                  const secret_reader& secret) {
  const auto& said = *wish.said;
  switch (said.protocol_case()) {
  case v1::Upstream::kBgp:
    return routed(wish, protocol_of(said.bgp(), secret));
  case v1::Upstream::kOspf:
    return routed(wish, protocol_of(said, said.ospf(), secret));
  case v1::Upstream::kArp: {
    pvip::upstream made = pvip::static_arp_upstream{said.uplink()};
    if (auto checked = pvip::check(made); !checked)
      return checked.error();
    return std::optional(std::move(made));
  }
  case v1::Upstream::PROTOCOL_NOT_SET:
    break;
  }
  return std::optional<pvip::upstream>();
}

result<v1::Upstream> completed(v1::Upstream said) {
  const auto seconds = [](std::chrono::seconds of) {
    return static_cast<std::uint32_t>(of.count());
  };
  if (said.has_bgp() && said.bgp().hold_seconds() == 0)
    said.mutable_bgp()->set_hold_seconds(seconds(pvip::bgp_upstream{}.hold_time));
  if (said.has_ospf()) {
    auto& ospf = *said.mutable_ospf();
    if (ospf.area().empty())
      ospf.set_area(to_text(pvip::ospf_upstream{}.area));
    if (ospf.hello_seconds() == 0)
      ospf.set_hello_seconds(seconds(pvip::ospf_upstream{}.hello));
    if (ospf.dead_seconds() == 0)
      ospf.set_dead_seconds(seconds(pvip::ospf_upstream{}.dead));
  }
  const bool is_routed = said.has_bgp() || said.has_ospf();
  if (!is_routed && (said.learn_default() || said.learn_guests()))
    return refused("routes are learned from routers with BGP and OSPF only");
  if (said.protocol_case() == v1::Upstream::PROTOCOL_NOT_SET && !said.uplink().empty())
    return refused("an uplink is given, but none of arp, bgp and ospf");
  const auto no_password = [](const std::string&) { return result(std::string()); };
  const auto checked = upstream_of({std::make_shared<const v1::Upstream>(said), {}}, no_password);
  if (!checked)
    return checked.error();
  return said;
}

} // namespace orrery::actors
