#include "events/domain/ipv6.hpp"
#include "events/domain/network.hpp"
#include "tests/support/expect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::support {
namespace {

using domain::network_stage;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const error overlap{error_code::conflict, "10.99.0.0/24 overlaps 10.99.0.0/16: choose another"};

/// A cluster of an installation in another partition, and its network "lan", not answered yet.
world world_with_claim() {
  world made;
  made.must(create_far_cluster());
  made.must(add_network());
  return made;
}

/// And the installation granted it.
world world_with_grant() {
  auto made = world_with_claim();
  made.must(settle_claim());
  return made;
}

/// What the network would send to others for this command, as "<entity's noun>.<command>".
std::vector<std::string> messages_of(const world& at, const v1::Command& command) {
  domain::context with{at.now(), command_number(99), &default_policies()};
  const auto made = domain::decide(at.find_network(), network(), command.network(), with);
  std::vector<std::string> sent;
  if (!made)
    return {made.error().text};
  for (const auto& one : made->messages) {
    const auto& to = one.command;
    EXPECT_EQ(one.entity, to.has_installation() ? far_installation() : cluster());
    sent.emplace_back(to.installation().has_claim_prefix()     ? "claim"
                      : to.installation().has_release_prefix() ? "release"
                      : to.cluster().has_release_network()     ? "leave"
                                                               : to.ShortDebugString());
  }
  return sent;
}

bool is_named(const world& at, const std::string& name) {
  return at.find_cluster()->network_names.contains(name);
}

/// The prefixes that the installation has given out, by network's name.
std::vector<std::string> held_by(const world& at) {
  std::vector<std::string> held;
  at.find_installation()->prefixes.for_each([&held](const uuid&, const domain::held_prefix& one) {
    held.push_back(one.network + " " + to_text(one.prefix));
  });
  return held;
}

testing::AssertionResult has_a_true_space(const world& at) {
  const auto found = check_space({{partition_number{0}, &at.state()}}, true);
  return found.empty() ? testing::AssertionSuccess()
                       : testing::AssertionFailure() << to_text(found);
}

// The installation --------------------------------------------------------------------------------

TEST(address_space, grants_a_free_prefix_in_the_record_of_its_own_partition) {
  auto at = founded_world();
  const auto told = at.tell(add_network());
  EXPECT_THAT(types_of(told),
              ElementsAre("cluster.network_joined", "network.created", "network.subnet_added",
                          "network.job_started", "installation.prefix_granted",
                          "network.claim_granted", "network.job_ended"));
  EXPECT_TRUE(told.reply().has_job());
  EXPECT_EQ(domain::from_proto(told.reply().entity()), network());
  ASSERT_NE(job_end_of(told), nullptr);
  EXPECT_EQ(job_end_of(told)->state(), v1::Job::DONE);
  EXPECT_EQ(job_end_of(told)->step(), "granted");
  EXPECT_EQ(at.find_network()->stage, network_stage::ready);
  EXPECT_THAT(held_by(at), ElementsAre("lan 10.99.0.0/24"));
  EXPECT_TRUE(keeps_invariants(at));
  EXPECT_TRUE(has_a_true_space(at));
}

TEST(address_space, refuses_what_another_cluster_holds_and_releases_network_and_name) {
  auto at = founded_world();
  at.must(add_cluster({.number = 2, .name = "c2"}));
  at.must(add_network());
  for (const std::string prefix : {"10.99.0.0/24", "10.99.0.128/25", "10.99.0.0/16"}) {
    const auto told = at.tell(add_network(
        {.number = 2, .name = "dmz", .prefix = prefix, .gateway = "10.99.0.129", .cluster = 2}));
    EXPECT_EQ(told.reply().code(), 0U) << "it was asked for; the answer is the job's";
    ASSERT_NE(job_end_of(told), nullptr);
    EXPECT_EQ(job_end_of(told)->state(), v1::Job::FAILED);
    EXPECT_EQ(static_cast<error_code>(job_end_of(told)->code()), error_code::conflict);
    for (const std::string word :
         {prefix.c_str(), "10.99.0.0/24", "'lan'", "'c1'", "choose another prefix", "'dmz'"})
      EXPECT_THAT(job_end_of(told)->text(), HasSubstr(word));
    EXPECT_EQ(at.find_network(2), nullptr);
    EXPECT_FALSE(at.find_cluster(2)->network_names.contains("dmz"));
    EXPECT_TRUE(at.find_cluster(2)->networks.empty());
  }
  EXPECT_THAT(held_by(at), ElementsAre("lan 10.99.0.0/24"));
  at.must(add_network({.number = 2,
                       .name = "dmz",
                       .prefix = "10.99.1.0/24",
                       .gateway = "10.99.1.1",
                       .cluster = 2}));
  EXPECT_EQ(at.find_network(2)->stage, network_stage::ready);
  EXPECT_TRUE(keeps_invariants(at));
  EXPECT_TRUE(has_a_true_space(at));
}

TEST(address_space, refuses_an_ipv6_prefix_that_another_network_holds) {
  auto at = founded_world();
  at.must(add_cluster({.number = 2, .name = "c2"}));
  at.must(add_network({.prefix6 = "2001:db8:7::/64"}));
  const network_wish wish{.number = 2,
                          .name = "dmz",
                          .prefix = "10.98.0.0/24",
                          .gateway = "10.98.0.1",
                          .cluster = 2,
                          .prefix6 = "2001:db8:7::1:0/112"};
  const auto told = at.tell(add_network(wish));
  ASSERT_NE(job_end_of(told), nullptr);
  EXPECT_EQ(static_cast<error_code>(job_end_of(told)->code()), error_code::conflict);
  for (const std::string word : {"2001:db8:7::1:0/112", "2001:db8:7::/64", "'lan'", "'c1'"})
    EXPECT_THAT(job_end_of(told)->text(), HasSubstr(word));
  EXPECT_THAT(held_by(at), ElementsAre("lan 10.99.0.0/24"));
  auto beside_it = wish;
  beside_it.cluster = 1;
  EXPECT_TRUE(is_refused(at.tell(add_network(beside_it)), error_code::conflict,
                         {"2001:db8:7::1:0/112", "'lan'"}))
      << "its own cluster knows at once";
  beside_it.prefix6 = "2001:db8:8::/64";
  at.must(add_network(beside_it));
  EXPECT_TRUE(keeps_invariants(at));
  EXPECT_TRUE(has_a_true_space(at));
}

TEST(address_space, gives_a_released_prefix_to_the_next_who_asks) {
  auto at = founded_world();
  at.must(add_cluster({.number = 2, .name = "c2"}));
  at.must(add_network());
  const auto told = at.must(remove_network());
  EXPECT_THAT(types_of(told), ElementsAre("network.removal_requested", "network.job_started",
                                          "installation.prefix_released", "network.job_ended",
                                          "network.removed", "cluster.network_left"));
  EXPECT_EQ(job_end_of(told)->state(), v1::Job::DONE);
  EXPECT_THAT(held_by(at), IsEmpty());
  EXPECT_FALSE(is_named(at, "lan"));
  at.must(add_network({.number = 2, .cluster = 2}));
  EXPECT_THAT(held_by(at), ElementsAre("lan 10.99.0.0/24"));
  EXPECT_TRUE(keeps_invariants(at));
  EXPECT_TRUE(has_a_true_space(at));
}

TEST(address_space, ends_at_the_limit_of_prefixes) {
  auto at = founded_world();
  at.must(set_limit(v1::Installation::PREFIXES, 1));
  at.must(add_network());
  const network_wish second{
      .number = 2, .name = "dmz", .prefix = "10.99.1.0/24", .gateway = "10.99.1.1"};
  const auto told = at.tell(add_network(second));
  ASSERT_NE(job_end_of(told), nullptr);
  EXPECT_EQ(static_cast<error_code>(job_end_of(told)->code()), error_code::limit_reached);
  for (const auto* word : {"1 prefixes", "set-limit prefixes", "delete a network"})
    EXPECT_THAT(job_end_of(told)->text(), HasSubstr(word));
  EXPECT_EQ(at.find_network(2), nullptr);
  at.must(set_limit(v1::Installation::PREFIXES, 2));
  at.must(add_network(second));
  EXPECT_EQ(at.find_network(2)->stage, network_stage::ready);
}

TEST(address_space, ends_at_the_limit_of_clusters) {
  auto at = founded_world();
  at.must(set_limit(v1::Installation::CLUSTERS, 1));
  EXPECT_TRUE(is_refused(at.tell(add_cluster({.number = 2, .name = "c2"})),
                         error_code::limit_reached,
                         {"limit of 1 clusters", "orrery installation set-limit clusters"}));
  EXPECT_EQ(at.find_cluster(2), nullptr);
  EXPECT_THAT(types_of(at.must(set_limit(v1::Installation::CLUSTERS, 2))),
              ElementsAre("installation.limit_set"));
  at.must(add_cluster({.number = 2, .name = "c2"}));
}

TEST(address_space, has_limits_until_somebody_sets_others) {
  const auto at = founded_world();
  EXPECT_EQ(at.find_installation()->clusters_max, domain::clusters_max_default);
  EXPECT_EQ(at.find_installation()->prefixes_max, domain::prefixes_max_default);
}

TEST(address_space, refuses_a_limit_that_there_is_not_and_a_figure_out_of_range) {
  auto at = founded_world();
  for (const int limit : {0, 3, -1})
    EXPECT_TRUE(is_refused(at.tell(set_limit(static_cast<v1::Installation::Limit>(limit), 5)),
                           error_code::invalid_argument, {"clusters and prefixes"}));
  for (const auto figure : {0U, domain::limit_figure_max + 1})
    EXPECT_TRUE(is_refused(at.tell(set_limit(v1::Installation::CLUSTERS, figure)),
                           error_code::invalid_argument, {"1 to 65536", std::to_string(figure)}));
  at.must(set_limit(v1::Installation::CLUSTERS, domain::limit_figure_max));
}

TEST(address_space, has_names_for_its_limits) {
  EXPECT_EQ(domain::name_of(v1::Installation::CLUSTERS), "clusters");
  EXPECT_EQ(domain::name_of(v1::Installation::PREFIXES), "prefixes");
  EXPECT_EQ(domain::name_of(static_cast<v1::Installation::Limit>(9)), "");
}

// A network whose installation is in another partition --------------------------------------------

TEST(network_claim, is_asked_for_with_a_job_that_goes_on) {
  world at;
  at.must(create_far_cluster());
  const auto told = at.tell(add_network());
  EXPECT_TRUE(told.reply().has_job());
  EXPECT_EQ(job_end_of(told), nullptr);
  const auto* made = at.find_network();
  EXPECT_EQ(made->stage, network_stage::requested);
  ASSERT_TRUE(made->job.has_value());
  EXPECT_EQ(made->job->kind, v1::NETWORK_CREATE);
  EXPECT_EQ(made->job->job, domain::from_proto(told.command().id()));
  ASSERT_TRUE(domain::next_timer(*made).has_value());
  EXPECT_EQ(domain::next_timer(*made)->due, made->job->deadline);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_claim, sends_what_the_installation_must_know) {
  world at;
  v1::Command create;
  auto* body = create.mutable_network()->mutable_create();
  domain::set(body->mutable_cluster(), cluster());
  domain::set(body->mutable_installation(), far_installation());
  body->set_name("lan");
  body->set_prefix(address_of("10.99.0.0").bits);
  body->set_prefix_length(24);
  body->set_gateway(address_of("10.99.0.1").bits);
  domain::set(body->mutable_prefix6(), parse_ipv6_prefix("fd00:7::/64").value());
  domain::context with{at.now(), command_number(1), &default_policies()};
  const auto made = domain::decide(static_cast<domain::network_state*>(nullptr), network(),
                                   create.network(), with);
  ASSERT_TRUE(made);
  ASSERT_EQ(made->messages.size(), 1U);
  EXPECT_EQ(made->messages[0].entity, far_installation());
  const auto& claim = made->messages[0].command.installation().claim_prefix();
  EXPECT_EQ(domain::from_proto(claim.network()), network());
  EXPECT_EQ(domain::from_proto(claim.cluster()), cluster());
  EXPECT_EQ(claim.name(), "lan");
  EXPECT_EQ(ipv4{claim.prefix()}, address_of("10.99.0.0"));
  EXPECT_EQ(claim.prefix_length(), 24U);
  EXPECT_EQ(domain::prefix6_of(claim), parse_ipv6_prefix("fd00:7::/64").value());
}

TEST(network_claim, gives_no_address_before_it_is_granted) {
  auto at = world_with_claim();
  at.must(add_node());
  at.must(hello());
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] {
    const auto told = at.tell(place_vm());
    EXPECT_TRUE(is_refused(told, error_code::busy, {"'lan'", "not granted yet", "wait for it"}));
    EXPECT_TRUE(told.reply().retryable());
  }));
  at.must(settle_claim());
  at.must(place_vm());
  EXPECT_EQ(at.find_vm()->nic.address, address_of("10.99.0.2"));
}

TEST(network_claim, that_is_granted_makes_the_network_ready_and_ends_the_job) {
  auto at = world_with_claim();
  const auto told = at.tell(settle_claim());
  EXPECT_THAT(types_of(told), ElementsAre("network.claim_granted", "network.job_ended"));
  EXPECT_EQ(job_end_of(told)->state(), v1::Job::DONE);
  EXPECT_EQ(at.find_network()->stage, network_stage::ready);
  EXPECT_FALSE(domain::next_timer(*at.find_network()).has_value());
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_claim, that_is_refused_fails_the_job_and_frees_the_name) {
  auto at = world_with_claim();
  const auto told = at.tell(settle_claim(1, overlap));
  EXPECT_THAT(types_of(told), ElementsAre("network.claim_refused", "network.job_ended",
                                          "network.removed", "cluster.network_left"));
  EXPECT_EQ(job_end_of(told)->state(), v1::Job::FAILED);
  EXPECT_EQ(static_cast<error_code>(job_end_of(told)->code()), overlap.code);
  EXPECT_EQ(job_end_of(told)->text(), overlap.text);
  EXPECT_EQ(at.find_network(), nullptr);
  EXPECT_FALSE(is_named(at, "lan"));
  at.must(add_network({.number = 2}));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_claim, holds_name_and_prefix_in_its_cluster_while_it_waits) {
  auto at = world_with_claim();
  EXPECT_TRUE(is_refused(at.tell(add_network({.number = 2, .prefix = "10.1.0.0/24"})),
                         error_code::already_exists, {"'lan'"}));
  EXPECT_TRUE(is_refused(at.tell(add_network({.number = 2, .name = "dmz"})), error_code::conflict,
                         {"10.99.0.0/24", "'lan'"}));
}

TEST(network_claim, outlives_the_deadline_of_its_job) {
  auto at = world_with_claim();
  const auto due = *domain::next_timer(*at.find_network());
  auto early = due.command;
  domain::set(early.mutable_entity(), network());
  EXPECT_EQ(job_end_of(at.tell(early)), nullptr) << "its time has not come";
  at.pass(domain::network_patience);
  auto late = due.command;
  domain::set(late.mutable_entity(), network());
  const auto told = at.tell(late);
  ASSERT_NE(job_end_of(told), nullptr);
  EXPECT_EQ(job_end_of(told)->state(), v1::Job::FAILED);
  EXPECT_EQ(static_cast<error_code>(job_end_of(told)->code()), error_code::timed_out);
  for (const auto* word : {"partition 7", "60 s", "orrery status", "orrery network delete lan"})
    EXPECT_THAT(job_end_of(told)->text(), HasSubstr(word));
  EXPECT_EQ(at.find_network()->stage, network_stage::requested);
  EXPECT_THAT(types_of(at.tell(settle_claim())), ElementsAre("network.claim_granted"));
  EXPECT_EQ(at.find_network()->stage, network_stage::ready);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_claim, of_a_deadline_that_passed_may_still_be_refused) {
  auto at = world_with_claim();
  at.pass(domain::network_patience);
  auto late = domain::next_timer(*at.find_network())->command;
  domain::set(late.mutable_entity(), network());
  at.must(late);
  EXPECT_THAT(types_of(at.tell(settle_claim(1, overlap))),
              ElementsAre("network.claim_refused", "network.removed", "cluster.network_left"));
  EXPECT_TRUE(keeps_invariants(at));
}

// Deleting ----------------------------------------------------------------------------------------

TEST(network_delete, waits_for_the_word_that_the_prefix_is_free) {
  auto at = world_with_grant();
  EXPECT_THAT(messages_of(at, remove_network()), ElementsAre("release"));
  const auto told = at.must(remove_network());
  EXPECT_TRUE(told.reply().has_job());
  EXPECT_THAT(types_of(told), ElementsAre("network.removal_requested", "network.job_started"));
  EXPECT_EQ(at.find_network()->stage, network_stage::releasing);
  EXPECT_TRUE(is_named(at, "lan")) << "the name is held as long as the prefix";
  const auto end = at.tell(settle_release());
  EXPECT_THAT(types_of(end),
              ElementsAre("network.job_ended", "network.removed", "cluster.network_left"));
  EXPECT_EQ(job_end_of(end)->state(), v1::Job::DONE);
  EXPECT_EQ(at.find_network(), nullptr);
  EXPECT_FALSE(is_named(at, "lan"));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_delete, is_refused_while_addresses_are_given_out) {
  auto at = world_with_vm();
  EXPECT_TRUE(is_refused(at.tell(remove_network()), error_code::conflict,
                         {"'lan'", "1 address to a VM", "delete what is in it"}));
  at.must(place_vm({.number = 2, .name = "db"}));
  EXPECT_TRUE(is_refused(at.tell(remove_network()), error_code::conflict, {"2 addresses to VMs"}));
  for (const auto number : {1U, 2U}) {
    at.must(remove_vm(number));
    EXPECT_TRUE(is_refused(at.tell(remove_network()), error_code::conflict, {"delete what"}))
        << "not seen gone yet";
    at.see(number, v1::VmObserved::ABSENT);
  }
  at.must(remove_network());
  EXPECT_EQ(at.find_network(), nullptr);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_delete, gives_no_more_addresses) {
  auto at = world_with_grant();
  at.must(add_node());
  at.must(hello());
  at.must(remove_network());
  EXPECT_TRUE(is_refused(at.tell(place_vm()), error_code::conflict,
                         {"'lan'", "being deleted", "another network"}));
}

TEST(network_delete, of_a_claim_cancels_it_and_gives_back_what_is_granted_after_all) {
  auto at = world_with_claim();
  EXPECT_THAT(messages_of(at, remove_network()), IsEmpty()) << "there is nothing to give back yet";
  const auto told = at.must(remove_network());
  EXPECT_THAT(types_of(told),
              ElementsAre("network.job_ended", "network.removal_requested", "network.job_started"));
  EXPECT_EQ(job_end_of(told)->state(), v1::Job::CANCELLED);
  EXPECT_EQ(at.find_network()->stage, network_stage::withdrawn);
  EXPECT_THAT(messages_of(at, settle_claim()), ElementsAre("release"));
  EXPECT_THAT(types_of(at.tell(settle_claim())), ElementsAre("network.claim_granted"));
  EXPECT_EQ(at.find_network()->stage, network_stage::releasing);
  EXPECT_EQ(job_end_of(at.tell(settle_release()))->state(), v1::Job::DONE);
  EXPECT_EQ(at.find_network(), nullptr);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_delete, of_a_claim_is_done_when_the_claim_is_refused) {
  auto at = world_with_claim();
  at.must(remove_network());
  EXPECT_THAT(messages_of(at, settle_claim(1, overlap)), ElementsAre("leave"));
  const auto told = at.tell(settle_claim(1, overlap));
  EXPECT_EQ(job_end_of(told)->state(), v1::Job::DONE) << "it is gone, as was asked";
  EXPECT_EQ(at.find_network(), nullptr);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_delete, is_busy_with_itself_and_can_be_asked_again_after_its_deadline) {
  auto at = world_with_grant();
  at.must(remove_network());
  const auto again = at.tell(remove_network());
  EXPECT_TRUE(is_refused(again, error_code::busy, {"'lan'", "network.delete", "wait"}));
  at.pass(domain::network_patience);
  auto late = domain::next_timer(*at.find_network())->command;
  domain::set(late.mutable_entity(), network());
  EXPECT_THAT(job_end_of(at.must(late))->text(), HasSubstr("goes when the answer comes"));
  EXPECT_THAT(messages_of(at, remove_network()), IsEmpty()) << "the message arrives, once";
  EXPECT_THAT(types_of(at.must(remove_network())), ElementsAre("network.job_started"));
  EXPECT_EQ(job_end_of(at.tell(settle_release()))->state(), v1::Job::DONE);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_delete, changes_nothing_when_an_answer_finds_nobody_waiting) {
  auto at = world_with_grant();
  EXPECT_THAT(types_of(at.tell(settle_claim(1, overlap))), IsEmpty());
  EXPECT_THAT(types_of(at.tell(settle_release())), IsEmpty());
  EXPECT_EQ(at.find_network()->stage, network_stage::ready);
}

TEST(network_bytes, tell_every_stage_and_job_apart) {
  std::set<std::string> seen;
  auto at = world_with_claim();
  const auto note = [&] {
    domain::state_bytes out;
    auto state = *at.find_network();
    state.version = 0;
    out.add(state);
    EXPECT_TRUE(seen.insert(out.bytes()).second);
  };
  note();
  at.must(settle_claim());
  note();
  at.must(remove_network());
  note();
  at = world_with_claim();
  at.must(remove_network());
  note();
}

TEST(network_key, gets_the_first_answer_again) {
  auto at = founded_world();
  const auto first = at.must(with_key(add_network(), 7, 1));
  const auto again = at.tell(with_key(add_network({.number = 2}), 7, 1));
  EXPECT_EQ(again.reply().SerializeAsString(), first.reply().SerializeAsString());
  EXPECT_EQ(at.find_network(2), nullptr);
  EXPECT_TRUE(is_refused(at.tell(with_key(add_network({.number = 3}), 7, 2)),
                         error_code::key_reused, {"another body"}));
}

} // namespace
} // namespace orrery::support
