#include "tests/support/invariants.hpp"

#include "events/core/net.hpp"
#include "events/domain/nic.hpp"
#include "tests/support/findings.hpp"
#include "tests/support/usage_check.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

namespace orrery::support {

const v1::VmEvent::Source* source_of(const v1::VmEvent& event) {
  switch (event.body_case()) {
  case v1::VmEvent::kDefined:
    return &event.defined().source();
  case v1::VmEvent::kStarted:
    return &event.started().source();
  case v1::VmEvent::kReachable:
    return &event.reachable().source();
  case v1::VmEvent::kStopped:
    return &event.stopped().source();
  case v1::VmEvent::kAbsent:
    return &event.absent().source();
  case v1::VmEvent::kUnseen:
    return &event.unseen().source();
  case v1::VmEvent::kRemoved:
    return &event.removed().source();
  default:
    return nullptr;
  }
}

namespace {

using domain::cluster_state;
using domain::from_proto;
using domain::network_state;
using domain::node_state;
using domain::partition_state;
using domain::vm_state;

constexpr std::string_view readable = "readable";
constexpr std::string_view sequence_rises = "sequence_rises";
constexpr std::string_view state_is_fold = "state_is_fold";
constexpr std::string_view times_rise = "times_rise";
constexpr std::string_view effective_in_order = "effective_in_order";
constexpr std::string_view refusal_changes_nothing = "refusal_changes_nothing";
constexpr std::string_view key_once = "key_once";
constexpr std::string_view origin_once = "origin_once";
constexpr std::string_view create_is_one_record = "create_is_one_record";
constexpr std::string_view placements_are_vms = "placements_are_vms";
constexpr std::string_view capacity_is_sum = "capacity_is_sum";
constexpr std::string_view addresses_are_nics = "addresses_are_nics";
constexpr std::string_view address_once = "address_once";
constexpr std::string_view release_by_fact = "release_by_fact";
constexpr std::string_view names_point = "names_point";
constexpr std::string_view job_ends_once = "job_ends_once";
constexpr std::string_view activity_is_job = "activity_is_job";
constexpr std::string_view generations_rise = "generations_rise";
constexpr std::string_view node_epochs_rise = "node_epochs_rise";
constexpr std::string_view sayings_in_order = "sayings_in_order";
constexpr std::string_view guests_are_vms = "guests_are_vms";

constexpr std::array names{
    readable,           sequence_rises,        state_is_fold,
    times_rise,         effective_in_order,    refusal_changes_nothing,
    key_once,           origin_once,           create_is_one_record,
    placements_are_vms, capacity_is_sum,       addresses_are_nics,
    address_once,       release_by_fact,       names_point,
    job_ends_once,      activity_is_job,       generations_rise,
    node_epochs_rise,   sayings_in_order,      guests_are_vms,
    streams_in_order,   streams_arrive,        prefix_once,
    granted_first,      prefixes_are_networks, usage_tiles_lives,
};

// Over the log
// ------------------------------------------------------------------------------------------------

void check_order(findings& out, const commit_list& commits) {
  std::optional<std::uint64_t> last_seq;
  std::optional<utc_time> last;
  for (const auto& [seq, body] : commits) {
    out.at(seq, {});
    if (last_seq && seq <= *last_seq)
      out.add(sequence_rises, "it comes after record " + std::to_string(*last_seq));
    last_seq = seq;
    const auto decided_at = from_micros(body.decided_at());
    if (last && decided_at <= *last)
      out.add(times_rise, "decided at " + orrery::to_text(decided_at) + ", the step before it at " +
                              orrery::to_text(*last));
    last = domain::last_time(body);
  }
}

void check_repetitions(findings& out, const commit_list& commits) {
  std::set<std::pair<std::uint64_t, std::uint64_t>> origins;
  std::map<std::uint64_t, utc_time> keys;
  for (const auto& [seq, body] : commits) {
    const auto decided_at = from_micros(body.decided_at());
    for (const auto& decision : body.decisions()) {
      const auto& command = decision.command();
      out.at(seq, from_proto(command.entity()));
      const auto& origin = command.origin();
      if (origin.nonce() != 0 && !origins.emplace(origin.nonce(), origin.number()).second)
        out.add(origin_once, "number " + std::to_string(origin.number()) + " of origin " +
                                 std::to_string(origin.nonce()) + " was decided before");
      if (!command.has_key())
        continue;
      const auto [first, fresh] = keys.emplace(command.key().key_hash(), decided_at);
      if (fresh)
        continue;
      if (first->second + partition_state::key_age_max <= decided_at)
        first->second = decided_at;
      else if (decision.steps_size() > 0)
        out.add(key_once, "the client key " + std::to_string(command.key().key_hash()) +
                              " took effect before");
    }
  }
}

/// What a decision does to VMs, so that each part can be held against the others.
struct whole {
  std::set<uuid> created, placed, given, removed, released_vms;
  std::set<uuid> assigned_nics, released_nics; ///< and claims beside a NIC's first address
  std::map<uuid, uuid> nic_of_created;
  std::map<uuid, uuid> vm_of_added; ///< claim -> VM
  std::set<uuid> removed_claims;    ///< seen gone from the VM's port
};

void add_to(whole& sum, const uuid& entity, const v1::Event& event) {
  if (event.has_vm() && event.vm().has_created()) {
    sum.created.insert(entity);
    sum.nic_of_created[entity] = from_proto(event.vm().created().nic());
  }
  if (event.has_vm() && event.vm().has_address_given())
    sum.given.insert(entity);
  if (event.has_vm() && event.vm().has_removed())
    sum.removed.insert(entity);
  if (event.has_vm() && event.vm().has_addresses_added())
    sum.vm_of_added[from_proto(event.vm().addresses_added().addresses().claim())] = entity;
  if (event.has_vm() && event.vm().has_addresses_removed())
    sum.removed_claims.insert(from_proto(event.vm().addresses_removed().addresses().claim()));
  if (event.has_cluster() && event.cluster().has_vm_placed())
    sum.placed.insert(from_proto(event.cluster().vm_placed().vm()));
  if (event.has_cluster() && event.cluster().has_vm_released())
    sum.released_vms.insert(from_proto(event.cluster().vm_released().vm()));
  if (event.has_network() && event.network().has_address_assigned())
    sum.assigned_nics.insert(from_proto(event.network().address_assigned().nic()));
  if (event.has_network() && event.network().has_address_released())
    sum.released_nics.insert(from_proto(event.network().address_released().nic()));
}

void check_wholes(findings& out, const commit_list& commits) {
  std::map<uuid, uuid> vm_of_nic;
  for (const auto& [seq, body] : commits) {
    for (const auto& decision : body.decisions()) {
      whole sum;
      for (const auto& step : decision.steps())
        for (const auto& event : step.events())
          add_to(sum, from_proto(step.entity()), event);
      out.at(seq, from_proto(decision.command().entity()));
      for (const auto& [vm, nic] : sum.nic_of_created) {
        vm_of_nic[nic] = vm;
        if (!sum.placed.contains(vm) || !sum.given.contains(vm) || !sum.assigned_nics.contains(nic))
          out.add(create_is_one_record,
                  "VM " + text_of(vm) + " was made without its capacity or its address");
      }
      for (const auto& [claim, vm] : sum.vm_of_added) {
        vm_of_nic[claim] = vm;
        if (!sum.assigned_nics.contains(claim))
          out.add(addresses_are_nics,
                  "VM " + text_of(vm) + " has an address more that no network gave it");
      }
      for (const auto& nic : sum.released_nics)
        if (!sum.removed.contains(vm_of_nic[nic]) && !sum.removed_claims.contains(nic))
          out.add(release_by_fact, "the address of NIC " + text_of(nic) +
                                       " was released though neither its VM nor it was seen gone");
    }
  }
}

/// Each of its addresses.
std::vector<ipv4> all_in(const ipv4_prefix& prefix) {
  std::vector<ipv4> found;
  const std::uint64_t last = prefix.last().bits;
  for (std::uint64_t bits = prefix.base.bits; bits <= last; ++bits)
    found.push_back(ipv4{static_cast<std::uint32_t>(bits)});
  return found;
}

/// Of an assignment, or of a release.
template <class Event> std::vector<ipv4> all_in(const Event& event) {
  return all_in(domain::prefix_in(event.address(), event.length()));
}

void check_addresses_given(findings& out, const commit_list& commits) {
  std::map<std::pair<uuid, ipv4>, uuid> held;
  for (const auto& [seq, body] : commits) {
    for (const auto& decision : body.decisions()) {
      for (const auto& step : decision.steps()) {
        const auto network = from_proto(step.entity());
        out.at(seq, network);
        for (const auto& event : step.events()) {
          if (!event.has_network())
            continue;
          if (event.network().has_address_released())
            for (const auto address : all_in(event.network().address_released()))
              held.erase({network, address});
          if (!event.network().has_address_assigned())
            continue;
          const auto nic = from_proto(event.network().address_assigned().nic());
          for (const auto address : all_in(event.network().address_assigned())) {
            const auto [at, fresh] = held.emplace(std::pair(network, address), nic);
            if (!fresh)
              out.add(address_once, orrery::to_text(address) + " was given to NIC " + text_of(nic) +
                                        " while NIC " + text_of(at->second) + " has it");
          }
        }
      }
    }
  }
}

/// What the log says of one entity so far.
struct line_of_life {
  std::optional<utc_time> effective_at;
  std::uint64_t generation = 0;
  std::uint64_t node_epoch = 0;
  std::pair<std::uint64_t, std::uint64_t> saying{0, 0};
};

const v1::VmEvent::Wish* wish_of(const v1::VmEvent& event) {
  switch (event.body_case()) {
  case v1::VmEvent::kStartRequested:
    return &event.start_requested();
  case v1::VmEvent::kShutdownRequested:
    return &event.shutdown_requested();
  case v1::VmEvent::kStopRequested:
    return &event.stop_requested();
  case v1::VmEvent::kRemovalRequested:
    return &event.removal_requested();
  default:
    return nullptr;
  }
}

/// Facts only: what was decided, not observed, has no time of its own.
void check_effective(findings& out, line_of_life& life, const v1::Event& event, utc_time at) {
  if (event.effective_at() == 0)
    return;
  const auto effective_at = from_micros(event.effective_at());
  if (effective_at > at)
    out.add(effective_in_order, "a fact of " + orrery::to_text(effective_at) +
                                    " was decided before that, at " + orrery::to_text(at));
  if (life.effective_at && effective_at < *life.effective_at)
    out.add(effective_in_order, "a fact of " + orrery::to_text(effective_at) +
                                    " came after one of " + orrery::to_text(*life.effective_at));
  life.effective_at = std::max(life.effective_at.value_or(effective_at), effective_at);
}

void check_vm_event(findings& out, line_of_life& life, const v1::VmEvent& event) {
  if (event.has_created()) { // an id may be used again after its VM was seen gone
    life.generation = 0;
    life.saying = {0, 0};
  }
  if (const auto* wish = wish_of(event)) {
    if (wish->generation() <= life.generation)
      out.add(generations_rise, "wish " + std::to_string(wish->generation()) + " came after wish " +
                                    std::to_string(life.generation));
    life.generation = wish->generation();
  }
  if (const auto* source = source_of(event)) {
    const std::pair saying(source->node_epoch(), source->number());
    if (saying <= life.saying)
      out.add(sayings_in_order, "saying " + std::to_string(saying.second) + " of epoch " +
                                    std::to_string(saying.first) + " came after saying " +
                                    std::to_string(life.saying.second) + " of epoch " +
                                    std::to_string(life.saying.first));
    life.saying = saying;
  }
}

void check_lives(findings& out, const commit_list& commits) {
  std::map<uuid, line_of_life> lives;
  for (const auto& [seq, body] : commits) {
    domain::for_each_step(body, [&, number = seq](const v1::Decision& decision,
                                                  const v1::Step& step, int index, utc_time at) {
      const auto entity = from_proto(step.entity());
      out.at(number, entity);
      if (index == 0 && decision.reply().code() != 0)
        out.add(refusal_changes_nothing, "a refused command has steps");
      auto& life = lives[entity];
      for (const auto& event : step.events()) {
        check_effective(out, life, event, at);
        if (event.has_vm())
          check_vm_event(out, life, event.vm());
        if (!event.has_node() || !event.node().has_connected())
          continue;
        const auto epoch = event.node().connected().epoch();
        if (epoch <= life.node_epoch)
          out.add(node_epochs_rise, "epoch " + std::to_string(epoch) + " came after epoch " +
                                        std::to_string(life.node_epoch));
        life.node_epoch = epoch;
      }
    });
  }
}

struct job_life {
  uuid entity;
  bool running = true;
};

void check_job_event(findings& out, std::map<uuid, job_life>& jobs, const uuid& entity,
                     const v1::Event& event) {
  const auto news = domain::job_news_of(event);
  if (news.started != nullptr) {
    const auto job = from_proto(news.started->job());
    if (!jobs.emplace(job, job_life{entity}).second)
      out.add(job_ends_once, "job " + text_of(job) + " was started before");
    return;
  }
  const bool ended = news.ended != nullptr;
  if (!ended && news.attempt_failed == nullptr)
    return;
  const auto job = from_proto(ended ? news.ended->job() : news.attempt_failed->job());
  const auto at = jobs.find(job);
  if (at == jobs.end() || at->second.entity != entity || !at->second.running) {
    out.add(job_ends_once, "job " + text_of(job) + " is not running there");
    return;
  }
  if (!ended)
    return;
  at->second.running = false;
  const auto state = news.ended->state();
  if (state != v1::Job::DONE && state != v1::Job::FAILED && state != v1::Job::CANCELLED)
    out.add(job_ends_once, "job " + text_of(job) + " ended in no known way");
}

void check_jobs(findings& out, const commit_list& commits, const partition_state& state) {
  std::map<uuid, job_life> jobs;
  for (const auto& [seq, body] : commits)
    for (const auto& decision : body.decisions())
      for (const auto& step : decision.steps()) {
        out.at(seq, from_proto(step.entity()));
        for (const auto& event : step.events())
          check_job_event(out, jobs, from_proto(step.entity()), event);
      }
  out.nowhere();
  std::set<uuid> active;
  state.for_each([&](const uuid& entity, const domain::entity_ptr& one) {
    const auto* busy = domain::job_of(*one);
    if (busy == nullptr)
      return;
    active.insert(busy->job);
    const auto at = jobs.find(busy->job);
    if (at == jobs.end() || !at->second.running || at->second.entity != entity)
      out.add(activity_is_job, std::string(domain::noun_of(*one)) + " '" +
                                   std::string(domain::name_of(*one)) + "' is busy with job " +
                                   text_of(busy->job) + ", which is not running");
  });
  for (const auto& [job, life] : jobs)
    if (life.running && !active.contains(job))
      out.add(activity_is_job, "job " + text_of(job) + " runs, but " + text_of(life.entity) +
                                   " is not busy with it");
}

void check_fold(findings& out, const commit_list& commits, const partition_state& state) {
  partition_state again;
  for (const auto& [seq, body] : commits)
    again.fold_alone(body, seq); // `state` was folded the other way
  out.nowhere();
  if (again.to_bytes() != state.to_bytes())
    out.add(state_is_fold, "folding the log again gives another state");
}

// Over the state
// ------------------------------------------------------------------------------------------------

void check_placements(findings& out, const partition_state& state) {
  const auto clusters = all_of<cluster_state>(state);
  const auto vms = all_of<vm_state>(state);
  for (const auto& [owner, ledger] : clusters) {
    const auto& self = owner; // clang 14 captures no structured bindings
    const auto& cluster = ledger;
    std::map<uuid, std::pair<vcpu_count, mib>> sums;
    cluster->placements.for_each([&](const uuid& vm, const domain::placement& held) {
      auto& sum = sums[held.node];
      sum.first += held.vcpus;
      sum.second += held.memory;
      const auto at = vms.find(vm);
      if (at == vms.end() || at->second->cluster != self)
        out.add(placements_are_vms, "cluster '" + cluster->name + "' holds room for '" + held.name +
                                        "', which does not exist");
      else if (at->second->node != held.node || at->second->vcpus != held.vcpus ||
               at->second->memory != held.memory || at->second->name != held.name)
        out.add(placements_are_vms, "cluster '" + cluster->name + "' holds something else for '" +
                                        held.name + "' than it has");
    });
    cluster->nodes.for_each([&](const uuid& node, const domain::cluster_node& known) {
      const auto sum = sums[node];
      if (known.vcpus_taken != sum.first || known.memory_taken != sum.second)
        out.add(capacity_is_sum,
                "node '" + known.name + "' counts " + std::to_string(known.vcpus_taken.count) +
                    " vcpus and " + std::to_string(known.memory_taken.count) +
                    " MiB as taken, its VMs have " + std::to_string(sum.first.count) + " and " +
                    std::to_string(sum.second.count));
    });
  }
  for (const auto& [id, vm] : vms) {
    const auto at = clusters.find(vm->cluster);
    if (at == clusters.end() || !at->second->placements.contains(id))
      out.add(placements_are_vms, "no cluster holds room for VM '" + vm->name + "'");
  }
}

/// What a subnet counts, and what it sets apart.
void check_ledger(findings& out, const network_state& network, const domain::subnet_state& subnet) {
  std::uint32_t reserved_taken = 0;
  subnet.taken.for_each([&](std::uint32_t bits, const uuid&) {
    reserved_taken += domain::range_around(subnet, ipv4{bits}) != nullptr ? 1 : 0;
    if (!domain::is_usable(subnet, ipv4{bits}) || subnet.resting.contains(bits))
      out.add(addresses_are_nics, "network '" + network.name + "' has given out " +
                                      orrery::to_text(ipv4{bits}) +
                                      ", which no VM can have, or which rests");
  });
  if (reserved_taken != subnet.reserved_taken)
    out.add(addresses_are_nics,
            "network '" + network.name + "' counts " + std::to_string(subnet.reserved_taken) +
                " of its reserved addresses as taken, there are " + std::to_string(reserved_taken));
  for (std::size_t i = 0; i < subnet.reserved.size(); ++i) {
    const auto& [first, last] = subnet.reserved[i].addresses;
    if (last < first || !subnet.prefix.contains(first) || !subnet.prefix.contains(last) ||
        (i > 0 && first <= subnet.reserved[i - 1].addresses.last))
      out.add(addresses_are_nics, "network '" + network.name +
                                      "' keeps a range that is not apart: " +
                                      orrery::to_text(subnet.reserved[i].addresses));
  }
}

/// A VM's IPv6 address is the one with the number of its IPv4 address, so as much its own as that.
void check_pairs(findings& out, const partition_state& state, const uuid& network,
                 const network_state& of) {
  for (const auto& [id, vm] : all_of<vm_state>(state)) {
    if (vm->network != network)
      continue;
    ipv6 paired;
    for (const auto& subnet : of.subnets)
      if (subnet.prefix.contains(vm->nic.address))
        paired = domain::address6_of(subnet, vm->nic.address).value_or(ipv6{});
    if (vm->nic.address6 != paired)
      out.add(addresses_are_nics, "VM '" + vm->name + "' has " + orrery::to_text(vm->nic.address6) +
                                      ", and its pair is " + orrery::to_text(paired));
    for (const auto& one : vm->nic.further) {
      ipv6_prefix twin;
      for (const auto& subnet : of.subnets)
        if (subnet.prefix.contains(one.prefix.base))
          twin = domain::prefix6_of(subnet, one.prefix).value_or(ipv6_prefix{});
      if (one.prefix6 != twin)
        out.add(addresses_are_nics, "VM '" + vm->name + "' has " + orrery::to_text(one.prefix6) +
                                        " beside " + orrery::to_text(one.prefix) +
                                        ", whose pair is " + orrery::to_text(twin));
    }
  }
}

void check_addresses(findings& out, const partition_state& state) {
  std::map<uuid, std::map<uuid, ipv4_prefix>> wanted; // network -> NIC or claim -> addresses
  std::set<std::pair<uuid, ipv4>> seen;               // cluster, address
  for (const auto& [id, vm] : all_of<vm_state>(state)) {
    wanted[vm->network][vm->nic.nic] = domain::only(vm->nic.address);
    for (const auto& one : vm->nic.further)
      wanted[vm->network][one.claim] = one.prefix;
    auto all = all_in(domain::only(vm->nic.address));
    for (const auto& one : vm->nic.further)
      std::ranges::copy(all_in(one.prefix), std::back_inserter(all));
    for (const auto address : all)
      if (!seen.emplace(vm->cluster, address).second)
        out.add(address_once, "VM '" + vm->name + "' has " + orrery::to_text(address) +
                                  ", which it has already, or another VM of its cluster");
  }
  const auto networks = all_of<network_state>(state);
  for (const auto& [id, network] : networks) {
    std::map<uuid, ipv4_prefix> ledger;
    network->addresses_of.for_each([&ledger](const uuid& nic, const ipv4_prefix& addresses) {
      ledger.emplace(nic, addresses);
    });
    std::set<ipv4> taken;
    for (const auto& subnet : network->subnets) {
      subnet.taken.for_each(
          [&taken](std::uint32_t bits, const uuid&) { taken.insert(ipv4{bits}); });
      check_ledger(out, *network, subnet);
    }
    std::set<ipv4> had;
    for (const auto& [nic, addresses] : wanted[id])
      for (const auto address : all_in(addresses))
        had.insert(address);
    check_pairs(out, state, id, *network);
    if (ledger != wanted[id] || taken != had)
      out.add(addresses_are_nics, "the addresses that network '" + network->name +
                                      "' gave out are not those that its VMs have");
  }
  for (const auto& [id, nics] : wanted)
    if (!networks.contains(id))
      out.add(addresses_are_nics,
              "there are NICs in network " + text_of(id) + ", which does not exist");
}

/// Holds a table of names against the things that they point to.
template <class Things, class Belongs>
void check_table(findings& out, const domain::cluster_state& cluster, std::string_view noun,
                 const persistent_map<std::string, uuid>& table, const Things& things,
                 const Belongs& belongs) {
  std::set<uuid> pointed;
  table.for_each([&](const std::string& name, const uuid& entity) {
    const auto at = things.find(entity);
    if (!pointed.insert(entity).second || at == things.end() || at->second->name != name ||
        !belongs(*at->second))
      out.add(names_point, "the name '" + name + "' of cluster '" + cluster.name +
                               "' points to no " + std::string(noun) + " of that name");
  });
}

void check_names(findings& out, const partition_state& state) {
  const auto clusters = all_of<cluster_state>(state);
  for (const auto& [id, installation] : all_of<domain::installation_state>(state)) {
    installation->cluster_names.for_each(
        [&, here = id.partition()](const std::string& name, const uuid& cluster) {
          if (cluster.partition() != here)
            return; // it is made there when the message arrives
          const auto at = clusters.find(cluster);
          if (at == clusters.end() || at->second->name != name)
            out.add(names_point, "the name '" + name + "' points to no cluster of that name");
        });
  }
  const auto nodes = all_of<node_state>(state);
  const auto networks = all_of<network_state>(state);
  const auto vms = all_of<vm_state>(state);
  for (const auto& [id, cluster] : clusters) {
    const auto belongs = [owner = id](const auto& thing) { return thing.cluster == owner; };
    check_table(out, *cluster, "node", cluster->node_names, nodes, belongs);
    check_table(out, *cluster, "network", cluster->network_names, networks, belongs);
    check_table(out, *cluster, "VM", cluster->vm_names, vms, belongs);
  }
  const auto is_named = [&](const auto& thing, persistent_map<std::string, uuid> cluster_state::*of,
                            const uuid& self) {
    const auto at = clusters.find(thing.cluster);
    if (at == clusters.end())
      return false;
    const auto* points_to = (at->second->*of).find(thing.name);
    return points_to != nullptr && *points_to == self;
  };
  for (const auto& [id, node] : nodes)
    if (!is_named(*node, &cluster_state::node_names, id))
      out.add(names_point, "no cluster knows node '" + node->name + "' by its name");
  for (const auto& [id, network] : networks)
    if (!is_named(*network, &cluster_state::network_names, id))
      out.add(names_point, "no cluster knows network '" + network->name + "' by its name");
  for (const auto& [id, vm] : vms)
    if (!is_named(*vm, &cluster_state::vm_names, id))
      out.add(names_point, "no cluster knows VM '" + vm->name + "' by its name");
}

} // namespace

std::span<const std::string_view> all_checks() { return names; }

std::vector<violation> check_invariants(const commit_list& commits, const partition_state& state) {
  findings out;
  check_order(out, commits);
  check_repetitions(out, commits);
  check_wholes(out, commits);
  check_addresses_given(out, commits);
  check_lives(out, commits);
  check_jobs(out, commits, state);
  check_fold(out, commits, state);
  auto found = out.take();
  for (const auto& more : {check_usage(commits, usage_rows_of(commits)), check_state(state)})
    found.insert(found.end(), more.begin(), more.end());
  return found;
}

std::vector<violation> check_state(const partition_state& state) {
  findings out;
  check_placements(out, state);
  check_addresses(out, state);
  check_names(out, state);
  return out.take();
}

std::vector<violation> check_guests(const partition_state& state, std::span<const guest> guests) {
  findings out;
  const auto vms = all_of<vm_state>(state);
  std::set<uuid> there;
  for (const auto& one : guests) {
    const auto at = vms.find(one.vm);
    if (!there.insert(one.vm).second)
      out.add(guests_are_vms, "VM " + text_of(one.vm) + " has more than one guest");
    else if (at == vms.end())
      out.add(guests_are_vms, "node " + text_of(one.node) + " has a guest of VM " +
                                  text_of(one.vm) + ", which does not exist");
    else if (at->second->node != one.node)
      out.add(guests_are_vms, "the guest of VM '" + at->second->name + "' is on node " +
                                  text_of(one.node) + ", not on its own");
  }
  for (const auto& [id, vm] : vms) {
    const bool was_seen = vm->observed.state != v1::VmObserved::ABSENT &&
                          vm->observed.state != v1::VmObserved::UNKNOWN;
    if (was_seen && !there.contains(id))
      out.add(guests_are_vms, "VM '" + vm->name + "' was seen, but it has no guest");
  }
  return out.take();
}

std::vector<violation> check_log(const std::vector<std::string>& bodies) {
  commit_list commits;
  partition_state state;
  for (const auto& bytes : bodies) {
    v1::CommitBody body;
    if (!body.ParseFromString(bytes))
      return {{std::string(readable),
               "commit " + std::to_string(commits.size() + 1) + " does not parse"}};
    state.fold(body, commits.size() + 1);
    commits.emplace_back(commits.size() + 1, std::move(body));
  }
  return check_invariants(commits, state);
}

std::string to_text(const std::vector<violation>& found) {
  std::string text;
  for (const auto& one : found)
    text += one.check + ": " + one.text + "\n";
  return text;
}

} // namespace orrery::support
