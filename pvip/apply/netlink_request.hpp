#pragma once

#include "events/core/error.hpp"
#include "events/core/net.hpp"
#include "pvip/apply/netlink_read.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

struct nlattr;
struct nlmsghdr;

namespace orrery::pvip {

/// Each namespace makes `lo` first.
inline constexpr int index_of_lo = 1;

/// One request of rtnetlink's (rtnetlink(7)) or of nfnetlink's: a header, the family's own, and
/// attributes, in this order. What does not fit is a mistake of ours and ends the process.
class netlink_request {
public:
  /// `type`: RTM_…; `flags`: NLM_F_…, to which `netlink_socket::ask` adds its own.
  netlink_request(std::uint16_t type, int flags);

  netlink_request(const netlink_request&) = delete;
  netlink_request& operator=(const netlink_request&) = delete;

  /// The family's own header, zeroed; once, before the attributes.
  template <class T> T& body() { return *static_cast<T*>(put_body(sizeof(T))); }

  /// Attributes; `type`: IFLA_…, RTA_…, NDA_…, IFA_….
  void text(std::uint16_t type, const std::string& value);
  void number(std::uint16_t type, std::uint32_t value);
  void byte(std::uint16_t type, std::uint8_t value);
  void address(std::uint16_t type, const ip_address& value);
  void mac(std::uint16_t type, const mac_address& value);
  void bytes(std::uint16_t type, std::span<const std::byte> value);

  /// An attribute that holds those that come before its `end`.
  [[nodiscard]] nlattr* begin(std::uint16_t type);
  void end(nlattr* nest);

  /// Lives in it.
  [[nodiscard]] nlmsghdr& header() { return *x_header; }

  /// All of it so far, for those that are sent together. Lives in it.
  [[nodiscard]] std::span<const std::byte> message() const;

private:
  [[nodiscard]] void* put_body(std::size_t bytes);

  /// Our longest, a tap's dress, has about 120.
  static constexpr std::size_t request_bytes_max = 1'024;

  alignas(std::uint32_t) std::array<char, request_bytes_max> x_bytes{}; ///< as nlmsghdr is aligned
  nlmsghdr* x_header;
};

/// AF_INET or AF_INET6.
[[nodiscard]] std::uint8_t family_of(const ip_address& address);

/// What is said of a request that ended with a code other than 0: `already_exists` for EEXIST, else
/// `io_failed`, retryable: "<what>: <the system's words> (<the kernel's>)".
[[nodiscard]] error netlink_refusal(std::string_view what, const netlink_ending& ending);

} // namespace orrery::pvip
