#pragma once

#include "events/core/net.hpp"
#include "events/domain/types.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Short words for the things that tests speak of: ids from small numbers, commands from the few
/// values that matter, the rest filled in.
namespace orrery::support {

/// Ids of partition 0 that are the same in every run: the noun and `number` (1 and up) make them.
[[nodiscard]] uuid installation();
[[nodiscard]] uuid cluster(std::uint32_t number = 1);
[[nodiscard]] uuid node(std::uint32_t number = 1);
[[nodiscard]] uuid network(std::uint32_t number = 1);
[[nodiscard]] uuid subnet(std::uint32_t number = 1);
[[nodiscard]] uuid vm(std::uint32_t number = 1);
[[nodiscard]] uuid nic(std::uint32_t number = 1);
[[nodiscard]] uuid claim_number(std::uint32_t number); ///< of addresses beside a NIC's first
[[nodiscard]] uuid command_number(std::uint32_t number);

/// 2026-11-22T09:00:00Z: when every test's story begins.
[[nodiscard]] utc_time start_of_time();

/// Policies like the product's: simulated and kvm are whole (create, start, shutdown, delete 120 s,
/// stop 60 s), xen has no driver, vmware neither PVIP nor direct kernel boot, container no graceful
/// shutdown, hyperv runs no Linux guest (so that each refusal can be had).
[[nodiscard]] const domain::kind_policies& default_policies();

/// "10.99.0.0/24", "10.99.0.1" as numbers; a text that does not parse ends the test program.
[[nodiscard]] ipv4_prefix prefix_of(std::string_view text);
[[nodiscard]] ipv4 address_of(std::string_view text);

// Commands. All but `body` and `entity` is left to `world::tell`.

[[nodiscard]] v1::Command found(v1::Edition edition = v1::MULTI_CLUSTER);
[[nodiscard]] v1::Command trust_clock();

struct cluster_wish {
  std::uint32_t number = 1;
  std::string name = "c1";
  v1::HypervisorKind kind = v1::SIMULATED;
};

[[nodiscard]] v1::Command add_cluster(const cluster_wish& wish = {});

struct node_wish {
  std::uint32_t number = 1;
  std::string name = "n1";
  std::uint32_t vcpus = 0;      ///< 0: the node's own size decides
  std::uint64_t memory_mib = 0; ///< 0: the node's own size decides
  std::uint32_t cluster = 1;
};

[[nodiscard]] v1::Command add_node(const node_wish& wish = {});

struct network_wish {
  std::uint32_t number = 1;
  std::string name = "lan";
  std::string prefix = "10.99.0.0/24";
  std::string gateway = "10.99.0.1";
  std::uint32_t cluster = 1;
  std::uint32_t quarantine_seconds = 0;
  std::string prefix6 = {};
};

[[nodiscard]] v1::Command add_network(const network_wish& wish = {});

[[nodiscard]] v1::Command remove_network(std::uint32_t number = 1);

/// Ranges as "10.99.0.7-10.99.0.9"; their ends may be in the wrong order.
[[nodiscard]] v1::Command reserve(const std::vector<std::string>& ranges,
                                  const std::string& note = {}, std::uint32_t number = 1);
[[nodiscard]] v1::Command free(const std::vector<std::string>& ranges, std::uint32_t number = 1);
[[nodiscard]] v1::Command set_quarantine(std::uint32_t seconds, std::uint32_t number = 1);

/// What of it is said is changed.
struct guests_wish {
  std::optional<std::uint32_t> mtu = std::nullopt;
  std::optional<std::vector<std::string>> name_servers = std::nullopt;
  std::optional<bool> classless_routes = std::nullopt;
};

[[nodiscard]] v1::NetworkCommand::SetGuests guests(const guests_wish& wish);
[[nodiscard]] v1::Command set_guests(const guests_wish& wish, std::uint32_t number = 1);

[[nodiscard]] v1::Command set_limit(v1::Installation::Limit limit, std::uint32_t figure);

// What an installation in another partition says, which a world of one partition cannot hear.

[[nodiscard]] uuid far_installation();

/// The message that makes a cluster of the far installation.
[[nodiscard]] v1::Command create_far_cluster(const cluster_wish& wish = {});

/// Its answers to a network's messages; without `why` the prefix is granted.
[[nodiscard]] v1::Command settle_claim(std::uint32_t number = 1,
                                       const std::optional<error>& why = std::nullopt);
[[nodiscard]] v1::Command settle_release(std::uint32_t number = 1);

struct vm_wish {
  std::uint32_t number = 1;
  std::string name = "web";
  std::string image = "debian";
  std::uint32_t vcpus = 1;
  std::uint64_t memory_mib = 256;
  std::uint32_t network = 1;
  std::uint32_t cluster = 1;
  std::vector<std::pair<std::string, std::string>> labels = {};
  std::string address = {};
  std::uint64_t bits_a_second_max = 0;
};

[[nodiscard]] v1::Command place_vm(const vm_wish& wish = {});

/// What to set and what to remove.
[[nodiscard]] v1::SetLabels labels(const std::vector<std::pair<std::string, std::string>>& set,
                                   const std::vector<std::string>& remove = {});

/// BGP with so many routers; none: routers are told nothing.
[[nodiscard]] v1::Upstream bgp_upstream(int routers);
[[nodiscard]] v1::Command set_upstream(const v1::Upstream& wanted, std::uint32_t number = 1);

/// Of a node: which routers it speaks with, and which it does not.
struct standing {
  std::vector<std::string> up = {};
  std::vector<std::string> down = {};
  std::string problem = {};
};

[[nodiscard]] v1::Command note_upstream(std::uint32_t number, std::uint64_t nonce,
                                        const standing& seen);

[[nodiscard]] v1::Command label_cluster(const v1::SetLabels& wanted, std::uint32_t number = 1);
[[nodiscard]] v1::Command label_node(const v1::SetLabels& wanted, std::uint32_t number = 1);
[[nodiscard]] v1::Command label_network(const v1::SetLabels& wanted, std::uint32_t number = 1);
[[nodiscard]] v1::Command label_vm(const v1::SetLabels& wanted, std::uint32_t number = 1);

[[nodiscard]] v1::Command set_rate(std::uint64_t bits_a_second_max, std::uint32_t number = 1);

/// `claim`: the how manyth of all. `addresses`: "10.99.0.20", "10.99.0.64/28", or "" for any
/// address.
[[nodiscard]] v1::Command add_addresses(std::uint32_t claim, std::string_view addresses = "",
                                        std::uint32_t number = 1);
/// How many they are.
[[nodiscard]] std::uint32_t size_of(const v1::FurtherAddresses& addresses);

[[nodiscard]] v1::Command remove_addresses(std::string_view addresses, std::uint32_t number = 1);

/// The node of the VM says that its port has these claims' addresses no more.
[[nodiscard]] v1::Command note_port(const std::vector<std::uint32_t>& without,
                                    std::uint32_t number = 1, std::uint64_t node_epoch = 1);
[[nodiscard]] v1::Command start_vm(std::uint32_t number = 1);
[[nodiscard]] v1::Command shutdown_vm(std::uint32_t number = 1);
[[nodiscard]] v1::Command stop_vm(std::uint32_t number = 1);
[[nodiscard]] v1::Command remove_vm(std::uint32_t number = 1);

/// What a node says of a guest.
struct saying {
  v1::VmObserved::State state = v1::VmObserved::RUNNING;
  v1::VmObserved::Cause cause = v1::VmObserved::CAUSE_UNSPECIFIED;
  std::uint64_t epoch = 1;
  std::uint64_t number = 1;
  std::uint64_t generation = 1;
  utc_time at = start_of_time();
  std::string reason = {};
  std::uint32_t node = 1;
  std::uint64_t wish = 0; ///< the newest one known to the observer; 0: it does not say
};

[[nodiscard]] v1::Command observe(std::uint32_t vm_number, const saying& said);

struct failure {
  std::uint64_t generation = 1;
  std::string step = "start";
  error_code code = error_code::driver_failed;
  std::string text = "the monitor is gone";
  bool final = false;
};

[[nodiscard]] v1::Command report_failure(std::uint32_t vm_number, const failure& told);
[[nodiscard]] v1::Command pass_deadline(std::uint32_t vm_number, std::uint64_t generation);

struct greeting {
  std::uint32_t node = 1;
  std::uint64_t nonce = 1;
  std::uint32_t vcpus = 8;          ///< threads
  std::uint64_t memory_mib = 9'216; ///< 8 GiB for guests and the node's own reserve
  std::vector<std::string> images = {"debian"};
};

[[nodiscard]] v1::Command hello(const greeting& said = {});
[[nodiscard]] v1::Command lose(std::uint32_t node_number, std::uint64_t nonce,
                               std::string_view reason = "connection reset");
[[nodiscard]] v1::Command see_alive(std::uint32_t node_number, std::uint64_t nonce, utc_time at);

/// The same command, sent by a client with an Idempotency-Key.
[[nodiscard]] v1::Command with_key(v1::Command command, std::uint64_t key_hash,
                                   std::uint64_t body_hash);

/// The same command with an origin of its own choosing.
[[nodiscard]] v1::Command with_origin(v1::Command command, std::uint64_t nonce,
                                      std::uint64_t number);

} // namespace orrery::support
