#include "pvip/apply/arp_probe.hpp"

#include "pvip/apply/arp.hpp"
#include "pvip/apply/system_error.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <utility>

namespace orrery::pvip {

namespace {

using steady = std::chrono::steady_clock;

/// Longer frames are no ARP for IPv4; what is beyond is cut.
constexpr std::size_t frame_bytes_max = 256;

/// Patience above this is a caller's mistake that would overflow the clock.
constexpr std::chrono::hours patience_max{24};

enum class heard : std::uint8_t { nothing, answer, socket_broken };

/// Reads what has arrived, at most `frames_max` so that a flood from the guest does not hold us
/// beyond the deadline.
heard listen(const file_descriptor& socket, const arp_frame& question, const mac_address& from) {
  constexpr int frames_max = 256;
  std::array<std::byte, frame_bytes_max> bytes{};
  for (int i = 0; i < frames_max; ++i) {
    const auto count = ::recv(socket.number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count < 0) {
      const bool empty = errno == EAGAIN || errno == EINTR;
      return empty ? heard::nothing : heard::socket_broken;
    }
    const auto frame =
        read_arp(std::span<const std::byte>(bytes).first(static_cast<std::size_t>(count)));
    if (frame && answers(*frame, question, from)) {
      return heard::answer;
    }
  }
  return heard::nothing;
}

heard wait_for_answer(const file_descriptor& socket, const arp_frame& question,
                      const mac_address& from, steady::time_point until) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now());
    if (left.count() <= 0) {
      return heard::nothing;
    }
    pollfd readable{.fd = socket.number(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&readable, 1, static_cast<int>(left.count()));
    if (ready == 0) {
      return heard::nothing;
    }
    if (ready > 0) {
      if (const heard what = listen(socket, question, from); what != heard::nothing) {
        return what;
      }
    } else if (errno != EINTR) {
      return heard::socket_broken;
    }
  }
}

/// Only waits, where there is no socket to wait on.
void wait_until(steady::time_point until) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now());
    if (left.count() <= 0) {
      return;
    }
    (void)::poll(nullptr, 0, static_cast<int>(left.count()));
  }
}

/// `protocol` 0: hears nothing.
result<file_descriptor> open_packet_socket(const std::string& link, std::uint16_t protocol) {
  const unsigned index = ::if_nametoindex(link.c_str());
  if (index == 0) {
    return error{.code = error_code::not_found,
                 .text = "link " + link + " does not exist; make it first",
                 .retryable = true};
  }
  // Protocol 0 until it is bound, so that no frame of another link comes in between.
  file_descriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) {
    return system_error("a raw socket for ARP cannot be opened", errno);
  }
  const int on = 1;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = static_cast<int>(index);
  if (::setsockopt(socket.number(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
      ::bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return system_error("a raw socket for ARP cannot be bound to " + link, errno);
  }
  return socket;
}

} // namespace

result<file_descriptor> open_arp_socket(const std::string& link) {
  return open_packet_socket(link, ETH_P_ARP);
}

result<file_descriptor> open_arp_sender(const std::string& link) {
  return open_packet_socket(link, 0);
}

result<bool> probe_arp(const port& wanted, std::chrono::milliseconds patience,
                       const std::function<result<file_descriptor>()>& open_socket) {
  const auto end = steady::now() + std::min<std::chrono::milliseconds>(patience, patience_max);
  const arp_frame question = arp_question(gateway_mac, wanted.gateway, wanted.address);
  const auto bytes = write_arp(question);
  auto socket = open_socket();
  if (!socket) {
    return socket.error();
  }
  while (true) {
    const auto until = std::min(end, steady::now() + question_interval);
    if (!socket) {
      socket = open_socket();
    }
    if (!socket) {
      wait_until(until); // the link is away; a repair may bring it back
    } else {
      // Not sent while the link is down or has no carrier: then there is nobody to hear it.
      (void)::send(socket->number(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      const heard what = wait_for_answer(*socket, question, wanted.mac, until);
      if (what == heard::answer) {
        return true;
      }
      if (what == heard::socket_broken) {
        socket = error{.code = error_code::unavailable, .text = "the link went", .retryable = true};
        wait_until(until);
      }
    }
    if (steady::now() >= end) {
      return false;
    }
  }
}

} // namespace orrery::pvip
