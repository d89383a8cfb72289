#pragma once

#include "events/core/rare.hpp"
#include "events/domain/job.hpp"
#include "events/domain/labels.hpp"
#include "events/domain/subnet.hpp"
#include "events/domain/types.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orrery::domain {

// A network is in its cluster's partition, its prefix in the installation's, which is partition 0.
// What they tell each other are messages; each is answered once, however late.
//
//   requested --granted--> ready --delete--> releasing --released--> (gone)
//       |  \--refused--> (gone)                  ^
//       \--delete--> withdrawn --granted---------+
//                        \--refused--> (gone)
//
// Only a ready network gives out addresses, and only one that has none given out can be deleted, so
// nobody has an address of a prefix that is free. Name and prefix are held until it is gone.

enum class network_stage : std::uint8_t {
  requested, ///< the prefix is claimed
  ready,     ///< the prefix is granted
  withdrawn, ///< claimed, and not wanted any more before there was an answer
  releasing, ///< the prefix is given back
};

/// How long the job of a network may take. It waits for another partition's owner, who is replaced
/// within seconds; the claim itself goes on.
inline constexpr std::chrono::seconds network_patience{60};

/// A network: its mode, its subnets, and which NIC has which address.
struct network_state {
  uuid cluster;
  uuid installation;
  std::string name;
  v1::NetworkEvent::Mode mode = v1::NetworkEvent::MODE_UNSPECIFIED;
  network_stage stage = network_stage::requested;
  rare<activity> job;
  std::uint64_t generation = 0; ///< of the last job
  bool removed = false;         ///< the entity ends with the event that sets this
  std::vector<subnet_state> subnets;
  /// By NIC, and by claim of what it has beside its first address.
  persistent_map<uuid, ipv4_prefix> addresses_of;
  persistent_map<std::uint64_t, uuid> nic_of_mac_bits; ///< 40 random bits of a MAC -> NIC
  label_list labels;
  std::uint32_t quarantine_seconds = 0; ///< for how long a released address rests
  std::shared_ptr<const v1::GuestSettings> guests = std::make_shared<const v1::GuestSettings>();
  std::uint64_t version = 0;

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.cluster, of.name, of.installation, of.mode, of.stage, of.job, of.generation,
              of.removed, of.subnets, of.addresses_of, of.labels, of.quarantine_seconds, of.guests,
              of.version);
  }

  void complete();
};

/// `state` is null for a network that does not exist (any more); `self` is its id.
[[nodiscard]] outcome decide(const network_state* state, const uuid& self,
                             const v1::NetworkCommand& command, const context& with);

/// `decided_at` is the time of the step in its record.
void evolve(network_state& state, const v1::NetworkEvent& event, utc_time decided_at);

[[nodiscard]] std::optional<timer> next_timer(const network_state& state);

} // namespace orrery::domain
