#pragma once

#include "events/core/id.hpp"
#include "events/core/time.hpp"
#include "events/domain/entity.hpp"
#include "events/schema/cluster.pb.h"
#include "events/schema/installation.pb.h"
#include "events/schema/network.pb.h"
#include "events/schema/node.pb.h"
#include "events/schema/record.pb.h"
#include "events/schema/vm.pb.h"

#include <string>
#include <string_view>

namespace orrery::projections {

// What the API shows of a resource, as a pure function of its state. References hold ids only:
// names are joined when a row is read, in the same snapshot, so that a renamed thing needs no
// second write.

[[nodiscard]] v1::Vm view(const uuid& id, const domain::vm_state& state);
[[nodiscard]] v1::Cluster view(const uuid& id, const domain::cluster_state& state);
[[nodiscard]] v1::Node view(const uuid& id, const domain::node_state& state);
[[nodiscard]] v1::Network view(const uuid& id, const domain::network_state& state);
[[nodiscard]] v1::Installation view(const uuid& id, const domain::installation_state& state);

/// The state of a job that has just been started on a resource.
[[nodiscard]] v1::Job view(const v1::JobEvent::Started& started, std::string_view resource,
                           std::string_view resource_name, std::string_view who, utc_time at);

/// Kind of the activity that goes on after a VM's delete job gave up, until the guest is seen gone.
inline constexpr std::string_view cleanup_kind = "vm.cleanup";

/// `vm` and an id make "vm_01993f0e-…"; an unknown noun gives the bare id.
[[nodiscard]] std::string resource_text(std::string_view noun, const uuid& id);

/// Who asked, as people read it: an operator's name, else what it was ("timer", "hypervisor n1").
[[nodiscard]] std::string who(const v1::Principal& principal);

/// "kvm", "simulated", …
[[nodiscard]] std::string name_of(v1::HypervisorKind kind);

/// Sets a protobuf timestamp with microseconds.
void set_time(google::protobuf::Timestamp* target, utc_time when);
[[nodiscard]] utc_time from_proto(const google::protobuf::Timestamp& when);

} // namespace orrery::projections
