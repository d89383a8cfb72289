#include "pvip/apply/tap.hpp"

#include "pvip/apply/system_error.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace orrery::pvip {

namespace {

/// As QEMU opens it: Ethernet frames, no packet information, virtio headers for offloads.
constexpr short tap_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;

/// Opens the device and attaches it to `name`; the errno when it cannot be.
struct attachment {
  file_descriptor tap;
  int failure = 0;
};

attachment attach(const std::string& name, unsigned more_flags) {
  attachment made{.tap = file_descriptor(::open("/dev/net/tun", O_RDWR | O_CLOEXEC)), .failure = 0};
  if (!made.tap.is_open()) {
    made.failure = errno;
    return made;
  }
  ifreq request{};
  const auto length = std::min(name.size(), sizeof(request.ifr_name) - 1);
  std::copy_n(name.begin(), length, static_cast<char*>(request.ifr_name));
  request.ifr_flags = static_cast<short>(static_cast<unsigned>(tap_flags) | more_flags);
  if (::ioctl(made.tap.number(), TUNSETIFF, &request) != 0) {
    made.failure = errno;
  }
  return made;
}

} // namespace

result<file_descriptor> open_new_tap(const std::string& name) {
  // Exclusive: between the look and the making another may have taken the name.
  attachment made = attach(name, IFF_TUN_EXCL);
  if (made.failure == EBUSY || made.failure == EEXIST) {
    return error{.code = error_code::already_exists,
                 .text = "a link of that name was made meanwhile",
                 .retryable = true};
  }
  if (made.failure != 0) {
    return system_error("/dev/net/tun refuses to make it", made.failure);
  }
  return std::move(made.tap);
}

result<std::optional<file_descriptor>> open_existing_tap(const std::string& name) {
  attachment made = attach(name, 0);
  if (made.failure == EBUSY) {
    return std::optional<file_descriptor>();
  }
  if (made.failure != 0) {
    return system_error("/dev/net/tun refuses to attach to it", made.failure);
  }
  return std::optional<file_descriptor>(std::move(made.tap));
}

result<void> make_tap_persist(const file_descriptor& tap, std::uint32_t owner_uid) {
  // By value, as tun's interface has it: the argument is the number itself.
  if (::ioctl(tap.number(), TUNSETOWNER, static_cast<unsigned long>(owner_uid)) != 0) {
    return system_error("its owner cannot be set", errno);
  }
  if (::ioctl(tap.number(), TUNSETPERSIST, 1UL) != 0) {
    return system_error("it cannot be made persistent", errno);
  }
  return {};
}

} // namespace orrery::pvip
