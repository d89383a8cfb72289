#include "pvip/apply/arp_announcer.hpp"

#include "pvip/apply/arp.hpp"
#include "pvip/apply/arp_probe.hpp"
#include "pvip/guest/neighbour_discovery.hpp"

#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

namespace orrery::pvip {

namespace {

/// Of ARP a question and an answer in turn.
std::vector<std::byte> frame_of(const mac_address& mac, const ip_address& address,
                                std::size_t number) {
  if (const auto* of_ipv6 = std::get_if<ipv6>(&address)) {
    return unasked_advertisement(mac, *of_ipv6);
  }
  const auto operation = number % 2 == 0 ? arp_operation::request : arp_operation::reply;
  const auto bytes = write_arp(gratuitous_arp(mac, std::get<ipv4>(address), operation));
  return {bytes.begin(), bytes.end()};
}

} // namespace

arp_announcer::arp_announcer() {
  // All signals are for the process's own threads.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  x_thread = std::thread([this] { work(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

arp_announcer::~arp_announcer() {
  {
    const std::lock_guard guard(x_lock);
    x_ending = true;
  }
  x_changed.notify_one();
  x_thread.join();
}

result<std::shared_ptr<arp_announcer::sender>> arp_announcer::known(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  const auto at = x_uplinks.find(name);
  if (index != 0 && at != x_uplinks.end() && at->second->index == index) {
    return at->second;
  }
  auto socket = open_arp_sender(name);
  if (!socket) {
    return socket.error();
  }
  auto made =
      std::make_shared<sender>(sender{.name = name, .index = index, .socket = *std::move(socket)});
  x_uplinks.insert_or_assign(name, made);
  return made;
}

result<void> arp_announcer::tell(const ip_address& address, const std::string& uplink) {
  auto on = known(uplink);
  if (!on) {
    return on.error();
  }
  forget(address, uplink);
  send({.address = address, .on = *on, .number = 0});
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard guard(x_lock);
  for (std::size_t n = 1; n < times.size() && x_waiting.size() < waiting_max; ++n) {
    x_waiting.emplace(now + times[n], waiting{.address = address, .on = *on, .number = n});
  }
  x_changed.notify_one();
  return {};
}

void arp_announcer::forget(const ip_address& address, const std::string& uplink) {
  const std::lock_guard guard(x_lock);
  std::erase_if(x_waiting, [&](const auto& each) {
    return each.second.address == address && each.second.on->name == uplink;
  });
}

void arp_announcer::send(const waiting& what) {
  sockaddr_ll own{};
  socklen_t size = sizeof(own);
  const int socket = what.on->socket.number();
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    return; // the link went, and with it those who would hear
  }
  mac_address mac;
  std::copy_n(std::begin(own.sll_addr), mac.bytes.size(), mac.bytes.begin());
  const auto bytes = frame_of(mac, what.address, what.number);
  (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void arp_announcer::work() {
  ::pthread_setname_np(::pthread_self(), "arp-announcer");
  std::unique_lock guard(x_lock);
  while (!x_ending) {
    if (x_waiting.empty()) {
      x_changed.wait(guard);
      continue;
    }
    const time next = x_waiting.begin()->first;
    if (std::chrono::steady_clock::now() < next) {
      x_changed.wait_until(guard, next);
      continue;
    }
    // Sent under the lock: what was forgotten is never sent afterwards.
    send(x_waiting.begin()->second);
    x_waiting.erase(x_waiting.begin());
  }
}

} // namespace orrery::pvip
