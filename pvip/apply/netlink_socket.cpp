#include "pvip/apply/netlink_socket.hpp"

#include "pvip/apply/system_error.hpp"
#include "pvip/apply/waiting.hpp"

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

namespace orrery::pvip {

namespace {

/// The kernel makes datagrams of a dump at most 32 KiB long (NLMSG_GOODSIZE, netlink_dump).
constexpr std::size_t datagram_bytes_max = 64UL * 1024;

} // namespace

netlink_socket::netlink_socket(mnl_socket* socket)
    : x_socket(socket), x_datagram(datagram_bytes_max) {}

netlink_socket::netlink_socket(netlink_socket&& other) noexcept
    : x_socket(std::exchange(other.x_socket, nullptr)), x_sequence(other.x_sequence),
      x_datagram(std::move(other.x_datagram)) {}

netlink_socket& netlink_socket::operator=(netlink_socket&& other) noexcept {
  std::swap(x_socket, other.x_socket);
  std::swap(x_sequence, other.x_sequence);
  std::swap(x_datagram, other.x_datagram);
  return *this;
}

netlink_socket::~netlink_socket() {
  if (x_socket != nullptr) {
    mnl_socket_close(x_socket);
  }
}

result<netlink_socket> netlink_socket::open(int protocol) {
  mnl_socket* raw = mnl_socket_open2(protocol, SOCK_CLOEXEC);
  if (raw == nullptr) {
    return system_error("a netlink socket cannot be opened", errno);
  }
  netlink_socket socket(raw);
  if (mnl_socket_bind(raw, 0, MNL_SOCKET_AUTOPID) != 0) {
    return system_error("a netlink socket cannot be bound", errno);
  }
  // Both are improvements only: errors in words, and dumps that the kernel filters. Every answer is
  // filtered here too.
  int on = 1;
  (void)mnl_socket_setsockopt(raw, NETLINK_EXT_ACK, &on, sizeof(on));
  (void)mnl_socket_setsockopt(raw, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
  return socket;
}

result<std::size_t> netlink_socket::receive(std::chrono::steady_clock::time_point until) {
  while (true) {
    const waited found = wait_for(mnl_socket_get_fd(x_socket), POLLIN, until);
    if (found == waited::in_vain) {
      return error{.code = error_code::timed_out,
                   .text = "the kernel gave no answer on netlink within " +
                           std::to_string(answer_limit.count()) + " s",
                   .retryable = true};
    }
    if (found == waited::ready) {
      const auto bytes = mnl_socket_recvfrom(x_socket, x_datagram.data(), x_datagram.size());
      if (bytes >= 0) {
        return static_cast<std::size_t>(bytes);
      }
    }
    if (errno != EINTR && errno != EAGAIN) {
      return system_error("the kernel's answer on netlink cannot be received", errno);
    }
  }
}

result<netlink_ending>
netlink_socket::ask(nlmsghdr& request, const std::function<void(const netlink_message&)>& take) {
  const bool dump = (request.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  request.nlmsg_seq = ++x_sequence;
  request.nlmsg_flags |=
      static_cast<std::uint16_t>(dump ? NLM_F_REQUEST : NLM_F_REQUEST | NLM_F_ACK);
  return exchange({reinterpret_cast<const std::byte*>(&request), request.nlmsg_len}, take);
}

result<netlink_ending> netlink_socket::ask_together(std::span<std::byte> messages,
                                                    std::size_t last) {
  ++x_sequence;
  for (std::size_t at = 0; at < messages.size();) {
    nlmsghdr header{};
    std::memcpy(&header, &messages[at], sizeof(header));
    header.nlmsg_seq = x_sequence;
    header.nlmsg_flags |= static_cast<std::uint16_t>(at == last ? NLM_F_ACK : 0);
    std::memcpy(&messages[at], &header, sizeof(header));
    at += header.nlmsg_len;
  }
  return exchange(messages, [](const netlink_message&) {});
}

result<netlink_ending>
netlink_socket::exchange(std::span<const std::byte> sent,
                         const std::function<void(const netlink_message&)>& take) {
  const auto until = std::chrono::steady_clock::now() + answer_limit;
  if (mnl_socket_sendto(x_socket, sent.data(), sent.size()) < 0) {
    return system_error("a request cannot be sent on netlink", errno);
  }
  bool disturbed = false;
  while (true) {
    const auto bytes = receive(until);
    if (!bytes) {
      return bytes.error();
    }
    auto ending = hear(*bytes, take, disturbed);
    if (!ending) {
      return ending.error();
    }
    if (*ending) {
      return **std::move(ending);
    }
  }
}

result<std::optional<netlink_ending>>
netlink_socket::hear(std::size_t bytes, const std::function<void(const netlink_message&)>& take,
                     bool& disturbed) const {
  netlink_messages messages(std::span<const std::byte>(x_datagram).first(bytes));
  while (const auto message = messages.next()) {
    if (message->sequence != x_sequence) {
      continue; // of an earlier request that was given up
    }
    disturbed = disturbed || (message->flags & NLM_F_DUMP_INTR) != 0;
    if (message->type != NLMSG_ERROR && message->type != NLMSG_DONE) {
      take(*message);
      continue;
    }
    auto ending = read_ending(*message);
    if (!ending) {
      return system_error("the kernel's ending on netlink cannot be read", EBADMSG);
    }
    if (disturbed && ending->code == 0) {
      ending->code = EINTR;
    }
    return ending;
  }
  if (messages.is_damaged()) {
    return system_error("the kernel's answer on netlink cannot be read", EBADMSG);
  }
  return std::optional<netlink_ending>();
}

} // namespace orrery::pvip
