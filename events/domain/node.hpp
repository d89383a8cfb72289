#pragma once

#include "events/core/units.hpp"
#include "events/domain/labels.hpp"
#include "events/domain/types.hpp"

#include <string>
#include <vector>

namespace orrery::domain {

/// How a node stands with one router above it.
struct upstream_session {
  std::string router;
  bool established = false;
  std::string reason;

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.router, of.established, of.reason);
  }

  friend bool operator==(const upstream_session&, const upstream_session&) = default;
};

/// A node, and whether it is in sight.
struct node_state {
  uuid cluster;
  std::string name;
  v1::HypervisorKind kind = v1::HYPERVISOR_KIND_UNSPECIFIED;
  std::string libvirt_socket;
  std::string network_namespace;
  vcpu_count vcpus_wished; ///< what the operator offers to guests; 0: the node's own size decides
  mib memory_wished;

  bool connected = false;
  bool ever_connected = false;
  std::uint64_t epoch = 0; ///< connections so far
  std::uint64_t nonce = 0; ///< of the process that holds the connection
  std::string hypervisor;
  vcpu_count vcpus; ///< offered to guests
  mib memory;       ///< offered to guests
  std::vector<std::string> images;
  std::string lost_reason;
  utc_time seen_until; ///< by the observer's clock, at most a minute behind while connected
  label_list labels;
  std::vector<upstream_session> upstream; ///< none while it is out of sight
  std::string upstream_problem;           ///< why it does not speak with routers as wished
  std::uint64_t version = 0;

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.cluster, of.name, of.kind, of.libvirt_socket, of.network_namespace,
              of.vcpus_wished, of.memory_wished, of.connected, of.ever_connected, of.epoch,
              of.nonce, of.hypervisor, of.vcpus, of.memory, of.images, of.lost_reason,
              of.seen_until, of.labels, of.upstream, of.upstream_problem, of.version);
  }
};

/// Guests may have this many vCPUs for each thread of the node: the usual start for mixed loads; an
/// operator sets his own figure when he adds the node.
inline constexpr std::uint32_t vcpus_per_thread = 4;

/// Kept for the node itself when its memory is offered to guests, in MiB (libvirtd, routing daemon,
/// page cache).
inline constexpr std::uint64_t memory_reserve_mib = 1024;

/// `seen_until` is recorded at most this often.
inline constexpr std::chrono::seconds seen_until_interval{60};

/// Routers of which a node tells: those that it was given, or that OSPF found on its link.
inline constexpr std::size_t upstream_sessions_max = 64;

/// `state` is null for a node that does not exist yet; `self` is its id.
[[nodiscard]] outcome decide(const node_state* state, const uuid& self,
                             const v1::NodeCommand& command, const context& with);

void evolve(node_state& state, const v1::NodeEvent& event, utc_time effective_at);

} // namespace orrery::domain
