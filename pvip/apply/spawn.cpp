#include "pvip/apply/spawn.hpp"

#include <signal.h>

#include <array>

namespace orrery::pvip {

spawn_settings::spawn_settings(const std::vector<stream>& streams) {
  ::posix_spawn_file_actions_init(&x_actions);
  for (const stream& each : streams) {
    ::posix_spawn_file_actions_adddup2(&x_actions, each.from, each.to);
  }
  ::posix_spawnattr_init(&x_attributes);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&x_attributes, &none);
  ::posix_spawnattr_setsigdefault(&x_attributes, &all);
  ::posix_spawnattr_setpgroup(&x_attributes, 0);
  ::posix_spawnattr_setflags(
      &x_attributes,
      static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP));
}

spawn_settings::~spawn_settings() {
  ::posix_spawn_file_actions_destroy(&x_actions);
  ::posix_spawnattr_destroy(&x_attributes);
}

int spawn_settings::spawn(pid_t& child, std::vector<std::string> words) const {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  std::array<char*, 1> environment{nullptr};
  return ::posix_spawn(&child, arguments[0], &x_actions, &x_attributes, arguments.data(),
                       environment.data());
}

} // namespace orrery::pvip
