#include "pvip/plan/pvip.hpp"

#include <algorithm>

namespace orrery::pvip {

host_state plan_pvip(const std::vector<port>& ports) {
  host_state wanted;
  for (const port& each : ports) {
    wanted.links.push_back(
        {.name = each.link, .owner_uid = each.tap_owner_uid, .gateway = each.gateway});
    if (each.announced) {
      wanted.routes.push_back({.destination = each.address, .link = each.link});
    }
    if (each.announced && !each.arp_uplink.empty()) {
      wanted.proxies.push_back(
          {.address = each.address, .uplink = each.arp_uplink, .link = each.link});
    }
    // Permanent, so that the node never asks the guest and no guest can poison the entry.
    wanted.neighbours.push_back({.address = each.address, .mac = each.mac, .link = each.link});
    wanted.local_addresses.push_back(each.gateway);
    wanted.filter.push_back(
        {.link = each.link, .set = filter_set::mac, .value = to_text(each.mac)});
    wanted.filter.push_back(
        {.link = each.link, .set = filter_set::address, .value = to_text(each.address)});
  }
  std::ranges::sort(wanted.links);
  std::ranges::sort(wanted.routes);
  std::ranges::sort(wanted.neighbours);
  std::ranges::sort(wanted.proxies);
  std::ranges::sort(wanted.local_addresses);
  std::ranges::sort(wanted.filter);
  const auto end = std::unique(wanted.local_addresses.begin(), wanted.local_addresses.end());
  wanted.local_addresses.erase(end, wanted.local_addresses.end());
  return wanted;
}

} // namespace orrery::pvip
