#include "actors/hypervisors/kinds.hpp"
#include "actors/private_files.hpp"
#include "drivers/libvirt/libvirt_hypervisor.hpp"
#include "pvip/apply/bird.hpp"
#include "pvip/apply/upstream_speaker.hpp"

#include <pwd.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <system_error>
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

/// The folders of routing daemons: also for their user to pass.
result<std::unique_ptr<pvip::upstream_speaker>> speaker_of(const struct config::kvm& settings,
                                                           const uuid& node,
                                                           const std::string& network_namespace) {
  std::error_code failed;
  if (std::filesystem::create_directories(settings.routing_directory, failed))
    std::filesystem::permissions(settings.routing_directory, std::filesystem::perms(0755), failed);
  if (failed)
    return error{error_code::io_failed,
                 settings.routing_directory + " cannot be made: " + failed.message(), true};
  pvip::bird_place place;
  place.folder = settings.routing_directory + "/" + to_text(node);
  return pvip::make_upstream_speaker(network_namespace, std::move(place));
}

/// Far more than any protocol's key has.
constexpr std::size_t secret_size_max = 1024;

} // namespace

hypervisor_kind_traits kvm(const config& settings) {
  hypervisor_kind_traits traits;
  traits.kind = v1::KVM;
  traits.operations_max = drivers::limits_of(drivers::hypervisor_kind::kvm).operations_max;
  traits.make_link = [settings = settings.kvm](
                         const uuid& id, const domain::node_state& node) -> result<node_link> {
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
    auto speaker = speaker_of(settings, id, node.network_namespace);
    if (!speaker)
      return speaker.error();
    node_link link;
    link.speaker = std::move(*speaker);
    link.secret = [folder = settings.secrets_directory](const std::string& name) {
      return read_private(folder + "/" + name, secret_size_max);
    };
    link.hypervisor = std::move(*hypervisor);
    link.network = std::move(*network);
    link.guest_uid = *uid;
    return link;
  };
  return traits;
}

} // namespace orrery::actors
