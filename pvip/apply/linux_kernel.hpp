#pragma once

#include "pvip/apply/arp_announcer.hpp"
#include "pvip/apply/kernel.hpp"
#include "pvip/apply/netlink_socket.hpp"
#include "pvip/apply/nft_filter.hpp"

#include <string>
#include <vector>

namespace orrery::pvip {

/// The network namespace of the thread that makes and uses it, by rtnetlink, /dev/net/tun,
/// /proc/sys, and orrery-nft.
class linux_kernel final : public kernel {
public:
  /// `helper` is the path of orrery-nft; `announcer` outlives it. Errors: `io_failed`.
  [[nodiscard]] static result<linux_kernel> open(std::string link_prefix, std::string helper,
                                                 arp_announcer& announcer);

  linux_kernel(netlink_socket socket, nft_filter filter, std::string link_prefix,
               arp_announcer& announcer);
  linux_kernel(linux_kernel&& other) noexcept;

  [[nodiscard]] result<found_state> read(const reading& wanted) override;
  [[nodiscard]] result<outcome> apply(const operation& what) override;
  [[nodiscard]] result<void> apply_together(const std::vector<const operation*>& all) override;

  /// As `host_network::traffic`.
  [[nodiscard]] result<traffic_of_ports> traffic() { return x_filter.traffic(); }

private:
  netlink_socket x_socket;
  nft_filter x_filter;
  std::string x_prefix;
  arp_announcer* x_announcer;
};

} // namespace orrery::pvip
