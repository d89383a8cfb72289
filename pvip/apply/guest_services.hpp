#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/file_descriptor.hpp"
#include "pvip/guest/dhcp_answer.hpp"
#include "pvip/guest/token_bucket.hpp"
#include "pvip/plan/plan.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace orrery::pvip {

/// Answers the guests of one network namespace: DHCP, on each port for that port's guest only.
///
///   guest ──▶ tap ──┬─▶ the one packet socket ──▶ thread: which port? not too often? answer_dhcp
///             ▲     └─▶ the filter: the node itself never sees a question to all          │
///             └──────────────────────────── the answer, on that tap alone ◀───────────────┘
///
/// The socket sees a frame before the filter, so each question is looked at as if there was none.
/// No address and no port of the node is used, and what other programs do there stays as it is.
/// `replace` and `put` are called in the namespace of `open`; all from any thread.
class guest_services {
public:
  /// Begins to serve, nobody yet, in the namespace of the calling thread. The thread that serves
  /// inherits the caller's blocked signals. Errors: `io_failed` (no right to a raw socket).
  [[nodiscard]] static result<std::unique_ptr<guest_services>> open();

  guest_services(file_descriptor socket, file_descriptor stop);
  guest_services(const guest_services&) = delete;
  guest_services& operator=(const guest_services&) = delete;
  ~guest_services();

  /// Serves these ports and no others. A port whose link is not there waits for the next call.
  void replace(std::vector<port> ports);

  /// Serves one port more, or one as it is now; its link is looked for again.
  void put(port one);

  void remove(const std::string& link);

  /// By link, since its port was first served.
  [[nodiscard]] std::map<std::string, dhcp_counts> counts() const;

private:
  struct served {
    port settings;
    token_bucket bucket{dhcp_rate};
    dhcp_counts counts{};
    int index = 0; ///< of its link; 0: not there
  };

  void put_locked(port one);
  void forget_index_of(const served& one);
  void work();
  void read_what_came();
  void answer(int index, std::span<const std::byte> frame);

  file_descriptor x_socket;
  file_descriptor x_stop;
  mutable std::mutex x_lock;
  std::map<std::string, served> x_ports;       // by link
  std::unordered_map<int, served*> x_by_index; // those whose link is there
  std::thread x_thread;
};

} // namespace orrery::pvip
