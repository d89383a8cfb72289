#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/netlink_read.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

struct mnl_socket;
struct nlmsghdr;

namespace orrery::pvip {

/// One netlink socket, in the network namespace of the thread that opened it. Not for several
/// threads at once.
class netlink_socket {
public:
  /// The kernel answers while it is asked; only a held lock of it (a namespace that is being torn
  /// down, a slow driver) delays it.
  static constexpr std::chrono::seconds answer_limit{30};

  /// `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER (netlink(7)). Errors: `io_failed`.
  [[nodiscard]] static result<netlink_socket> open(int protocol);

  netlink_socket(netlink_socket&& other) noexcept;
  netlink_socket& operator=(netlink_socket&& other) noexcept;
  netlink_socket(const netlink_socket&) = delete;
  netlink_socket& operator=(const netlink_socket&) = delete;
  ~netlink_socket();

  /// Sends a request, to which it gives a number and the wish for an acknowledgement, gives each
  /// message of the answer to `take`, and returns how the kernel ended it. A dump that was
  /// disturbed ends with EINTR: ask again. Errors: `timed_out`, `io_failed` (no answer, or one that
  /// cannot be read).
  [[nodiscard]] result<netlink_ending> ask(nlmsghdr& request,
                                           const std::function<void(const netlink_message&)>& take);

  /// The same of messages that belong together, one behind the other, which begin with a request
  /// each, and end together: with the first refusal, or when the one at `last` is acknowledged.
  [[nodiscard]] result<netlink_ending> ask_together(std::span<std::byte> messages,
                                                    std::size_t last);

private:
  /// Sends what has the last number, and hears the answer.
  [[nodiscard]] result<netlink_ending>
  exchange(std::span<const std::byte> sent,
           const std::function<void(const netlink_message&)>& take);

  explicit netlink_socket(mnl_socket* socket);

  [[nodiscard]] result<std::size_t> receive(std::chrono::steady_clock::time_point until);

  /// Takes the messages of the datagram that was received; the ending when it is among them.
  [[nodiscard]] result<std::optional<netlink_ending>>
  hear(std::size_t bytes, const std::function<void(const netlink_message&)>& take,
       bool& disturbed) const;

  mnl_socket* x_socket = nullptr;
  std::uint32_t x_sequence = 0;
  std::vector<std::byte> x_datagram;
};

} // namespace orrery::pvip
