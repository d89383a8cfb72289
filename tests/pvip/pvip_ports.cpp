// The ports of one node, driven by lines on standard input, for tests that play the guests:
//   pvip_ports NAMESPACE HELPER [FOLDER]
//   reconcile [PORT ...]   ->  "ok ADDED REPAIRED REMOVED", a line "drift …" each, "."
//   ensure PORT            ->  "ok", "."
//   remove LINK            ->  "ok", "."
//   traffic LINK           ->  "ok", a line "PREFIX SENT BYTES RECEIVED BYTES" each, "."
//   SERVICE LINK           ->  "ok", a line "OUTCOME COUNT" for each that was, "."
//   bgp OWN,OWN6 AS HOLD LEARNED NEIGHBOUR,AS,PASSWORD ...   ->  "ok", "."
//   ospf OWN,OWN6 UPLINK LEARNED PASSWORD                    ->  "ok", ".", with OSPFv3, too
//   neighbours             ->  "ok", a line "ADDRESS established|not WORDS" each, "."
//   stop                   ->  "ok", "."
// or "error …", ".". A PORT is LINK,MAC,ADDRESS,GATEWAY of a /24, and may go on with ",mtu=NUMBER",
// ",dns=ADDRESS" (again for more), ",classless", ",uplink=LINK" (ARP is answered there), ",quiet"
// (not announced), ",awaited" (the same, and routed), ",tail=ADDRESS" and ",tail6=ADDRESS" (of the
// node to which its guest went), ",ip6=ADDRESS", ",dns6=ADDRESS", ",more=ADDRESS" and
// ",prefix=PREFIX" (again for more), ",rate=BITS" (a second, at most). SERVICE is dhcp, dhcp6,
// router or neighbour. LEARNED is "nothing", or "default" and prefixes, separated by commas. The
// node's BIRD lives in FOLDER. Ends with its input; BIRD does not.

#include "pvip/apply/bird.hpp"
#include "pvip/apply/host_network.hpp"

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace orrery;

std::optional<pvip::port> parse_port(const std::string& text) {
  std::istringstream from(text);
  std::string link;
  std::string mac;
  std::string address;
  std::string gateway;
  std::getline(from, link, ',');
  std::getline(from, mac, ',');
  std::getline(from, address, ',');
  std::getline(from, gateway, ',');
  pvip::port port;
  for (std::string more; std::getline(from, more, ',');) {
    if (more.starts_with("mtu=")) {
      port.mtu = static_cast<std::uint16_t>(std::stoi(more.substr(4)));
    } else if (more.starts_with("dns=")) {
      port.name_servers.push_back(parse_ipv4(more.substr(4)).value());
    } else if (more.starts_with("ip6=")) {
      port.address6 = parse_ipv6(more.substr(4)).value();
    } else if (more.starts_with("dns6=")) {
      port.name_servers6.push_back(parse_ipv6(more.substr(5)).value());
    } else if (more == "classless") {
      port.classless_routes = true;
    } else if (more.starts_with("uplink=")) {
      port.arp_uplink = more.substr(7);
    } else if (more.starts_with("more=")) {
      port.more_addresses.push_back(parse_ip_address(more.substr(5)).value());
    } else if (more.starts_with("prefix=")) {
      port.routed_prefixes.push_back(parse_ip_prefix(more.substr(7)).value());
    } else if (more.starts_with("rate=")) {
      port.bits_a_second_max = std::stoull(more.substr(5));
    } else if (more == "quiet") {
      port.announced = false;
    } else if (more == "awaited") {
      port.announced = false;
      port.awaited = true;
    } else if (more.starts_with("tail=")) {
      port.tail = pvip::next_node{.address = parse_ipv4(more.substr(5)).value()};
    } else if (more.starts_with("tail6=") && port.tail) {
      port.tail->address6 = parse_ipv6(more.substr(6)).value();
    } else {
      return std::nullopt;
    }
  }
  const auto mac_read = parse_mac(mac);
  const auto address_read = parse_ipv4(address);
  const auto gateway_read = parse_ipv4(gateway);
  if (!mac_read || !address_read || !gateway_read) {
    return std::nullopt;
  }
  port.link = link;
  port.mac = *mac_read;
  port.address = *address_read;
  port.gateway = *gateway_read;
  port.prefix_length = 24;
  return port;
}

void tell(const error& failure) { std::cout << "error " << failure.text << "\n"; }

void tell(const result<void>& done) {
  if (done) {
    std::cout << "ok\n";
  } else {
    tell(done.error());
  }
}

bool learn(const std::string& text, pvip::routed_upstream& settings) {
  std::istringstream from(text);
  for (std::string word; std::getline(from, word, ',');) {
    const auto prefix = parse_ip_prefix(word);
    if (prefix) {
      settings.learned_within.push_back(*prefix);
    } else if (word == "default") {
      settings.learns_default = true;
    } else if (word != "nothing") {
      return false;
    }
  }
  return true;
}

std::optional<pvip::bgp_neighbour> parse_neighbour(const std::string& text) {
  std::istringstream from(text);
  std::string address;
  pvip::bgp_neighbour neighbour;
  char comma = 0;
  std::getline(from, address, ',');
  from >> neighbour.as >> comma;
  std::getline(from, neighbour.password);
  const auto read = parse_ip_address(address);
  neighbour.address = read ? *read : ip_address{};
  return read && comma == ',' ? std::optional(neighbour) : std::nullopt;
}

std::optional<pvip::routed_upstream> parse_settings(const std::string& verb,
                                                    std::istringstream& words) {
  pvip::routed_upstream settings;
  std::string own;
  std::string learned;
  words >> own;
  if (verb == "bgp") {
    pvip::bgp_upstream bgp;
    long hold = 0;
    words >> bgp.as >> hold >> learned;
    bgp.hold_time = std::chrono::seconds(hold);
    for (std::string word; words >> word;) {
      const auto neighbour = parse_neighbour(word);
      if (!neighbour) {
        return std::nullopt;
      }
      bgp.neighbours.push_back(*neighbour);
    }
    settings.protocol = bgp;
  } else {
    pvip::ospf_upstream ospf;
    words >> ospf.interface >> learned >> ospf.password;
    ospf.with_ipv6 = true;
    settings.protocol = ospf;
  }
  const auto own_read = parse_ipv4(own.substr(0, own.find(',')));
  const auto own6_read = parse_ipv6(own.substr(own.find(',') + 1));
  settings.own_address = own_read ? *own_read : ipv4{};
  settings.own_address6 = own6_read ? *own6_read : ipv6{};
  return own_read && own6_read && learn(learned, settings) ? std::optional(settings) : std::nullopt;
}

/// Of the node's BIRD; false when the verb is for another.
bool obey(pvip::bird& bird, pvip::routed_upstream& settings, const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  words >> verb;
  if (verb == "bgp" || verb == "ospf") {
    const auto read = parse_settings(verb, words);
    if (!read) {
      std::cout << "error no settings: " << line << "\n";
      return true;
    }
    settings = *read;
    tell(bird.ensure(settings));
  } else if (verb == "stop") {
    tell(bird.stop());
  } else if (verb != "neighbours") {
    return false;
  } else if (const auto found = bird.neighbours(settings); !found) {
    tell(found.error());
  } else {
    std::cout << "ok\n";
    for (const auto& each : *found) {
      std::cout << to_text(each.address) << (each.established ? " established " : " not ")
                << each.info << "\n";
    }
  }
  return true;
}

void tell_counts(pvip::host_network& network, pvip::guest_service service,
                 const std::string& link) {
  std::cout << "ok\n";
  const auto all = network.guest_counts_of_ports();
  if (const auto of_port = all.find(link); of_port != all.end()) {
    const auto& counts = of_port->second[static_cast<std::size_t>(service)];
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] > 0) {
        std::cout << name_of(pvip::guest_outcomes[i]) << " " << counts[i] << "\n";
      }
    }
  }
}

void tell_traffic(pvip::host_network& network, const std::string& link) {
  auto all = network.traffic();
  if (!all) {
    tell(all.error());
    return;
  }
  std::cout << "ok\n";
  for (const auto& [address, of] : (*all)[link]) {
    std::cout << to_text(address) << " " << of.sent.packets << " " << of.sent.bytes << " "
              << of.received.packets << " " << of.received.bytes << "\n";
  }
}

void obey(pvip::host_network& network, const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  words >> verb;
  if (verb == "remove") {
    std::string link;
    words >> link;
    tell(network.remove(link));
    return;
  }
  if (verb == "traffic") {
    std::string link;
    words >> link;
    tell_traffic(network, link);
    return;
  }
  for (const auto service : pvip::all_guest_services) {
    if (verb == name_of(service)) {
      std::string link;
      words >> link;
      tell_counts(network, service, link);
      return;
    }
  }
  std::vector<pvip::port> ports;
  for (std::string word; words >> word;) {
    const auto port = parse_port(word);
    if (!port) {
      std::cout << "error no port: " << word << "\n";
      return;
    }
    ports.push_back(*port);
  }
  if (verb == "ensure" && ports.size() == 1) {
    tell(network.ensure(ports.front()));
  } else if (verb != "reconcile") {
    std::cout << "error no verb: " << line << "\n";
  } else if (const auto report = network.reconcile(ports); !report) {
    tell(report.error());
  } else {
    std::cout << "ok " << report->added << " " << report->repaired << " " << report->removed
              << "\n";
    for (const std::string& sentence : report->drift) {
      std::cout << "drift " << sentence << "\n";
    }
  }
}

} // namespace

int main(int count, char** words) {
  if (count != 3 && count != 4) {
    std::cerr << "usage: pvip_ports NAMESPACE HELPER [FOLDER]\n";
    return 2;
  }
  auto network = pvip::host_network::open(words[1], "vp", words[2]);
  if (!network) {
    std::cerr << network.error().text << "\n";
    return 1;
  }
  std::unique_ptr<pvip::bird> bird;
  if (count == 4) {
    auto opened = pvip::bird::open(words[1], {.folder = words[3]});
    if (!opened) {
      std::cerr << opened.error().text << "\n";
      return 1;
    }
    bird = *std::move(opened);
  }
  pvip::routed_upstream settings;
  for (std::string line; std::getline(std::cin, line);) {
    if (!bird || !obey(*bird, settings, line)) {
      obey(**network, line);
    }
    std::cout << "." << std::endl;
  }
}
