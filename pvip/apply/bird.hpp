#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/bird_control.hpp"
#include "pvip/apply/namespace_thread.hpp"
#include "pvip/upstream/upstream.hpp"

#include <memory>
#include <string>
#include <vector>

namespace orrery::pvip {

/// Where a node's BIRD lives.
struct bird_place {
  std::string folder; ///< absolute; made when missing, and those above it, for `user` to pass
  std::string program = "/usr/sbin/bird";
  std::string user =
      "bird"; ///< and its group: what BIRD becomes; keeps the rights of networks alone
};

/// The BIRD of one node's network namespace: a process that outlives ours, so that our death or
/// update tells no router anything. Known by its control socket: one that answers there is ours and
/// is taken over. One that died is started again with graceful restart (RFC 4724), so that routers
/// keep what they knew; so is one whose socket is gone, which is known by its command. Not for
/// several threads at once. Calls block.
///
///   bird.conf   its configuration, root's, readable by its group alone
///   bird.ctl    its control socket      bird.pid   while it runs, and after it died
class bird {
public:
  /// Time for a BIRD to read its configuration and go into the background, or to end.
  static constexpr std::chrono::seconds start_limit{30};

  /// `namespace_name` as in `host_network::open`. Errors: `invalid_argument` (the folder is no
  /// absolute path of A-Z, a-z, 0-9, '/', '.', '_', '-', or too long for a socket in it),
  /// `not_found` (no such namespace, no such user), `io_failed`.
  [[nodiscard]] static result<std::unique_ptr<bird>> open(std::string namespace_name,
                                                          bird_place place);

  /// Whether one runs there, by its command: also where its folder is gone.
  [[nodiscard]] static bool is_there(const bird_place& place);

  bird(std::unique_ptr<namespace_thread> thread, bird_place place, unsigned group);

  /// That a BIRD runs with these settings: starts one, or has one read its configuration again when
  /// that is another, or when this is the first question since we began. Idempotent. Errors: those
  /// of `bird_config`, of `bird_control`, `driver_failed` with BIRD's words when it does not start,
  /// `timed_out`, `io_failed`.
  [[nodiscard]] result<void> ensure(const routed_upstream& settings);

  /// How its neighbours stand: the wanted ones of BGP, those that were found of OSPF. Errors: those
  /// of `bird_control`.
  [[nodiscard]] result<std::vector<neighbour_state>> neighbours(const routed_upstream& settings);

  /// How those stand that it has, whatever is wanted by now. Errors: those of `bird_control`.
  [[nodiscard]] result<std::vector<neighbour_state>> neighbours();

  /// Ends it, if it runs, so that routers forget the node's guests at once, and removes its files.
  /// Idempotent. Errors: those of `bird_control`, `timed_out`, `io_failed`.
  [[nodiscard]] result<void> stop();

private:
  [[nodiscard]] std::string path_of(std::string_view name) const;
  [[nodiscard]] result<void> write_beside(const std::string& text) const;
  [[nodiscard]] result<void> keep_written() const;
  [[nodiscard]] result<void> change(bool is_running, const std::string& text);
  [[nodiscard]] result<void> start() const;
  [[nodiscard]] result<bool> end_unheard(int signal) const;

  std::unique_ptr<namespace_thread> x_thread;
  bird_place x_place;
  unsigned x_group;
  bird_control x_control;
  bool x_is_read = false; ///< the running one has read what is in its file
};

} // namespace orrery::pvip
