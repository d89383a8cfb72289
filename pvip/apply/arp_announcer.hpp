#pragma once

#include "events/core/error.hpp"
#include "events/core/net.hpp"
#include "pvip/apply/file_descriptor.hpp"
#include "pvip/plan/plan.hpp"

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace orrery::pvip {

/// Tells everybody on an uplink, by gratuitous ARP or, for IPv6, by neighbour advertisements that
/// nobody asked for, with the uplink's own Ethernet address, that addresses are here now. Three
/// times, for frames get lost, and Linux takes no news of an address within a second of the last
/// (`locktime`); a thread sends all but the first. What waits when it ends is not sent.
class arp_announcer {
public:
  /// When, counted from the first: soon, and after a router's `locktime`.
  static constexpr std::array<std::chrono::milliseconds, 3> times{std::chrono::milliseconds{0},
                                                                  std::chrono::milliseconds{50},
                                                                  std::chrono::milliseconds{1'100}};

  /// All that one node may have to tell at a time; more is told once only.
  static constexpr std::size_t waiting_max = times.size() * ports_per_node_max;

  arp_announcer();
  arp_announcer(const arp_announcer&) = delete;
  arp_announcer& operator=(const arp_announcer&) = delete;
  ~arp_announcer();

  /// Begins, from a thread in the uplink's namespace. Blocks no longer than sending a frame does.
  /// Errors: `not_found` (no such link), `io_failed`.
  [[nodiscard]] result<void> tell(const ip_address& address, const std::string& uplink);

  /// Ends: somebody else may have the address from now on.
  void forget(const ip_address& address, const std::string& uplink);

private:
  using time = std::chrono::steady_clock::time_point;

  struct sender {
    std::string name;
    unsigned index = 0;
    file_descriptor socket;
  };

  struct waiting {
    ip_address address;
    std::shared_ptr<sender> on;
    std::size_t number = 0; ///< which of `times`
  };

  [[nodiscard]] result<std::shared_ptr<sender>> known(const std::string& name);
  static void send(const waiting& what);
  void work();

  std::map<std::string, std::shared_ptr<sender>> x_uplinks; // by the teller's thread only

  std::mutex x_lock;
  std::condition_variable x_changed;
  std::multimap<time, waiting> x_waiting;
  bool x_ending = false;
  std::thread x_thread;
};

} // namespace orrery::pvip
