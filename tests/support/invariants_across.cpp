#include "events/core/net.hpp"
#include "tests/support/findings.hpp"

#include <algorithm>

// Checks over several partitions: what crosses them, and what they must agree on.

namespace orrery::support {

namespace {

/// Messages by (source, target), in the order in which they were sent or decided.
using streams =
    std::map<std::pair<partition_number, partition_number>, std::vector<const v1::Command*>>;

streams sent_in(const std::map<partition_number, commit_list>& commits) {
  streams found;
  for (const auto& [where, list] : commits)
    for (const auto& [seq, body] : list)
      for (const auto& sent : body.outbox())
        found[{where, domain::target_of(sent)}].push_back(&sent);
  return found;
}

streams decided_in(const std::map<partition_number, commit_list>& commits) {
  streams found;
  for (const auto& [where, list] : commits)
    for (const auto& [seq, body] : list)
      for (const auto& decision : body.decisions())
        if (decision.command().has_stream())
          found[{domain::source_of(decision.command()), where}].push_back(&decision.command());
  return found;
}

std::string text_of(const std::pair<partition_number, partition_number>& ends) {
  return "the stream from partition " + to_text(ends.first) + " to " + to_text(ends.second);
}

bool is_numbered(const std::vector<const v1::Command*>& messages) {
  std::uint64_t number = 0;
  return std::ranges::all_of(
      messages, [&number](const auto* one) { return one->stream().number() == ++number; });
}

} // namespace

std::vector<violation> check_streams(const std::map<partition_number, commit_list>& commits,
                                     bool is_settled) {
  findings out;
  const auto sent = sent_in(commits);
  for (const auto& [ends, messages] : sent)
    if (!is_numbered(messages))
      out.add(streams_in_order, text_of(ends) + " is not numbered from 1 without a gap");
  const auto decided = decided_in(commits);
  for (const auto& [ends, messages] : decided) {
    const auto from = sent.find(ends);
    const auto known = from == sent.end() ? 0 : from->second.size();
    if (!is_numbered(messages) || messages.size() > known) {
      out.add(streams_in_order,
              text_of(ends) + " is not decided in order, each once, or more than was sent");
      continue;
    }
    for (std::size_t i = 0; i < messages.size(); ++i)
      if (messages[i]->SerializeAsString() != from->second[i]->SerializeAsString())
        out.add(streams_in_order, "message " + std::to_string(i + 1) + " of " + text_of(ends) +
                                      " is decided with other bytes than were sent");
  }
  for (const auto& [ends, messages] : sent) {
    const auto to = decided.find(ends);
    if (is_settled && messages.size() > (to == decided.end() ? 0 : to->second.size()))
      out.add(streams_arrive, text_of(ends) + " has messages that were never decided");
  }
  return out.take();
}

namespace {

/// The networks of all partitions, and what the installation says that they hold.
struct space {
  std::map<uuid, const domain::network_state*> networks;
  std::map<uuid, domain::held_prefix> held;
};

space space_of(const all_states& states) {
  space made;
  for (const auto& [where, state] : states) {
    made.networks.merge(all_of<domain::network_state>(*state));
    for (const auto& [id, installation] : all_of<domain::installation_state>(*state))
      installation->prefixes.for_each([&made](const uuid& network, const domain::held_prefix& one) {
        made.held.emplace(network, one);
      });
  }
  return made;
}

/// Sorted by their beginnings, prefixes that overlap stand beside each other.
void check_held_once(findings& out, const space& all) {
  std::vector<std::pair<ip_prefix, std::string>> sorted;
  for (const auto& [network, one] : all.held) {
    sorted.emplace_back(ip_prefix{one.prefix.base, one.prefix.length}, one.network);
    if (one.prefix6)
      sorted.emplace_back(ip_prefix{one.prefix6->base, one.prefix6->length}, one.network);
  }
  std::ranges::sort(sorted);
  for (std::size_t i = 1; i < sorted.size(); ++i)
    if (const auto& before = sorted[i - 1], &one = sorted[i]; before.first.overlaps(one.first))
      out.add(prefix_once, orrery::to_text(one.first) + " of network '" + one.second +
                               "' overlaps " + orrery::to_text(before.first) + " of network '" +
                               before.second + "'");
}

bool holds_its_prefix(const domain::network_state& network, const domain::held_prefix* held) {
  return held != nullptr && held->cluster == network.cluster && held->network == network.name &&
         network.subnets.size() == 1 && held->prefix == network.subnets.front().prefix &&
         held->prefix6 == network.subnets.front().prefix6;
}

} // namespace

std::vector<violation> check_space(const all_states& states, bool is_settled) {
  findings out;
  const auto all = space_of(states);
  check_held_once(out, all);
  for (const auto& [id, network] : all.networks) {
    const auto at = all.held.find(id);
    const auto* held = at == all.held.end() ? nullptr : &at->second;
    const bool is_ready = network->stage == domain::network_stage::ready;
    if (is_ready && !holds_its_prefix(*network, held))
      out.add(granted_first, "network '" + network->name + "' (" + text_of(id) +
                                 ") is ready, but the installation granted it no such prefix");
    if (!is_ready && !network->addresses_of.empty())
      out.add(granted_first, "network '" + network->name + "' (" + text_of(id) +
                                 ") has given out addresses, but it is not ready");
    if (is_settled && !is_ready)
      out.add(prefixes_are_networks,
              "network '" + network->name + "' (" + text_of(id) + ") waits for an answer");
  }
  for (const auto& [id, one] : all.held)
    if (is_settled && !all.networks.contains(id))
      out.add(prefixes_are_networks, orrery::to_text(one.prefix) + " is held for network " +
                                         text_of(id) + ", which does not exist");
  return out.take();
}

} // namespace orrery::support
