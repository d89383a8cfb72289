#include "pvip/apply/comparison.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace orrery::pvip {

std::string gateway_text(const ip_address& address, std::string_view link) {
  return "gateway " + to_text(address) +
         (link == loopback ? std::string() : " on " + std::string(link));
}

wanted_address as_wanted(const found_address& address) {
  return {.address = address.address, .length = address.length, .link = address.link};
}

std::vector<wanted_address> comparison::missing_addresses() const {
  std::set<std::pair<std::string_view, ip_address>> held;
  for (const found_address& address : x_found.addresses) {
    held.emplace(address.link, address.address);
  }
  std::vector<wanted_address> missing;
  std::ranges::copy_if(x_wanted.local_addresses, std::back_inserter(missing),
                       [&](const wanted_address& w) {
                         return !held.contains({std::string_view(w.link), w.address});
                       });
  return missing;
}

void comparison::add_gateways() {
  for (const wanted_address& gateway : missing_addresses()) {
    if (gateway.link != loopback) {
      continue;
    }
    const std::string object = gateway_text(gateway.address, gateway.link);
    // Missing while a link already names it: somebody took it away.
    std::string sentence;
    for (const found_link& link : x_found.links) {
      const auto named = gateway_in_mark(link.alias);
      if (is_marked(link, x_prefix) && named && ip_address(*named) == gateway.address) {
        sentence = object + " was missing on lo";
      }
    }
    add(add_address{gateway}, object, {}, change::added, std::move(sentence));
  }
}

void comparison::add_gateways_on_links() {
  for (const wanted_address& gateway : missing_addresses()) {
    if (gateway.link == loopback || is_taken(gateway.link)) {
      continue;
    }
    const std::string object = gateway_text(gateway.address, gateway.link);
    const bool fresh = existing(gateway.link) == nullptr;
    add(add_address{gateway}, object, gateway.link, change::added,
        fresh ? std::string() : object + " was missing");
  }
}

void comparison::remove_gateways() {
  for (const found_address& address : x_found.addresses) {
    if (address.link == loopback) {
      remove_unwanted(address);
    }
  }
}

void comparison::remove_gateways_on_links() {
  for (const found_address& address : x_found.addresses) {
    if (x_wanted_names.contains(address.link) && is_judged(address.link)) {
      remove_unwanted(address);
    }
  }
}

void comparison::remove_unwanted(const found_address& address) {
  if (address.ours && !std::ranges::binary_search(x_wanted.local_addresses, as_wanted(address))) {
    const std::string object = gateway_text(address.address, address.link);
    add(remove_address{as_wanted(address)}, object, {}, change::removed,
        object + " is wanted by nobody");
  }
}

} // namespace orrery::pvip
