#pragma once

#include "events/core/error.hpp"
#include "events/core/net.hpp"
#include "pvip/plan/plan.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace orrery::pvip {

/// What one reconciliation found and did.
struct apply_report {
  std::uint32_t added = 0;        ///< objects that were missing
  std::uint32_t repaired = 0;     ///< objects of ours that differed (drift)
  std::uint32_t removed = 0;      ///< objects of ours that nobody wants
  std::vector<std::string> drift; ///< one sentence for each repaired or removed object
};

/// One node's kernel network, driven by netlink from a thread that lives in the node's network
/// namespace. Objects are ours by mark: routes of `route_protocol`, links whose name begins with
/// the given prefix, neighbours on those links. Everything else is never touched. Calls block, and
/// are done one after the other.
class host_network {
public:
  /// `namespace_name` as in `ip netns` (a file in /run/netns), or empty for the own one.
  /// `link_prefix`: 1 to 8 of a-z, the mark of our links. Errors: `not_found` (no such namespace),
  /// `io_failed`.
  [[nodiscard]] static result<std::unique_ptr<host_network>> open(std::string namespace_name,
                                                                  std::string link_prefix);

  host_network() = default;
  host_network(const host_network&) = delete;
  host_network& operator=(const host_network&) = delete;
  virtual ~host_network() = default;

  /// Reads back, compares with the plan of `ports`, repairs in the order written in apply.cpp.
  /// `ports` is everything that shall exist on the node; what is ours and not in it is removed.
  /// Errors: `invalid_argument` (from `plan`), `io_failed` with the kernel's word for the object;
  /// what could be done is done.
  [[nodiscard]] virtual result<apply_report> reconcile(std::vector<port> ports) = 0;

  /// Makes (or repairs) one port without reading the others. Idempotent.
  [[nodiscard]] virtual result<void> ensure(const port& wanted) = 0;

  /// Removes one port. Idempotent.
  [[nodiscard]] virtual result<void> remove(const std::string& link) = 0;

  /// Asks who has `wanted.address` on the port's link (ARP, sender = the gateway) until an answer
  /// with `wanted.mac` comes or `patience` is over; true when it answered. One request every 250
  /// ms. False also while the link has no carrier.
  [[nodiscard]] virtual result<bool> answers_arp(const port& wanted,
                                                 std::chrono::milliseconds patience) = 0;
};

} // namespace orrery::pvip
