#include "projections/event_text.hpp"

#include "events/core/net.hpp"
#include "events/domain/addressing.hpp"
#include "events/domain/guest_settings.hpp"
#include "events/domain/ipv6.hpp"
#include "projections/views.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>

namespace orrery::projections {

namespace {

using domain::from_proto;

std::string count(std::uint64_t number, std::string_view unit) {
  return std::to_string(number) + " " + std::string(unit) + (number == 1 ? "" : "s");
}

std::string size_text(std::uint64_t vcpus, std::uint64_t memory_mib) {
  return count(vcpus, "vcpu") + ", " + std::to_string(memory_mib) + " MiB";
}

std::string node_text(const touched_index& touched, const uuid& cluster, const uuid& node) {
  if (const auto* state = touched.after<domain::cluster_state>(cluster))
    if (const auto* known = state->nodes.find(node))
      return "node " + known->name;
  return to_text(node_id{node});
}

std::string prefix_text(std::uint32_t prefix, std::uint32_t length) {
  return to_text(ipv4_prefix{ipv4{prefix}, static_cast<std::uint8_t>(length)});
}

std::string wish_text(const v1::VmEvent::Wish& wish) {
  return "generation " + std::to_string(wish.generation());
}

std::string seen_text(const v1::VmEvent::Seen& seen) {
  return "generation " + std::to_string(seen.source().generation());
}

std::string failure_text(std::uint32_t code, const std::string& text) {
  return std::string(name_of(static_cast<error_code>(code))) + (text.empty() ? "" : ": " + text);
}

std::string ended_text(const v1::JobEvent::Ended& ended) {
  switch (ended.state()) {
  case v1::Job::DONE:
    return "done: " + ended.step();
  case v1::Job::CANCELLED:
    return "cancelled after step " + ended.step() + ": " + failure_text(ended.code(), ended.text());
  default: // protobuf enums are open
    return "failed after step " + ended.step() + ": " + failure_text(ended.code(), ended.text());
  }
}

std::string ranges_text(const domain::address_ranges& ranges) {
  constexpr int shown_max = 3; // the rest by its number: a line, not a list
  std::string made;
  for (int i = 0; i < std::min(shown_max, ranges.size()); ++i) {
    const auto& range = ranges[i];
    made += (i == 0 ? "" : ", ") + to_text(domain::addresses_of(range));
    if (!range.note().empty())
      made += " (" + range.note() + ")";
  }
  if (ranges.size() > shown_max)
    made += " and " + std::to_string(ranges.size() - shown_max) + " more";
  return made;
}

/// The prefixes of a message that may have a second one.
template <class Message> std::string prefixes_text(const Message& message) {
  auto text = prefix_text(message.prefix(), message.prefix_length());
  if (const auto prefix6 = domain::prefix6_of(message))
    text += " and " + to_text(*prefix6);
  return text;
}

template <class Message>
std::string claim_text(const std::string& network, const Message& message) {
  return "network " + network + ", " + prefixes_text(message);
}

std::string addresses_text(const v1::Nic& nic) {
  auto text = to_text(ipv4{nic.address()});
  if (nic.has_address6())
    text += " and " + to_text(domain::from_proto(nic.address6()));
  return text;
}

/// What a network gave or was given back: "10.99.0.20", "10.99.0.64/28".
template <class Event> std::string assigned_text(const Event& event) {
  return domain::text_of(domain::prefix_in(event.address(), event.length()));
}

std::string further_text(const v1::FurtherAddresses& addresses) {
  std::string text;
  for (const auto& prefix : domain::prefixes_of(domain::from_proto(addresses)))
    text += (text.empty() ? "" : " and ") + domain::text_of(prefix);
  return text;
}

/// "guests are told: MTU 1400, name servers 192.0.2.53 2001:db8::53"
std::string settings_text(const v1::GuestSettings& settings) {
  std::string servers;
  for (const auto& server : domain::name_server_texts(settings))
    servers += " " + server;
  return "guests are told: MTU " + std::to_string(domain::mtu_of(settings)) +
         (servers.empty() ? ", no name servers" : ", name servers" + servers) +
         (settings.classless_routes() ? ", a /32 and routes" : "");
}

/// "at most 100000000 bit/s", or that there is no limit.
std::string rate_text(std::uint64_t bits_a_second_max) {
  return bits_a_second_max == 0 ? "as fast as it goes"
                                : "at most " + std::to_string(bits_a_second_max) + " bit/s";
}

/// "env=prod, tier=, without owner"
std::string labels_text(const v1::LabelsChanged& changed) {
  std::string text;
  const auto add = [&text](std::string part) {
    text += (text.empty() ? "" : ", ") + std::move(part);
  };
  for (const auto& one : changed.set())
    add(one.key() + "=" + one.value());
  for (const auto& key : changed.removed())
    add("without " + key);
  return text;
}

std::string detail(const touched_index& touched, const uuid& self,
                   const v1::InstallationEvent& event) {
  switch (event.body_case()) {
  case v1::InstallationEvent::kFounded:
    return "edition " + std::string(domain::name_of(event.founded().edition()));
  case v1::InstallationEvent::kClusterNamed:
    return "cluster " + event.cluster_named().name();
  case v1::InstallationEvent::kPrefixGranted: {
    const auto& granted = event.prefix_granted();
    return claim_text(granted.name(), granted);
  }
  case v1::InstallationEvent::kPrefixReleased: {
    const auto network = from_proto(event.prefix_released().network());
    if (const auto* state = touched.before<domain::installation_state>(self))
      if (const auto* held = state->prefixes.find(network))
        return "network " + held->network + ", " + to_text(held->prefix);
    return to_text(network_id{network});
  }
  case v1::InstallationEvent::kLimitSet:
    return std::string(domain::name_of(event.limit_set().limit())) + " " +
           std::to_string(event.limit_set().figure());
  case v1::InstallationEvent::kClockTrusted:
  case v1::InstallationEvent::BODY_NOT_SET:
    break;
  }
  return {};
}

std::string noted_text(const touched_index& touched, const uuid& self,
                       const v1::ClusterEvent::NodeNoted& noted) {
  return node_text(touched, self, from_proto(noted.node())) +
         (noted.connected() ? " in sight, " : " out of sight, ") +
         size_text(noted.vcpus(), noted.memory_mib()) + ", " +
         count(static_cast<std::uint64_t>(noted.images_size()), "image");
}

std::string released_text(const touched_index& touched, const uuid& self, const uuid& vm) {
  if (const auto* state = touched.before<domain::cluster_state>(self))
    if (const auto* held = state->placements.find(vm))
      return "vm " + held->name;
  return to_text(vm_id{vm});
}

std::string seconds_text(std::uint32_t seconds) { return std::to_string(seconds) + " s"; }

std::string bgp_text(const v1::Upstream::Bgp& bgp) {
  std::string text =
      ", AS " + std::to_string(bgp.as()) + ", hold " + seconds_text(bgp.hold_seconds()) + ", with ";
  for (const auto& router : bgp.routers())
    text += (text.ends_with(' ') ? "" : ", ") + router.address() + " (AS " +
            std::to_string(router.as()) +
            (router.secret().empty() ? ")" : ", secret " + router.secret() + ")");
  return text;
}

std::string ospf_text(const v1::Upstream::Ospf& ospf) {
  return ", area " + ospf.area() + (ospf.ipv6() ? ", IPv6, too" : "") + ", hello " +
         seconds_text(ospf.hello_seconds()) + ", dead " + seconds_text(ospf.dead_seconds()) +
         (ospf.secret().empty() ? "" : ", secret " + ospf.secret());
}

/// All of it, so that two lines differ where two settings do.
std::string upstream_text(const v1::Upstream& upstream) {
  std::string text;
  switch (upstream.protocol_case()) {
  case v1::Upstream::kArp:
    return "routers ask by ARP on " + upstream.uplink();
  case v1::Upstream::kBgp:
    text = "BGP on " + upstream.uplink() + bgp_text(upstream.bgp());
    break;
  case v1::Upstream::kOspf:
    text = "OSPF on " + upstream.uplink() + ospf_text(upstream.ospf());
    break;
  case v1::Upstream::PROTOCOL_NOT_SET:
    return "routers are told nothing";
  }
  return text + (upstream.learn_default() ? ", default route learned" : "") +
         (upstream.learn_guests() ? ", guests learned" : "");
}

/// A line that names each router, and whether the node speaks with it.
std::string sessions_text(const v1::NodeEvent::UpstreamNoted& noted) {
  std::string text;
  if (!noted.problem().empty())
    text = "does not speak with routers as wished: " + noted.problem();
  for (const auto& one : noted.sessions())
    text += (text.empty() ? "" : ", ") + one.router() +
            (one.established() ? " established" : " not established (" + one.reason() + ")");
  return text.empty() ? "no router" : text;
}

std::string detail(const touched_index& touched, const uuid& self, const v1::ClusterEvent& event) {
  switch (event.body_case()) {
  case v1::ClusterEvent::kCreated:
    return "cluster " + event.created().name() + ", " + name_of(event.created().kind());
  case v1::ClusterEvent::kNodeJoined:
    return "node " + event.node_joined().name();
  case v1::ClusterEvent::kNodeNoted:
    return noted_text(touched, self, event.node_noted());
  case v1::ClusterEvent::kNetworkJoined:
    return claim_text(event.network_joined().name(), event.network_joined());
  case v1::ClusterEvent::kNetworkLeft: {
    const auto network = from_proto(event.network_left().network());
    if (const auto* state = touched.before<domain::cluster_state>(self))
      if (const auto* left = state->networks.find(network))
        return "network " + left->name;
    return to_text(network_id{network});
  }
  case v1::ClusterEvent::kVmPlaced: {
    const auto& placed = event.vm_placed();
    return "vm " + placed.name() + " on " + node_text(touched, self, from_proto(placed.node())) +
           ", " + size_text(placed.vcpus(), placed.memory_mib());
  }
  case v1::ClusterEvent::kVmReleased:
    return released_text(touched, self, from_proto(event.vm_released().vm()));
  case v1::ClusterEvent::kLabelsChanged:
    return labels_text(event.labels_changed());
  case v1::ClusterEvent::kUpstreamChanged:
    return upstream_text(event.upstream_changed().upstream());
  case v1::ClusterEvent::BODY_NOT_SET:
    break;
  }
  return {};
}

std::string detail(const v1::NodeEvent& event) {
  switch (event.body_case()) {
  case v1::NodeEvent::kRegistered:
    return "node " + event.registered().name() + ", " + name_of(event.registered().kind());
  case v1::NodeEvent::kConnected: {
    const auto& connected = event.connected();
    return connected.hypervisor() + ", " + size_text(connected.vcpus(), connected.memory_mib()) +
           ", " + count(static_cast<std::uint64_t>(connected.images_size()), "image") +
           ", connection " + std::to_string(connected.epoch());
  }
  case v1::NodeEvent::kUnreached:
    return event.unreached().reason();
  case v1::NodeEvent::kLost:
    return event.lost().reason();
  case v1::NodeEvent::kSeenUntil:
    return to_text(from_micros(event.seen_until().at()));
  case v1::NodeEvent::kLabelsChanged:
    return labels_text(event.labels_changed());
  case v1::NodeEvent::kUpstreamNoted:
    return sessions_text(event.upstream_noted());
  case v1::NodeEvent::BODY_NOT_SET:
    break;
  }
  return {};
}

std::string detail(const v1::NetworkEvent& event) {
  switch (event.body_case()) {
  case v1::NetworkEvent::kCreated:
    return "network " + event.created().name();
  case v1::NetworkEvent::kSubnetAdded: {
    const auto& added = event.subnet_added();
    return prefixes_text(added) + ", gateway " + to_text(ipv4{added.gateway()});
  }
  case v1::NetworkEvent::kAddressAssigned:
    return assigned_text(event.address_assigned()) + " to " +
           to_text(vm_id{from_proto(event.address_assigned().vm())});
  case v1::NetworkEvent::kAddressReleased:
    return assigned_text(event.address_released());
  case v1::NetworkEvent::kClaimRefused:
    return failure_text(event.claim_refused().code(), event.claim_refused().text());
  case v1::NetworkEvent::kLabelsChanged:
    return labels_text(event.labels_changed());
  case v1::NetworkEvent::kRangesReserved:
    return ranges_text(event.ranges_reserved().ranges());
  case v1::NetworkEvent::kRangesFreed:
    return ranges_text(event.ranges_freed().ranges());
  case v1::NetworkEvent::kQuarantineChanged:
    return "released addresses rest " + count(event.quarantine_changed().seconds(), "second");
  case v1::NetworkEvent::kGuestsChanged:
    return settings_text(event.guests_changed().guests());
  case v1::NetworkEvent::kJobStarted: // told by `job_text`, as all jobs are
  case v1::NetworkEvent::kJobEnded:
  case v1::NetworkEvent::kClaimGranted:
  case v1::NetworkEvent::kRemovalRequested:
  case v1::NetworkEvent::kRemoved:
  case v1::NetworkEvent::BODY_NOT_SET:
    break;
  }
  return {};
}

/// Empty for an event that says nothing of a job.
std::string job_text(const v1::Event& event) {
  const auto news = domain::job_news_of(event);
  if (news.started != nullptr)
    return std::string(domain::name_of(news.started->kind())) + ", deadline " +
           to_text(from_micros(news.started->deadline()));
  if (news.attempt_failed != nullptr)
    return "step " + news.attempt_failed->step() + ": " +
           failure_text(news.attempt_failed->code(), news.attempt_failed->text());
  return news.ended == nullptr ? std::string() : ended_text(*news.ended);
}

std::string detail(const touched_index& touched, const v1::VmEvent& event) {
  switch (event.body_case()) {
  case v1::VmEvent::kCreated: {
    const auto& made = event.created();
    return node_text(touched, from_proto(made.cluster()), from_proto(made.node())) + ", " +
           size_text(made.vcpus(), made.memory_mib()) +
           (made.bits_a_second_max() == 0 ? "" : ", " + rate_text(made.bits_a_second_max()));
  }
  case v1::VmEvent::kAddressGiven:
    return addresses_text(event.address_given().nic());
  case v1::VmEvent::kRateChanged:
    return rate_text(event.rate_changed().bits_a_second_max());
  case v1::VmEvent::kAddressesAdded:
    return further_text(event.addresses_added().addresses());
  case v1::VmEvent::kAddressesRemoved:
    return further_text(event.addresses_removed().addresses());
  case v1::VmEvent::kStartRequested:
    return wish_text(event.start_requested());
  case v1::VmEvent::kShutdownRequested:
    return wish_text(event.shutdown_requested());
  case v1::VmEvent::kStopRequested:
    return wish_text(event.stop_requested());
  case v1::VmEvent::kRemovalRequested:
    return wish_text(event.removal_requested());
  case v1::VmEvent::kDefined:
    return seen_text(event.defined());
  case v1::VmEvent::kStarted:
    return seen_text(event.started());
  case v1::VmEvent::kReachable:
    return seen_text(event.reachable());
  case v1::VmEvent::kAbsent:
    return "the hypervisor knows no such guest";
  case v1::VmEvent::kRemoved:
    return "seen gone";
  case v1::VmEvent::kStopped:
    return std::string(domain::name_of(event.stopped().cause()));
  case v1::VmEvent::kUnseen:
    return event.unseen().reason();
  case v1::VmEvent::kJobStarted: // told by `job_text`
  case v1::VmEvent::kLabelsChanged:
    return labels_text(event.labels_changed());
  case v1::VmEvent::kJobAttemptFailed:
  case v1::VmEvent::kJobEnded:
  case v1::VmEvent::kAddressesRemovalRequested: // which they are is said when they are gone
  case v1::VmEvent::BODY_NOT_SET:
    break;
  }
  return {};
}

/// The name of the field of the oneof `body` that is set in `message`, and its message if it is
/// one.
struct body_of {
  std::string name = "unknown";
  const google::protobuf::Message* message = nullptr;

  explicit body_of(const google::protobuf::Message& holder) {
    const auto* oneof = holder.GetDescriptor()->FindOneofByName("body");
    const auto* field =
        oneof == nullptr ? nullptr : holder.GetReflection()->GetOneofFieldDescriptor(holder, oneof);
    if (field == nullptr)
      return;
    name = field->name();
    message = &holder.GetReflection()->GetMessage(holder, field);
  }
};

} // namespace

std::string detail_of(const touched_index& touched, const uuid& entity, const v1::Event& event) {
  if (auto text = job_text(event); !text.empty())
    return text;
  switch (event.body_case()) {
  case v1::Event::kInstallation:
    return detail(touched, entity, event.installation());
  case v1::Event::kCluster:
    return detail(touched, entity, event.cluster());
  case v1::Event::kNode:
    return detail(event.node());
  case v1::Event::kNetwork:
    return detail(event.network());
  case v1::Event::kVm:
    return detail(touched, event.vm());
  case v1::Event::BODY_NOT_SET:
    break;
  }
  return {};
}

std::string type_of(const v1::Command& command) {
  const body_of noun(command);
  if (noun.message == nullptr)
    return noun.name;
  return noun.name + "." + body_of(*noun.message).name;
}

std::string noun_of(const v1::Command& command) { return body_of(command).name; }

} // namespace orrery::projections
