#pragma once

#include "events/core/net.hpp"
#include "events/core/persistent_map.hpp"
#include "events/core/units.hpp"
#include "events/domain/labels.hpp"
#include "events/domain/types.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orrery::domain {

/// What the cluster knows of one of its nodes: what it offers and how much of that is given away.
struct cluster_node {
  std::string name;
  bool connected = false;
  vcpu_count vcpus;
  mib memory;
  vcpu_count vcpus_taken;
  mib memory_taken;
  std::vector<std::string> images; ///< sorted

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.name, of.connected, of.vcpus, of.memory, of.vcpus_taken, of.memory_taken,
              of.images);
  }
};

/// What a VM holds on a node until it is seen gone.
struct placement {
  std::string name;
  uuid node;
  vcpu_count vcpus;
  mib memory;

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.name, of.node, of.vcpus, of.memory);
  }
};

struct cluster_network {
  std::string name;
  ipv4_prefix prefix;
  std::optional<ipv6_prefix> prefix6;

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.name, of.prefix, of.prefix6);
  }
};

/// A cluster: its kind, the names in it, and the ledger of capacity. One writer for all of these,
/// so no name is taken twice and no node is given away twice.
struct cluster_state {
  std::string name;
  v1::HypervisorKind kind = v1::HYPERVISOR_KIND_UNSPECIFIED;
  uuid installation; ///< grants the prefixes of networks
  persistent_map<uuid, cluster_node> nodes;
  persistent_map<std::string, uuid> node_names;
  persistent_map<uuid, cluster_network> networks;
  persistent_map<std::string, uuid> network_names;
  persistent_map<uuid, placement> placements;
  persistent_map<std::string, uuid> vm_names;
  label_list labels;
  std::shared_ptr<const v1::Upstream> upstream = std::make_shared<const v1::Upstream>();
  std::uint64_t version = 0;

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.name, of.kind, of.installation, of.nodes, of.networks, of.placements, of.labels,
              of.upstream, of.version);
  }

  void complete();
};

/// `state` is null for a cluster that does not exist yet; `self` is its id.
[[nodiscard]] outcome decide(const cluster_state* state, const uuid& self,
                             const v1::ClusterCommand& command, const context& with);

void evolve(cluster_state& state, const v1::ClusterEvent& event);

/// The smallest guest memory that makes sense, and the largest that we accept without a person
/// having asked first.
inline constexpr std::uint64_t vm_memory_mib_min = 16;
inline constexpr std::uint64_t vm_memory_mib_max = std::uint64_t{4} * 1024 * 1024;

/// QEMU's q35 limit without extended APIC ids.
inline constexpr std::uint32_t vm_vcpus_max = 255;

/// Longest name of a boot image, in bytes.
inline constexpr std::size_t image_name_size_max = 63;

} // namespace orrery::domain
