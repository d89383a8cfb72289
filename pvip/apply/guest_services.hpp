#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/file_descriptor.hpp"
#include "pvip/guest/guest_outcome.hpp"
#include "pvip/guest/neighbour_discovery.hpp"
#include "pvip/guest/token_bucket.hpp"
#include "pvip/plan/plan.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orrery::pvip {

/// Answers the guests of one network namespace: DHCP, and for ports with an IPv6 address DHCP for
/// IPv6 and who routes it; on each port for that port's guest only.
///
///   guest ──▶ tap ──┬─▶ the one packet socket ──▶ thread: which port? not too often? answer_guest
///             ▲     └─▶ the filter: the node itself never sees a question to all          │
///             └──────────────────────────── the answer, on that tap alone ◀───────────────┘
///
/// The socket sees a frame before the filter, so each question is looked at as if there was none.
/// The same thread tells each guest who routes IPv6, unasked: when its port comes or changes, and
/// then again and again.
/// No address and no port of the node is used, and what other programs do there stays as it is.
/// `replace` and `put` are called in the namespace of `open`; all from any thread.
class guest_services {
public:
  /// Begins to serve, nobody yet, in the namespace of the calling thread. The thread that serves
  /// inherits the caller's blocked signals. Routers are told of again and again after
  /// `advertises_every`. Errors: `io_failed` (no right to a raw socket).
  [[nodiscard]] static result<std::unique_ptr<guest_services>>
  open(std::chrono::nanoseconds advertises_every = advertisement_interval);

  guest_services(file_descriptor socket, file_descriptor wake,
                 std::chrono::nanoseconds advertises_every);
  guest_services(const guest_services&) = delete;
  guest_services& operator=(const guest_services&) = delete;
  ~guest_services();

  /// Serves these ports and no others. A port whose link is not there waits for the next call.
  void replace(std::vector<port> ports);

  /// Serves one port more, or one as it is now; its link is looked for again.
  void put(port one);

  void remove(const std::string& link);

  /// By link, since its port was first served.
  [[nodiscard]] std::map<std::string, guest_counts> counts() const;

private:
  struct served {
    served();

    port settings;
    std::array<token_bucket, all_guest_services.size()> buckets;
    guest_counts counts{};
    int index = 0;                            ///< of its link; 0: not there
    std::chrono::nanoseconds advertised_at{}; ///< next, when it is among `x_to_advertise`
  };

  using port_map = std::map<std::string, served>; // by link

  void put_locked(port one);
  void advertise_at(served& one, std::chrono::nanoseconds when);
  void forget_index_of(const served& one);
  port_map::iterator forget(port_map::iterator one);
  void wake();
  void work();
  /// How long nothing more is due.
  std::chrono::milliseconds advertise_what_is_due();
  void read_what_came();
  void answer(int index, std::span<const std::byte> frame);
  void send(int index, std::span<const std::byte> frame);

  const std::chrono::nanoseconds x_advertises_every;
  file_descriptor x_socket;
  file_descriptor x_wake;
  mutable std::mutex x_lock;
  bool x_is_over = false;
  port_map x_ports;
  std::unordered_map<int, served*> x_by_index; // those whose link is there
  // What is due when, and on which link.
  std::set<std::pair<std::chrono::nanoseconds, std::string>> x_to_advertise;
  std::thread x_thread; // last: it uses what stands above
};

} // namespace orrery::pvip
