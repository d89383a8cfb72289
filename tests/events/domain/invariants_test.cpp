#include "projections/rows.hpp"
#include "projections/usage_rows.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/usage_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <set>

namespace orrery::support {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> names_of(const std::vector<violation>& found) {
  std::set<std::string> names;
  for (const auto& one : found)
    names.insert(one.check);
  return {names.begin(), names.end()};
}

/// A history of every rule, and hands that forge it: what is forged is folded, so that only the
/// rule under test is broken.
class forgery {
public:
  forgery() {
    auto at = world_with_running_vm();
    at.must(place_vm({.number = 2, .name = "db"}));
    at.must(stop_vm());
    at.see(1, v1::VmObserved::STOPPED, v1::VmObserved::HOST);
    commits = at.commits();
    end = at.now() + std::chrono::seconds(1);
  }

  /// A record of one decision with one step, after all others.
  v1::Step& append(const uuid& entity) {
    end += std::chrono::seconds(1);
    auto& [seq, body] = commits.emplace_back(commits.back().first + 1, v1::CommitBody());
    body.set_decided_at(to_micros(end));
    auto* step = body.add_decisions()->add_steps();
    domain::set(step->mutable_entity(), entity);
    return *step;
  }

  v1::Decision& last() { return *commits.back().second.mutable_decisions(0); }

  [[nodiscard]] domain::partition_state folded() const {
    domain::partition_state state;
    for (const auto& [seq, body] : commits)
      state.fold(body, seq);
    return state;
  }

  [[nodiscard]] std::vector<std::string> broken() const {
    return names_of(check_invariants(commits, folded()));
  }

  commit_list commits;
  utc_time end;
};

TEST(invariants, hold_of_a_true_history) {
  const forgery forged;
  EXPECT_THAT(forged.broken(), IsEmpty());
}

TEST(invariants, have_a_test_each) {
  // The names below, each in a test of this file that breaks it alone.
  EXPECT_THAT(all_checks(),
              testing::UnorderedElementsAre(
                  "readable", "sequence_rises", "state_is_fold", "times_rise", "effective_in_order",
                  "refusal_changes_nothing", "key_once", "origin_once", "create_is_one_record",
                  "placements_are_vms", "capacity_is_sum", "addresses_are_nics", "address_once",
                  "release_by_fact", "names_point", "job_ends_once", "activity_is_job",
                  "generations_rise", "node_epochs_rise", "sayings_in_order", "guests_are_vms",
                  "streams_in_order", "streams_arrive", "prefix_once", "granted_first",
                  "prefixes_are_networks", "usage_tiles_lives"));
}

TEST(invariants, find_a_record_out_of_sequence) {
  forgery forged;
  forged.append(installation()).add_events()->mutable_installation()->mutable_clock_trusted();
  forged.commits.back().first = forged.commits.front().first;
  EXPECT_THAT(forged.broken(), ElementsAre("sequence_rises"));
}

TEST(invariants, find_a_state_that_is_not_the_fold) {
  forgery forged;
  const auto older = forged.folded();
  forged.append(installation()).add_events()->mutable_installation()->mutable_clock_trusted();
  EXPECT_THAT(names_of(check_invariants(forged.commits, older)), ElementsAre("state_is_fold"));
}

TEST(invariants, find_a_time_that_stands_still) {
  forgery forged;
  const auto before = domain::last_time(forged.commits.back().second);
  forged.append(installation()).add_events()->mutable_installation()->mutable_clock_trusted();
  forged.commits.back().second.set_decided_at(to_micros(before));
  EXPECT_THAT(forged.broken(), ElementsAre("times_rise"));
}

v1::Event* add_started(v1::Step& step, std::uint64_t number, utc_time effective_at) {
  auto* event = step.add_events();
  event->set_effective_at(to_micros(effective_at));
  auto* source = event->mutable_vm()->mutable_started()->mutable_source();
  domain::set(source->mutable_node(), node());
  source->set_node_epoch(1);
  source->set_number(number);
  source->set_generation(2);
  return event;
}

TEST(invariants, find_a_fact_before_the_last_one) {
  forgery forged;
  add_started(forged.append(vm()), 99, start_of_time() - std::chrono::seconds(1));
  EXPECT_THAT(forged.broken(), ElementsAre("effective_in_order"));
}

TEST(invariants, find_a_fact_after_its_decision) {
  forgery forged;
  auto& step = forged.append(vm());
  add_started(step, 99, forged.end + std::chrono::seconds(1));
  EXPECT_THAT(forged.broken(), ElementsAre("effective_in_order"));
}

TEST(invariants, find_an_event_under_a_refusal) {
  forgery forged;
  forged.append(installation()).add_events()->mutable_installation()->mutable_clock_trusted();
  forged.last().mutable_reply()->set_code(static_cast<std::uint32_t>(error_code::busy));
  EXPECT_THAT(forged.broken(), ElementsAre("refusal_changes_nothing"));
}

TEST(invariants, find_a_key_that_took_effect_twice) {
  forgery forged;
  for (int time = 0; time < 2; ++time) {
    forged.append(installation()).add_events()->mutable_installation()->mutable_clock_trusted();
    forged.last().mutable_command()->mutable_key()->set_key_hash(5);
  }
  EXPECT_THAT(forged.broken(), ElementsAre("key_once"));
}

TEST(invariants, allow_a_key_again_after_its_age) {
  forgery forged;
  for (int time = 0; time < 2; ++time) {
    forged.append(installation()).add_events()->mutable_installation()->mutable_clock_trusted();
    forged.last().mutable_command()->mutable_key()->set_key_hash(5);
    forged.end += domain::partition_state::key_age_max;
  }
  EXPECT_THAT(forged.broken(), IsEmpty());
}

TEST(invariants, find_an_origin_number_decided_twice) {
  forgery forged;
  for (int time = 0; time < 2; ++time) {
    forged.append(installation()).add_events()->mutable_installation()->mutable_clock_trusted();
    forged.last().mutable_command()->mutable_origin()->set_nonce(5);
    forged.last().mutable_command()->mutable_origin()->set_number(1);
  }
  EXPECT_THAT(forged.broken(), ElementsAre("origin_once"));
}

TEST(invariants, find_a_create_in_two_records) {
  forgery forged;
  for (std::size_t at = 0; at < forged.commits.size(); ++at) {
    auto& [seq, body] = forged.commits[at];
    const auto types = types_of(body.decisions(0));
    if (types.empty() || types.front() != "cluster.vm_placed")
      continue;
    // The first step stays, the others go into a record of their own.
    auto rest = body;
    rest.set_decided_at(body.decided_at() + 1);
    rest.mutable_decisions(0)->mutable_command()->clear_origin();
    rest.mutable_decisions(0)->mutable_steps()->DeleteSubrange(0, 1);
    body.mutable_decisions(0)->mutable_steps()->DeleteSubrange(1, 3);
    forged.commits.insert(forged.commits.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                          {seq, rest});
    break;
  }
  std::uint64_t number = 0;
  for (auto& [seq, body] : forged.commits)
    seq = ++number;
  EXPECT_THAT(forged.broken(), ElementsAre("create_is_one_record"));
}

TEST(invariants, find_a_vm_without_its_capacity) {
  forgery forged;
  // With its name kept, so that only the room is missing: placed again elsewhere under its name.
  auto& step = forged.append(cluster());
  auto* placed = step.add_events()->mutable_cluster()->mutable_vm_placed();
  domain::set(placed->mutable_vm(), vm());
  placed->set_name("web");
  domain::set(placed->mutable_node(), node(9));
  placed->set_vcpus(0);
  placed->set_memory_mib(0);
  EXPECT_THAT(forged.broken(), testing::Contains("placements_are_vms"));
}

TEST(invariants, find_capacity_held_for_nobody) {
  forgery forged;
  auto* placed = forged.append(cluster()).add_events()->mutable_cluster()->mutable_vm_placed();
  domain::set(placed->mutable_vm(), vm(77));
  placed->set_name("ghost");
  domain::set(placed->mutable_node(), node());
  placed->set_vcpus(1);
  EXPECT_THAT(forged.broken(), ElementsAre("names_point", "placements_are_vms"));
}

TEST(invariants, find_a_ledger_that_does_not_add_up) {
  forgery forged;
  auto* joined = forged.append(cluster()).add_events()->mutable_cluster()->mutable_node_joined();
  domain::set(joined->mutable_node(), node()); // joined again: its ledger starts at nothing
  joined->set_name("n1");
  EXPECT_THAT(forged.broken(), ElementsAre("capacity_is_sum"));
}

TEST(invariants, find_an_address_that_the_network_did_not_give) {
  forgery forged;
  auto given =
      domain::to_proto(std::get<domain::vm_state>(*forged.folded().find(vm())).nic, network());
  given.set_address(address_of("10.99.0.200").bits);
  *forged.append(vm()).add_events()->mutable_vm()->mutable_address_given()->mutable_nic() = given;
  EXPECT_THAT(forged.broken(), ElementsAre("addresses_are_nics"));
}

TEST(invariants, find_an_ipv6_address_that_is_not_the_pair_of_the_other) {
  forgery forged;
  auto given =
      domain::to_proto(std::get<domain::vm_state>(*forged.folded().find(vm())).nic, network());
  given.mutable_address6()->set_a(0x20010db800000000U);
  *forged.append(vm()).add_events()->mutable_vm()->mutable_address_given()->mutable_nic() = given;
  EXPECT_THAT(forged.broken(), ElementsAre("addresses_are_nics"));
}

TEST(invariants, find_an_address_given_while_another_has_it) {
  forgery forged;
  const auto folded = forged.folded();
  auto given = domain::to_proto(std::get<domain::vm_state>(*folded.find(vm(2))).nic, network());
  given.set_address(std::get<domain::vm_state>(*folded.find(vm(1))).nic.address.bits);
  auto& step = forged.append(network());
  auto* released = step.add_events()->mutable_network()->mutable_address_released();
  domain::set(released->mutable_subnet(), subnet());
  *released->mutable_nic() = given.nic();
  released->set_address(std::get<domain::vm_state>(*folded.find(vm(2))).nic.address.bits);
  auto* assigned = step.add_events()->mutable_network()->mutable_address_assigned();
  domain::set(assigned->mutable_subnet(), subnet());
  *assigned->mutable_nic() = given.nic();
  domain::set(assigned->mutable_vm(), vm(2));
  assigned->set_address(given.address());
  *forged.append(vm(2)).add_events()->mutable_vm()->mutable_address_given()->mutable_nic() = given;
  EXPECT_THAT(forged.broken(), ElementsAre("address_once", "release_by_fact"))
      << "an address moves only by a release, which needs a removal";
}

TEST(invariants, find_an_address_released_without_its_vm_seen_gone) {
  forgery forged;
  const auto folded = forged.folded();
  const auto given = std::get<domain::vm_state>(*folded.find(vm())).nic;
  auto& step = forged.append(network());
  auto* released = step.add_events()->mutable_network()->mutable_address_released();
  domain::set(released->mutable_subnet(), subnet());
  domain::set(released->mutable_nic(), given.nic);
  released->set_address(given.address.bits);
  auto* assigned = step.add_events()->mutable_network()->mutable_address_assigned();
  domain::set(assigned->mutable_subnet(), subnet());
  domain::set(assigned->mutable_nic(), given.nic);
  domain::set(assigned->mutable_vm(), vm());
  assigned->set_address(given.address.bits);
  EXPECT_THAT(forged.broken(), ElementsAre("release_by_fact"));
}

TEST(invariants, find_a_name_that_points_to_nothing) {
  forgery forged;
  auto* named =
      forged.append(installation()).add_events()->mutable_installation()->mutable_cluster_named();
  domain::set(named->mutable_cluster(), cluster(9));
  named->set_name("ghost");
  EXPECT_THAT(forged.broken(), ElementsAre("names_point"));
}

TEST(invariants, find_a_thing_without_its_name) {
  forgery forged;
  auto* created = forged.append(network(9)).add_events()->mutable_network()->mutable_created();
  domain::set(created->mutable_cluster(), cluster());
  created->set_name("ghost");
  EXPECT_THAT(forged.broken(), ElementsAre("names_point"));
}

TEST(invariants, find_a_job_that_ended_twice) {
  forgery forged;
  v1::JobEvent::Ended first;
  for (const auto& [seq, body] : forged.commits)
    for (const auto& decision : body.decisions())
      if (const auto* ended = job_end_of(decision))
        first = *ended;
  *forged.append(vm()).add_events()->mutable_vm()->mutable_job_ended() = first;
  EXPECT_THAT(forged.broken(), ElementsAre("job_ends_once"));
}

TEST(invariants, find_a_job_that_runs_without_its_vm_knowing) {
  forgery forged;
  auto& step = forged.append(vm());
  for (std::uint32_t number = 901; number <= 902; ++number) {
    auto* started = step.add_events()->mutable_vm()->mutable_job_started();
    domain::set(started->mutable_job(), command_number(number));
    started->set_kind(v1::VM_START);
    started->set_generation(2);
  }
  EXPECT_THAT(forged.broken(), ElementsAre("activity_is_job"));
}

TEST(invariants, find_a_wish_of_an_old_generation) {
  forgery forged;
  forged.append(vm()).add_events()->mutable_vm()->mutable_stop_requested()->set_generation(2);
  EXPECT_THAT(forged.broken(), ElementsAre("generations_rise"));
}

TEST(invariants, find_a_node_epoch_that_does_not_rise) {
  forgery forged;
  auto* connected = forged.append(node()).add_events()->mutable_node()->mutable_connected();
  connected->set_epoch(1);
  EXPECT_THAT(forged.broken(), ElementsAre("node_epochs_rise"));
}

TEST(invariants, find_an_older_saying_after_a_newer_one) {
  forgery forged;
  auto& step = forged.append(vm());
  add_started(step, 1, forged.end);
  EXPECT_THAT(forged.broken(), ElementsAre("sayings_in_order"));
}

TEST(invariants, find_guests_that_are_not_the_vms) {
  const auto state = forgery().folded();
  const guest web{vm(1), node()};
  const guest db{vm(2), node()};
  const auto broken = [&state](const std::vector<guest>& guests) {
    return names_of(check_guests(state, guests));
  };
  EXPECT_THAT(broken({web, db}), IsEmpty());
  EXPECT_THAT(broken({web}), IsEmpty()) << "db was never seen: it may have no guest yet";
  EXPECT_THAT(broken({db}), ElementsAre("guests_are_vms")) << "web was seen";
  EXPECT_THAT(broken({web, web}), ElementsAre("guests_are_vms")) << "twice";
  EXPECT_THAT(broken({web, {vm(1), node(2)}}), ElementsAre("guests_are_vms")) << "on two nodes";
  EXPECT_THAT(broken({{vm(1), node(2)}}), ElementsAre("guests_are_vms")) << "elsewhere";
  EXPECT_THAT(broken({web, {vm(9), node()}}), ElementsAre("guests_are_vms")) << "leaked";
}

TEST(check_log, reads_serialised_bodies) {
  forgery forged;
  std::vector<std::string> bodies;
  for (const auto& [seq, body] : forged.commits)
    bodies.push_back(body.SerializeAsString());
  EXPECT_EQ(to_text(check_log(bodies)), "");
  auto damaged = bodies;
  damaged[3] = "\xff\xff not a record";
  EXPECT_THAT(names_of(check_log(damaged)), ElementsAre("readable"));
  std::swap(bodies[2], bodies[3]);
  EXPECT_THAT(names_of(check_log(bodies)), testing::Contains("times_rise"));
}

/// A stream of three messages from partition 0 to 2, all decided.
class forged_streams {
public:
  forged_streams() {
    auto& sent = commits[partition_number{0}].emplace_back(1, v1::CommitBody()).second;
    for (std::uint64_t number = 1; number <= 3; ++number) {
      auto* message = sent.add_outbox();
      domain::set(message->mutable_entity(),
                  make_uuid(start_of_time(), partition_number{2}, number));
      message->mutable_stream()->set_number(number);
      *decided().add_decisions()->mutable_command() = *message;
    }
  }

  v1::CommitBody& decided() {
    auto& list = commits[partition_number{2}];
    return list.empty() ? list.emplace_back(1, v1::CommitBody()).second : list.back().second;
  }

  v1::CommitBody& sent() { return commits[partition_number{0}].back().second; }

  [[nodiscard]] std::vector<std::string> broken(bool is_settled = true) const {
    return names_of(check_streams(commits, is_settled));
  }

  std::map<partition_number, commit_list> commits;
};

TEST(invariants, hold_of_true_streams) { EXPECT_THAT(forged_streams().broken(), IsEmpty()); }

TEST(invariants, find_a_message_that_never_arrives) {
  forged_streams forged;
  forged.decided().mutable_decisions()->RemoveLast();
  EXPECT_THAT(forged.broken(), ElementsAre("streams_arrive"));
  EXPECT_THAT(forged.broken(false), IsEmpty()) << "it may be on its way";
}

TEST(invariants, find_a_message_that_was_decided_twice) {
  forged_streams forged;
  *forged.decided().add_decisions() = forged.decided().decisions(2);
  EXPECT_THAT(forged.broken(), ElementsAre("streams_in_order"));
}

TEST(invariants, find_a_message_out_of_turn) {
  forged_streams forged;
  forged.decided().mutable_decisions()->SwapElements(0, 1);
  EXPECT_THAT(forged.broken(), ElementsAre("streams_in_order"));
}

TEST(invariants, find_a_message_that_nobody_sent) {
  forged_streams forged;
  forged.sent().mutable_outbox()->RemoveLast();
  EXPECT_THAT(forged.broken(), ElementsAre("streams_in_order"));
}

TEST(invariants, find_a_message_that_became_another) {
  forged_streams forged;
  forged.decided().mutable_decisions(1)->mutable_command()->mutable_vm()->mutable_stop();
  EXPECT_THAT(forged.broken(), ElementsAre("streams_in_order"));
}

TEST(invariants, find_a_gap_in_what_was_sent) {
  forged_streams forged;
  forged.sent().mutable_outbox()->DeleteSubrange(0, 1);
  forged.decided().mutable_decisions()->DeleteSubrange(0, 1);
  EXPECT_THAT(forged.broken(), ElementsAre("streams_in_order"));
}

/// An installation in partition 0 that granted networks of two clusters in other partitions their
/// prefixes, and hands that forge it.
class forged_space {
public:
  forged_space() {
    installation.must(found());
    for (const auto number : {1U, 2U}) {
      auto& at = clusters[number - 1];
      at.must(create_far_cluster());
      at.must(add_network(wish(number)));
      at.must(settle_claim(number));
      grant(number, wish(number).prefix);
    }
  }

  static network_wish wish(std::uint32_t number) {
    const auto begin = "10." + std::to_string(number) + ".0.";
    return {.number = number,
            .name = "lan" + std::to_string(number),
            .prefix = begin + "0/24",
            .gateway = begin + "1"};
  }

  void grant(std::uint32_t number, std::string_view prefix) {
    v1::CommitBody body;
    auto* step = body.add_decisions()->add_steps();
    domain::set(step->mutable_entity(), support::installation());
    auto* granted = step->add_events()->mutable_installation()->mutable_prefix_granted();
    domain::set(granted->mutable_network(), network(number));
    domain::set(granted->mutable_cluster(), cluster());
    granted->set_name(wish(number).name);
    granted->set_prefix(prefix_of(prefix).base.bits);
    granted->set_prefix_length(prefix_of(prefix).length);
    more.push_back(body);
  }

  [[nodiscard]] std::vector<std::string> broken(bool is_settled = true) const {
    auto state = installation.state();
    std::uint64_t seq = 100;
    for (const auto& body : more)
      state.fold_alone(body, ++seq);
    return names_of(check_space({{partition_number{0}, &state},
                                 {partition_number{1}, &clusters[0].state()},
                                 {partition_number{2}, &clusters[1].state()}},
                                is_settled));
  }

  world installation;
  std::array<world, 2> clusters;
  std::vector<v1::CommitBody> more; ///< records of the installation's partition
};

/// A VM that is gone and one that ran, stopped and runs again.
commit_list history_of_two_lives() {
  auto at = world_with_running_vm();
  at.must(place_vm({.number = 2, .name = "db"}));
  for (const auto state :
       {v1::VmObserved::RUNNING, v1::VmObserved::STOPPED, v1::VmObserved::RUNNING}) {
    at.pass(std::chrono::seconds(1));
    at.see(2, state);
  }
  at.must(remove_vm());
  at.pass(std::chrono::seconds(1));
  at.see(1, v1::VmObserved::ABSENT);
  return at.commits();
}

TEST(invariants, find_a_row_of_the_usage_that_is_lost) {
  const auto commits = history_of_two_lives();
  const auto whole = usage_rows_of(commits);
  EXPECT_THAT(names_of(check_usage(commits, whole)), IsEmpty());
  std::size_t lost = 0;
  for (const auto& [key, value] : whole) {
    if (static_cast<projections::usage_prefix>(key.front()) == projections::usage_prefix::head)
      continue;
    auto rows = whole;
    rows.erase(key);
    EXPECT_THAT(names_of(check_usage(commits, rows)), ElementsAre("usage_tiles_lives"));
    ++lost;
  }
  EXPECT_EQ(lost, 5U) << "a life and a place in the index of each, and a run";
}

TEST(invariants, find_a_moment_of_a_vm_in_two_phases_or_none) {
  const auto commits = history_of_two_lives();
  const auto whole = usage_rows_of(commits);
  std::size_t moved = 0;
  for (const auto& [key, value] : whole) {
    if (static_cast<projections::usage_prefix>(key.front()) != projections::usage_prefix::run)
      continue;
    const auto start = projections::u64_at(key, 1 + projections::uuid_size);
    const auto run = *projections::run_from_row(start, value);
    for (std::size_t i = 0; i < run.phases.size(); ++i)
      for (const int by : {-1, 1}) {
        auto other = run;
        other.phases[i].end += static_cast<std::uint64_t>(by);
        auto rows = whole;
        rows[key] = projections::to_row(other);
        EXPECT_THAT(names_of(check_usage(commits, rows)), ElementsAre("usage_tiles_lives"));
        ++moved;
      }
  }
  EXPECT_GE(moved, 4U);
}

TEST(invariants, hold_of_a_true_address_space) { EXPECT_THAT(forged_space().broken(), IsEmpty()); }

TEST(invariants, find_a_prefix_that_two_networks_hold) {
  forged_space forged;
  forged.clusters[1].must(
      add_network({.number = 3, .name = "lan3", .prefix = "10.1.0.0/16", .gateway = "10.1.0.1"}));
  forged.clusters[1].must(settle_claim(3));
  forged.grant(3, "10.1.0.0/16");
  EXPECT_THAT(forged.broken(false), ElementsAre("prefix_once"));
}

TEST(invariants, find_a_network_that_is_ready_without_its_prefix) {
  forged_space forged;
  forged.more.pop_back();
  EXPECT_THAT(forged.broken(false), ElementsAre("granted_first"));
  forged.grant(2, "10.2.0.0/25");
  EXPECT_THAT(forged.broken(false), ElementsAre("granted_first")) << "another than its own";
}

TEST(invariants, find_an_address_of_a_network_that_is_not_ready) {
  forged_space forged;
  auto& at = forged.clusters[1];
  at.must(add_node());
  at.must(hello());
  at.must(place_vm({.network = 2}));
  EXPECT_THAT(forged.broken(), IsEmpty());
  forged.clusters[1] = world();
  auto& late = forged.clusters[1];
  late.must(create_far_cluster());
  late.must(add_network(forged_space::wish(2)));
  EXPECT_THAT(forged.broken(false), IsEmpty()) << "granted, and the answer is on its way";
  v1::CommitBody body;
  auto* step = body.add_decisions()->add_steps();
  domain::set(step->mutable_entity(), network(2));
  auto* assigned = step->add_events()->mutable_network()->mutable_address_assigned();
  domain::set(assigned->mutable_subnet(), subnet(2));
  domain::set(assigned->mutable_nic(), nic());
  assigned->set_address(address_of("10.2.0.9").bits);
  auto state = late.state();
  state.fold_alone(body, 100);
  EXPECT_THAT(names_of(check_space({{partition_number{1}, &state}}, false)),
              ElementsAre("granted_first"));
}

TEST(invariants, find_a_prefix_of_a_network_that_is_gone) {
  forged_space forged;
  forged.grant(3, "10.3.0.0/24");
  EXPECT_THAT(forged.broken(false), IsEmpty()) << "the network may be about to hear of it";
  EXPECT_THAT(forged.broken(), ElementsAre("prefixes_are_networks"));
}

TEST(invariants, find_a_network_that_waits_for_ever) {
  forged_space forged;
  forged.clusters[1].must(remove_network(2));
  EXPECT_THAT(forged.broken(false), IsEmpty());
  EXPECT_THAT(forged.broken(), ElementsAre("prefixes_are_networks"));
}

} // namespace
} // namespace orrery::support
