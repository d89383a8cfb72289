#pragma once

#include "events/core/error.hpp"
#include "events/core/net.hpp"
#include "pvip/guest/guest_outcome.hpp"
#include "pvip/plan/plan.hpp"
#include "pvip/plan/traffic.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace orrery::pvip {

/// What one reconciliation found and did.
struct apply_report {
  std::uint32_t added = 0;    ///< objects that were missing
  std::uint32_t repaired = 0; ///< objects of ours that differed (drift)
  std::uint32_t removed = 0;  ///< objects of ours that nobody wants
  std::vector<std::string>
      drift; ///< one sentence for each thing that was missing, differed or went;
             ///< for a missing link one, not others for what stands on it
};

/// One node's kernel network, driven by netlink from a thread that lives in the node's network
/// namespace; the calling threads never leave theirs. Objects are ours by mark: taps whose name
/// begins with the prefix and whose alias is ours, routes of our two numbers in the main table,
/// permanent neighbours on those taps, addresses on `lo` with that number, the nftables table
/// "netdev orrery_" + prefix. Everything else is never
/// touched, and said as `already_exists` where it is in the way. Guests of the ports are answered
/// by DHCP (guest_services.hpp) from the first call on, as long as the object lives. A tap that
/// exists is never made anew, so that no repair cuts a running guest off. Calls come from any
/// thread, block, and are done one after the other (but for `answers_arp`). When the namespace was
/// deleted they end with `not_found`; when it was made anew they work in the new one.
class host_network {
public:
  /// `namespace_name` as in `ip netns` (a file in /run/netns), or empty for the own one.
  /// `link_prefix`: 1 to 8 of a-z. `nft_helper`: the path of orrery-nft; empty when it is in the
  /// folder of the running program. Errors: `invalid_argument`, `not_found` (no such namespace),
  /// `io_failed`.
  [[nodiscard]] static result<std::unique_ptr<host_network>>
  open(std::string namespace_name, std::string link_prefix, std::string nft_helper = {});

  host_network() = default;
  host_network(const host_network&) = delete;
  host_network& operator=(const host_network&) = delete;

  /// Not while a call is in progress.
  virtual ~host_network() = default;

  /// Reads back, compares with the plan of `ports`, repairs in the order written in apply.cpp, and
  /// reads back again until nothing differs. `ports` is everything that shall exist on the node;
  /// what is ours and not in it is removed. Errors: `invalid_argument` (from `plan`, or a link
  /// without the prefix), `already_exists` (something foreign is in the way), `io_failed` with the
  /// kernel's word for the object, those of `nft_helper::run` (a link without a filter is not
  /// raised), `conflict` (the namespace filters loosely for all links, or
  /// somebody undoes the repairs); what could be done is done.
  [[nodiscard]] virtual result<apply_report> reconcile(std::vector<port> ports) = 0;

  /// Makes (or repairs) one port; other links are neither read nor touched. Idempotent. Errors as
  /// `reconcile`.
  [[nodiscard]] virtual result<void> ensure(const port& wanted) = 0;

  /// Has others told of a port, or not any more, that otherwise stays as it was last made, but that
  /// its guest is awaited no more when it is told of. Nothing is made where there is no such port.
  /// Idempotent. Errors as `reconcile`.
  [[nodiscard]] virtual result<void> announce(const std::string& link, bool announced) = 0;

  /// Changes what a port passes and what its guest is told; where packets for it go, and whether
  /// others are told of it, stays as it is. Nothing is made where there is no such port; what was
  /// asked for stays wanted. Idempotent. Errors as `reconcile`.
  [[nodiscard]] virtual result<void> amend(const port& wanted) = 0;

  /// The links of the ports of which others are told, as last asked for.
  [[nodiscard]] virtual std::unordered_set<std::string> announced() = 0;

  /// From now on the node answers ARP for its announced ports on `uplink` (empty: on no link),
  /// whatever a port says; after the first `reconcile` those that there are are made right at once.
  /// Errors as `reconcile`, also when the uplink is missing; what was asked for stays wanted.
  [[nodiscard]] virtual result<apply_report> answer_on(const std::string& uplink) = 0;

  /// Removes one port, and the gateways that no other port of ours needs. A link of that name that
  /// is no tap is left. Idempotent. Errors: `invalid_argument` (without the prefix), `io_failed`.
  [[nodiscard]] virtual result<void> remove(const std::string& link) = 0;

  /// As `reconcile`, with what the last `reconcile` and each `ensure` and `remove` since then made
  /// wanted: repairs what somebody changed behind our back, also when the namespace was made anew.
  /// Nothing is done before the first `reconcile`, nor where nobody else can change anything.
  /// Errors as `reconcile`.
  [[nodiscard]] virtual result<apply_report> recheck() { return apply_report{}; }

  /// Asks who has `wanted.address` on the port's link (ARP, sender = the gateway) until an answer
  /// with `wanted.mac` comes or `patience` (at most a day) is over; true when it answered. One
  /// request every 250 ms. False also while the link has no carrier, and when it went while we
  /// asked. Waits in the calling thread and holds up no other call. Errors: `not_found` (no such
  /// link when it begins), `io_failed`.
  [[nodiscard]] virtual result<bool> answers_arp(const port& wanted,
                                                 std::chrono::milliseconds patience) = 0;

  /// What guests sent and were sent, of each port's addresses, since the port had the address. Kept
  /// by the kernel: it outlives this object and the process, and ends with the port or when the
  /// node's filter is made anew; `counted_on` goes on from there. Read before `remove`, after the
  /// guest left: then nothing is lost. Costs with the number of ports: 16,000 of them, about 8 MB
  /// of text. Nothing on a node whose guests send nothing. Errors: those of `nft_helper::run`, and
  /// `damaged`.
  [[nodiscard]] virtual result<traffic_of_ports> traffic() { return traffic_of_ports{}; }

  /// What became of the questions of each port's guest, by link, since this object first had the
  /// port. Nothing on a node whose guests ask nobody.
  [[nodiscard]] virtual std::map<std::string, guest_counts> guest_counts_of_ports() { return {}; }
};

} // namespace orrery::pvip
