#pragma once

#include "pvip/apply/kernel.hpp"
#include "pvip/apply/netlink_socket.hpp"

#include <string>

namespace orrery::pvip {

/// The network namespace of the thread that makes and uses it, by rtnetlink, /dev/net/tun and
/// /proc/sys.
class linux_kernel final : public kernel {
public:
  /// Errors: `io_failed`.
  [[nodiscard]] static result<linux_kernel> open(std::string link_prefix);

  linux_kernel(netlink_socket socket, std::string link_prefix);
  linux_kernel(linux_kernel&& other) noexcept;

  [[nodiscard]] result<found_state> read(const std::optional<std::string>& only_link) override;
  [[nodiscard]] result<outcome> apply(const operation& what) override;

private:
  netlink_socket x_socket;
  std::string x_prefix;
};

} // namespace orrery::pvip
