#include "actors/hypervisors/kinds.hpp"
#include "drivers/libvirt/libvirt_hypervisor.hpp"

#include <pwd.h>

#include <vector>

namespace orrery::actors {

namespace {

result<std::uint32_t> uid_of(const std::string& user) {
  constexpr std::size_t buffer_size =
      16 * 1024; // what sysconf(_SC_GETPW_R_SIZE_MAX) suggests, and more
  std::vector<char> buffer(buffer_size);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr)
    return error{error_code::config_invalid,
                 "there is no user '" + user +
                     "' on this machine to run guests as: install libvirt-daemon-system or set "
                     "kvm.guest_user",
                 false};
  return static_cast<std::uint32_t>(found->pw_uid);
}

} // namespace

hypervisor_kind_traits kvm(const config& settings) {
  hypervisor_kind_traits traits;
  traits.kind = v1::KVM;
  traits.operations_max = drivers::limits_of(drivers::hypervisor_kind::kvm).operations_max;
  traits.make_link =
      [settings = settings.kvm](const uuid&, const domain::node_state& node) -> result<node_link> {
    const auto uid = uid_of(settings.guest_user);
    if (!uid)
      return uid.error();
    drivers::libvirt_hypervisor::options wanted;
    wanted.socket_path = node.libvirt_socket;
    wanted.acceleration = settings.use_hardware ? drivers::libvirt::acceleration::kvm
                                                : drivers::libvirt::acceleration::tcg;
    wanted.image_directory = settings.image_directory;
    wanted.console_directory = settings.console_directory;
    auto hypervisor = drivers::libvirt_hypervisor::make(std::move(wanted));
    if (!hypervisor)
      return hypervisor.error();
    auto network = pvip::host_network::open(node.network_namespace, "vp");
    if (!network)
      return network.error();
    node_link link;
    link.hypervisor = std::move(*hypervisor);
    link.network = std::move(*network);
    link.guest_uid = *uid;
    return link;
  };
  return traits;
}

} // namespace orrery::actors
