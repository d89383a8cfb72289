#include "tests/pvip/order_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

TEST(pvip_order, what_is_not_ours_stays_as_it_is) {
  memory_kernel on;
  add_foreign(on.state());
  const auto sizes = [&] {
    return std::vector<std::size_t>{on.state().links.size(), on.state().routes.size(),
                                    on.state().neighbours.size(), on.state().addresses.size()};
  };
  const auto before = sizes();
  must_converge(on, ports_up_to(4));
  must_converge(on, {});
  EXPECT_EQ(sizes(), before);
  for (const char* name : {"vpn0", "vptap", "tap7"}) {
    EXPECT_NE(std::ranges::find(on.state().links, name, &found_link::name), on.state().links.end());
  }
}

/// Of one link of ours: it or what stands on it.
void damage_links(found_state& state, std::mt19937& random) {
  for (found_link& link : state.links) {
    if (!link.alias.starts_with("orrery") || !link.name.starts_with(prefix)) {
      continue;
    }
    switch (random() % 12) {
    case 0:
      link.mac.bytes[5] ^= 1;
      break;
    case 1:
      link.up = false;
      std::erase_if(state.routes, [&](const found_route& r) { return r.link == link.name; });
      std::erase_if(state.addresses, [&](const found_address& a) { return a.link == link.name; });
      break;
    case 2:
      link.owner_uid.reset();
      break;
    case 3:
      link.settings[random() % link.settings.size()] = "7";
      break;
    case 4:
      link.makes_addresses = true;
      break;
    case 5:
      state.filter.ports.erase(link.name);
      break;
    case 6:
      state.filter.ports[link.name].is_chain_right = false;
      break;
    case 7:
      state.filter.ports[link.name].elements.assign(
          1, {.link = link.name, .set = filter_set::address, .value = "10.99.0.77"});
      break;
    default:
      break;
    }
  }
}

/// Damages the state at random, as an operator, another program or a crash may.
void damage(found_state& state, std::mt19937& random) {
  damage_links(state, random);
  constexpr std::array bases{base_state::missing, base_state::changed, base_state::broken,
                             base_state::right,   base_state::right,   base_state::right};
  state.filter.base = bases[random() % bases.size()];
  if (state.filter.base == base_state::missing) {
    state.filter.ports.clear();
  } else if (random() % 3 == 0) {
    state.filter.ports["vpnobodys"].has_chain = true;
  }
  const auto lose = [&random](const auto& object) {
    (void)object;
    return random() % 10 == 0;
  };
  std::erase_if(state.links, [&](const found_link& l) {
    return l.index < foreign_index && l.index > 1 && lose(l);
  });
  std::erase_if(state.addresses, [&](const found_address& a) { // they go with their link
    return std::ranges::find(state.links, a.link, &found_link::name) == state.links.end();
  });
  std::erase_if(state.routes, [&](const found_route& r) { return r.is_ours() && lose(r); });
  for (found_route& route : state.routes) {
    if (route.is_ours() && random() % 8 == 0) {
      route.protocol = random() % 2 == 0 ? route_protocol : untold_route_protocol;
    }
  }
  std::erase_if(state.proxies, lose);
  for (found_proxy& proxy : state.proxies) {
    proxy.prompt = random() % 8 != 0;
  }
  std::erase_if(state.addresses,
                [&](const found_address& a) { return a.ours && a.link != "vpn0" && lose(a); });
  for (found_neighbour& neighbour : state.neighbours) {
    if (neighbour.link != "vpn0" && random() % 8 == 0) {
      neighbour.permanent = !neighbour.permanent;
      neighbour.mac.bytes[1] ^= static_cast<std::uint8_t>(random() % 2);
    }
  }
  for (const found_link& link : std::vector<found_link>(state.links)) {
    if (random() % 10 == 0) {
      state.routes.push_back({.destination = {ipv4{static_cast<std::uint32_t>(random())},
                                              static_cast<std::uint8_t>(random() % 33)},
                              .protocol = route_protocol,
                              .link = link.name});
    }
  }
}

TEST(pvip_order, from_any_damage_it_comes_back_and_then_rests) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  memory_kernel on;
  add_foreign(on.state());
  for (int round = 0; round < 200; ++round) {
    std::vector<port> wanted;
    for (std::uint16_t n = 2; n < 30; ++n) {
      if (random() % 2 == 0) {
        wanted.push_back(port_number(n));
        wanted.back().gateway.bits = 0x0a640001U + (n % 3U);
        wanted.back().announced = random() % 5 != 0;
        wanted.back().awaited = !wanted.back().announced && random() % 2 == 0;
        if (!wanted.back().awaited && random() % 4 == 0) {
          wanted.back().tail = next_node{.address = {0xc0000200U + n}, .address6 = ipv6{{0x20, 1}}};
        }
        if (random() % 3 == 0) {
          wanted.back().bits_a_second_max = guest_rate_min + random() % 1'000;
        }
        if (random() % 2 == 0) {
          wanted.back().address6 = port6_number(n).address6;
          if (random() % 2 == 0) {
            wanted.back().more_addresses = wide_port_number(n).more_addresses;
            wanted.back().routed_prefixes = wide_port_number(n).routed_prefixes;
          }
        }
        wanted.back().arp_uplink = random() % 2 == 0 ? uplink : "";
      }
    }
    std::size_t routed = 0;
    std::size_t on_links = 0;
    std::vector<ip_address> answered;
    for (const port& each : wanted) {
      const std::size_t count = addresses_of(each).size() + each.routed_prefixes.size();
      routed += each.announced || each.awaited || each.tail ? count : 0;
      on_links += each.address6 ? 1U : 0U;
      if (each.announced && !each.tail && !each.arp_uplink.empty()) {
        std::ranges::copy(addresses_of(each), std::back_inserter(answered));
      }
    }
    std::ranges::sort(answered);
    must_converge(on, wanted);
    const auto rest = must_converge(on, wanted);
    expect_answered(on.state(), answered);
    ASSERT_EQ(rest.added + rest.repaired + rest.removed, 0U);
    ASSERT_EQ(on.state().links.size(), wanted.size() + 4);
    ASSERT_EQ(on.state().routes.size(), routed + 2);
    ASSERT_EQ(on_links, static_cast<std::size_t>(
                            std::ranges::count_if(on.state().addresses, [](const found_address& a) {
                              return a.ours && a.link.starts_with("vp0");
                            })));
    expect_filtered(on.state().filter, wanted);
    damage(on.state(), random);
  }
}

} // namespace
} // namespace orrery::pvip
