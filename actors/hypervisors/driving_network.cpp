#include "actors/hypervisors/driving.hpp"
#include "events/domain/nic.hpp"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstdio>
#include <utility>

// What a driving does with the networks of its nodes: ports, who is told of them, and the routers.

namespace orrery::actors {

namespace {

/// The claims of a NIC that shall be on no port any more.
std::vector<uuid> leaving_of(const domain::vm_state& vm) {
  std::vector<uuid> found;
  for (const auto& one : vm.nic.further)
    if (one.is_leaving)
      found.push_back(one.claim);
  return found;
}

/// What was found and done in a node's network: nothing of ours can have drifted on a new one.
void tell(const domain::node_state& node, const pvip::apply_report& report, bool is_new) {
  for (const auto& line : report.drift)
    std::fprintf(stderr, "%s: node %s: %s: %s\n", is_new ? "info" : "warn", node.name.c_str(),
                 is_new ? "set up" : "drift repaired", line.c_str());
}

/// A port, and what it takes to know whether its guest runs.
struct guest_port {
  uuid vm;
  pvip::port port;
  bool may_run = false; ///< by the log; a node that has just come back may not list it yet
};

/// Decides of each port whether its guest runs, by the hypervisor's list, and by the log where that
/// says nothing.
void look_who_runs(std::vector<guest_port>& ports,
                   const result<std::vector<drivers::guest_seen>>& listed) {
  std::unordered_map<uuid, bool> runs;
  if (listed)
    for (const auto& one : *listed)
      runs.emplace(one.vm.value, one.condition == drivers::guest_condition::running);
  for (auto& each : ports) {
    const auto found = runs.find(each.vm);
    each.port.announced = found == runs.end() ? each.may_run : found->second;
  }
}

/// The routers with whom it stands as `other` says, whatever the reason.
bool is_same_standing(const std::vector<domain::upstream_session>& one,
                      const std::vector<domain::upstream_session>& other) {
  return std::ranges::equal(one, other, [](const auto& left, const auto& right) {
    return left.router == right.router && left.established == right.established;
  });
}

/// Whether each router that does not speak with the node did not at the look before, either: what
/// begins, or begins again at once, is no news.
bool is_settled(const std::vector<domain::upstream_session>& now,
                const std::vector<domain::upstream_session>& before) {
  return std::ranges::all_of(now, [&before](const auto& one) {
    return one.established || std::ranges::any_of(before, [&one](const auto& other) {
             return other.router == one.router && !other.established;
           });
  });
}

} // namespace

void cluster_driving::on_cluster(const domain::entity_ptr& state) {
  const auto& cluster = std::get<domain::cluster_state>(*state);
  if (cluster.version < x_cluster_version)
    return; // as with nodes: the newer word counts
  x_cluster_version = cluster.version;
  auto wish = wish_of(cluster);
  if (wish == x_upstream)
    return;
  const bool is_arp_changed = wish.arp_uplink() != x_upstream.arp_uplink();
  x_upstream = std::move(wish);
  for (auto& [node, entry] : x_nodes) {
    if (entry.phase != node_phase::serving)
      continue; // it is done when the node is served
    if (is_arp_changed)
      answer_arp(node);
    speak_with_routers(node);
  }
}

void cluster_driving::on_network(const uuid& network, const domain::network_state& state) {
  const auto before = settings_of(network);
  x_settings[network] = state.guests;
  // Each address that is given out is a change of the network; its settings stay the same object.
  if (before == state.guests ||
      google::protobuf::util::MessageDifferencer::Equals(*before, *state.guests))
    return;
  for (const auto& [vm, guest] : x_guests)
    if (guest.vm().network == network)
      amend_port(vm, guest);
}

std::shared_ptr<const v1::GuestSettings> cluster_driving::settings_of(const uuid& network) const {
  static const auto of_none = std::make_shared<const v1::GuestSettings>();
  const auto known = x_settings.find(network);
  return known == x_settings.end() ? of_none : known->second;
}

void cluster_driving::amend_port(const uuid& vm, const guest_entry& guest) {
  const auto at = x_nodes.find(guest.vm().node);
  if (at == x_nodes.end())
    return;
  auto& node = at->second;
  if (node.phase != node_phase::serving) {
    node.ports_to_amend.insert(vm); // it is done when the node is served
    return;
  }
  node.bench->tasks->add(
      vm,
      [this, vm, name = node.node().name, nonce = node.nonce, post = x_hands.poster(),
       to = node.bench.get(), leaving = leaving_of(guest.vm()),
       port = port_of(guest.vm(), *settings_of(guest.vm().network), node.bench->link.guest_uid)] {
        // What cannot be done now is looked at again with each sweep.
        if (const auto done = to->link.network->amend(port); !done)
          std::fprintf(stderr, "warn: node %s: the port of %s is not as it shall be: %s\n",
                       name.c_str(), to_text(vm_id{vm}).c_str(), done.error().text.c_str());
        else if (!leaving.empty())
          post([this, vm, nonce, leaving] { note_port(vm, nonce, leaving); });
      });
}

void cluster_driving::note_port(const uuid& vm, std::uint64_t nonce,
                                const std::vector<uuid>& without) {
  if (!is_served(vm, nonce))
    return; // another will say it
  const auto& guest = x_guests.at(vm).vm();
  v1::Command noted;
  auto* body = noted.mutable_vm()->mutable_note_port();
  domain::set(body->mutable_node(), guest.node);
  body->set_node_epoch(x_nodes.at(guest.node).node().epoch);
  for (const auto& claim : without)
    domain::set(body->add_without(), claim);
  send_command(std::move(noted), vm);
}

void cluster_driving::prepare(const uuid& node) {
  auto& entry = x_nodes.at(node);
  entry.phase = node_phase::preparing;
  entry.ports_to_amend = entry.bench->tasks->busy();
  std::vector<guest_port> ports;
  for (const auto& [vm, guest] : x_guests) {
    const auto seen = guest.vm().observed.state;
    if (guest.vm().node == node && guest.vm().nic.has_address())
      ports.push_back(
          {vm, port_of(guest.vm(), *settings_of(guest.vm().network), entry.bench->link.guest_uid),
           domain::is_on(seen) || seen == v1::VmObserved::UNKNOWN});
  }
  entry.bench->tasks->add({}, [this, node, nonce = entry.nonce, post = x_hands.poster(),
                               to = entry.bench.get(), installation = x_birth.installation,
                               uplink = x_upstream.arp_uplink(), token = token(),
                               ports = std::move(ports)]() mutable {
    auto report =
        std::make_shared<network_report>(network_report{to->link.hypervisor->list(installation)});
    if (report->listed)
      if (const auto newer = newer_owner(*report->listed, token)) {
        report->done = error{error_code::conflict, *newer};
        return post([this, node, nonce, report] { on_prepared(node, nonce, *report); });
      }
    look_who_runs(ports, report->listed);
    std::vector<pvip::port> wanted;
    for (auto& each : ports) {
      if (each.port.announced)
        report->announced.insert(each.vm);
      wanted.push_back(std::move(each.port));
    }
    report->done = to->link.network->answer_on(uplink);
    if (report->done)
      report->done = to->link.network->reconcile(std::move(wanted));
    post([this, node, nonce, report] { on_prepared(node, nonce, *report); });
  });
}

void cluster_driving::on_prepared(const uuid& node, std::uint64_t nonce,
                                  const network_report& report) {
  auto& entry = x_nodes.at(node);
  if (entry.phase != node_phase::preparing || entry.nonce != nonce)
    return; // lost meanwhile
  if (!report.done)
    return lose(node, "its network cannot be prepared: " + report.done.error().text);
  const bool is_seen_first = entry.node().epoch <= 1;
  tell(entry.node(), *report.done, is_seen_first);
  entry.phase = node_phase::serving;
  entry.last_sweep = x_birth.steady_clock();
  entry.is_speaking = false;
  entry.sessions_seen.clear();
  entry.was_silent = false;
  const auto to_amend = std::exchange(entry.ports_to_amend, {});
  for (auto& [vm, guest] : x_guests)
    if (guest.vm().node == node) {
      if (to_amend.contains(vm) || !leaving_of(guest.vm()).empty())
        amend_port(vm, guest);
      guest.is_announced = report.announced.contains(vm);
      ask_guest(vm, true);
    }
  if (report.listed)
    on_guests_listed(node, report.listed);
  else
    look_for_strays(node);
  speak_with_routers(node);
}

void cluster_driving::answer_arp(const uuid& node) {
  auto& entry = x_nodes.at(node);
  entry.bench->tasks->add(
      {}, [uplink = x_upstream.arp_uplink(), name = entry.node().name, to = entry.bench.get()] {
        // What is done is what was asked for; what could not be is looked at again with each sweep.
        if (const auto done = to->link.network->answer_on(uplink); !done)
          std::fprintf(stderr, "warn: node %s: ARP is not answered on %s: %s\n", name.c_str(),
                       uplink.empty() ? "no link" : uplink.c_str(), done.error().text.c_str());
      });
}

void cluster_driving::recheck_network(const uuid& node) {
  auto& entry = x_nodes.at(node);
  entry.bench->tasks->add({}, [this, node, post = x_hands.poster(), to = entry.bench.get()] {
    auto report = std::make_shared<result<pvip::apply_report>>(to->link.network->recheck());
    auto announced =
        std::make_shared<std::unordered_set<std::string>>(to->link.network->announced());
    post([this, node, report, announced] {
      const auto& state = x_nodes.at(node).node();
      if (!*report)
        std::fprintf(stderr, "warn: node %s: its network cannot be looked at: %s\n",
                     state.name.c_str(), report->error().text.c_str());
      else
        tell(state, **report, false);
      announce_guests(node, *announced);
    });
  });
}

void cluster_driving::announce_guests(const uuid& node,
                                      const std::unordered_set<std::string>& announced) {
  for (auto& [vm, guest] : x_guests) {
    if (guest.vm().node != node || guest.is_busy)
      continue;
    if (!leaving_of(guest.vm()).empty())
      amend_port(vm, guest); // what was said of it was not heard
    guest.is_announced = announced.contains(domain::link_of(guest.vm().nic.nic));
    announce_guest(vm, guest);
  }
}

void cluster_driving::announce_guest(const uuid& vm, guest_entry& guest) {
  const auto seen = guest.vm().observed.state;
  const auto wanted = domain::effects(guest.vm());
  const bool is_starting = wanted.verb == domain::wanted_verb::run && guest.done == wanted;
  // What is under way would be undone behind it; what was done has its facts come one by one.
  if (guest.is_busy || is_starting || seen == v1::VmObserved::UNKNOWN ||
      domain::is_on(seen) == guest.is_announced)
    return;
  auto* node = serving_node_of(guest);
  if (node == nullptr)
    return; // it is done when the node is served
  guest.is_announced = domain::is_on(seen);
  node->bench->tasks->add(vm, [this, vm, link = domain::link_of(guest.vm().nic.nic),
                               announced = guest.is_announced, nonce = node->nonce,
                               name = node->node().name, post = x_hands.poster(),
                               to = node->bench.get()] {
    const auto done = to->link.network->announce(link, announced);
    if (done)
      return;
    std::fprintf(stderr, "warn: node %s: guest %s cannot be %s: %s\n", name.c_str(),
                 to_text(vm_id{vm}).c_str(), announced ? "announced" : "withdrawn",
                 done.error().text.c_str());
    post([this, vm, announced, nonce] {
      if (is_served(vm, nonce))
        x_guests.at(vm).is_announced = !announced; // the next sweep tries again
    });
  });
}

void cluster_driving::remove_port(const uuid& vm, const guest_entry& guest) {
  auto* node = serving_node_of(guest);
  if (guest.done.verb == domain::wanted_verb::remove || node == nullptr)
    return; // it went with the guest, or goes when the node is served
  node->bench->tasks->add(vm, [vm, link = domain::link_of(guest.vm().nic.nic),
                               name = node->node().name, to = node->bench.get()] {
    if (const auto done = to->link.network->remove(link); !done)
      std::fprintf(stderr, "warn: node %s: the port of %s, which is gone, stays: %s\n",
                   name.c_str(), to_text(vm_id{vm}).c_str(), done.error().text.c_str());
  });
}

void cluster_driving::speak_with_routers(const uuid& node) {
  auto& entry = x_nodes.at(node);
  entry.last_words = x_birth.steady_clock();
  if (std::exchange(entry.is_speaking, true))
    return;
  entry.bench->tasks->add({}, [this, node, nonce = entry.nonce, wish = x_upstream,
                               post = x_hands.poster(), to = entry.bench.get()] {
    auto report = std::make_shared<upstream_report>(speak(to->link, wish));
    post([this, node, nonce, wish, report] {
      auto& now = x_nodes.at(node);
      if (now.phase != node_phase::serving || now.nonce != nonce)
        return; // lost meanwhile
      now.is_speaking = false;
      if (wish == x_upstream)
        on_spoken(node, *report);
      else
        speak_with_routers(node); // another was wished meanwhile
    });
  });
}

void cluster_driving::on_spoken(const uuid& node, const upstream_report& report) {
  auto& entry = x_nodes.at(node);
  const auto before = std::exchange(entry.sessions_seen, report.sessions);
  const bool was_silent = std::exchange(entry.was_silent, report.is_silence);
  const auto& state = entry.node();
  if (report.is_silence && !was_silent)
    return; // as with sessions
  if (!is_settled(report.sessions, before) || (report.problem == state.upstream_problem &&
                                               is_same_standing(report.sessions, state.upstream)))
    return;
  v1::Command noted;
  auto* body = noted.mutable_node()->mutable_note_upstream();
  body->set_nonce(entry.nonce);
  for (const auto& one : report.sessions) {
    auto* session = body->add_sessions();
    session->set_router(one.router);
    session->set_established(one.established);
    session->set_reason(one.reason);
  }
  body->set_problem(report.problem);
  send_command(std::move(noted), node);
}

} // namespace orrery::actors
