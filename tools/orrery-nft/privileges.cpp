// SPDX-License-Identifier: GPL-2.0-only
#include "tools/orrery-nft/privileges.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace orrery_nft {

namespace {

/// The user and group "nobody" of Linux (the kernel's overflowuid): it owns no file.
constexpr unsigned nobody = 65'534;

const char* become_nobody() {
  if (::geteuid() != 0) {
    return nullptr;
  }
  if (::prctl(PR_SET_KEEPCAPS, 1UL, 0UL, 0UL, 0UL) != 0 || ::setgroups(0, nullptr) != 0 ||
      ::setresgid(nobody, nobody, nobody) != 0 || ::setresuid(nobody, nobody, nobody) != 0) {
    return "cannot become the user nobody (needs CAP_SETUID and CAP_SETGID)";
  }
  return nullptr;
}

} // namespace

const char* leave_privileges() {
  constexpr unsigned first_of_others = STDERR_FILENO + 1;
  if (::close_range(first_of_others, ~0U, 0) != 0) {
    return "cannot close inherited files";
  }
  if (::chdir("/") != 0) {
    return "cannot leave its directory";
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) != 0) {
    return "cannot forbid itself new privileges";
  }
  if (const char* failure = become_nobody(); failure != nullptr) {
    return failure;
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> wanted{};
  wanted[0].effective = 1U << CAP_NET_ADMIN;
  wanted[0].permitted = 1U << CAP_NET_ADMIN;
  if (::syscall(SYS_capset, &header, wanted.data()) != 0) {
    return "cannot keep CAP_NET_ADMIN and nothing else (it must be started with it)";
  }
  return nullptr;
}

} // namespace orrery_nft
