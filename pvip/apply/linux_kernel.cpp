#include "pvip/apply/linux_kernel.hpp"

#include "pvip/apply/linux_kernel_read.hpp"
#include "pvip/apply/linux_kernel_write.hpp"

#include <linux/netlink.h>

#include <utility>

namespace orrery::pvip {

result<linux_kernel> linux_kernel::open(std::string link_prefix, std::string helper,
                                        arp_announcer& announcer) {
  auto socket = netlink_socket::open(NETLINK_ROUTE);
  if (!socket) {
    return socket.error();
  }
  auto filter = nft_filter::open(link_prefix, std::move(helper));
  if (!filter) {
    return filter.error();
  }
  return linux_kernel(*std::move(socket), *std::move(filter), std::move(link_prefix), announcer);
}

linux_kernel::linux_kernel(netlink_socket socket, nft_filter filter, std::string link_prefix,
                           arp_announcer& announcer)
    : x_socket(std::move(socket)), x_filter(std::move(filter)), x_prefix(std::move(link_prefix)),
      x_announcer(&announcer) {}

linux_kernel::linux_kernel(linux_kernel&& other) noexcept
    : x_socket(std::move(other.x_socket)), x_filter(std::move(other.x_filter)),
      x_prefix(std::move(other.x_prefix)), x_announcer(other.x_announcer) {}

result<found_state> linux_kernel::read(const reading& wanted) {
  auto found = read_network(x_socket, x_prefix, wanted);
  if (!found) {
    return found;
  }
  auto filter = x_filter.read(wanted.only_link);
  if (!filter) {
    return filter.error();
  }
  found->filter = *std::move(filter);
  return found;
}

result<outcome> linux_kernel::apply(const operation& what) {
  if (is_of_filter(what)) {
    if (auto done = x_filter.apply({&what}); !done) {
      return done.error();
    }
    return outcome::done;
  }
  return write_network(x_socket, *x_announcer, what);
}

result<void> linux_kernel::apply_together(const std::vector<const operation*>& all) {
  return x_filter.apply(all);
}

} // namespace orrery::pvip
