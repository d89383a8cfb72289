// The ports of one node, driven by lines on standard input, for tests that play the guests:
//   pvip_ports NAMESPACE HELPER
//   reconcile [PORT ...]   ->  "ok ADDED REPAIRED REMOVED", a line "drift …" each, "."
//   ensure PORT            ->  "ok", "."
//   remove LINK            ->  "ok", "."
// or "error …", ".". A PORT is LINK,MAC,ADDRESS,GATEWAY. Ends with its input.

#include "pvip/apply/host_network.hpp"

#include <iostream>
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
  const auto mac_read = parse_mac(mac);
  const auto address_read = parse_ipv4(address);
  const auto gateway_read = parse_ipv4(gateway);
  if (!mac_read || !address_read || !gateway_read) {
    return std::nullopt;
  }
  return pvip::port{
      .link = link, .mac = *mac_read, .address = *address_read, .gateway = *gateway_read};
}

void tell(const error& failure) { std::cout << "error " << failure.text << "\n"; }

void tell(const result<void>& done) {
  if (done) {
    std::cout << "ok\n";
  } else {
    tell(done.error());
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
  if (count != 3) {
    std::cerr << "usage: pvip_ports NAMESPACE HELPER\n";
    return 2;
  }
  auto network = pvip::host_network::open(words[1], "vp", words[2]);
  if (!network) {
    std::cerr << network.error().text << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    obey(**network, line);
    std::cout << "." << std::endl;
  }
}
