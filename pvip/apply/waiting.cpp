#include "pvip/apply/waiting.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace orrery::pvip {

waited wait_for(int descriptor, short event, std::chrono::steady_clock::time_point until) {
  using milliseconds = std::chrono::milliseconds;
  while (true) {
    const auto left = std::max(
        std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now()), milliseconds(0));
    pollfd one{.fd = descriptor, .events = event, .revents = 0};
    const int count = ::poll(&one, 1, static_cast<int>(left.count()));
    if (count > 0) {
      return waited::ready;
    }
    if (count == 0) {
      return waited::in_vain;
    }
    if (errno != EINTR) {
      return waited::failed;
    }
  }
}

} // namespace orrery::pvip
