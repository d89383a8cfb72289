#include "tests/actors/driving_fixture.hpp"

#include <gtest/gtest.h>

// What a driving does with the networks of its nodes: who is told of guests, their ports, routers.

namespace orrery::actors {
namespace {

// Who is told of a guest --------------------------------------------------------------------------

class driving_announces : public driving_at_rest {
protected:
  void see(v1::VmObserved::State seen, v1::VmObserved::Cause cause) {
    x_vm.observed.state = seen;
    x_vm.observed.cause = cause;
    ++x_vm.version;
    x_driving->on_changed(the_vm, std::make_shared<const domain::entity_state>(x_vm));
    x_hands.run_all();
  }

  domain::vm_state x_vm = std::get<domain::vm_state>(*vm_at_rest());
};

TEST_F(driving_announces, a_guest_that_runs_is_told_of_from_the_first_reconciliation_on) {
  EXPECT_EQ(x_asked.told, std::vector<bool>{true});
}

TEST_F(driving_announces, nobody_is_told_of_a_guest_that_ended_until_it_runs_again) {
  x_asked.told.clear();
  see(v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  EXPECT_EQ(x_asked.told, std::vector<bool>{false});
  see(v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  EXPECT_EQ(x_asked.told.size(), 1U) << "once";
  see(v1::VmObserved::RUNNING, v1::VmObserved::CAUSE_UNSPECIFIED);
  EXPECT_EQ(x_asked.told, (std::vector<bool>{false, true}));
}

TEST_F(driving_announces, a_start_tells_of_the_guest_when_it_runs_and_not_before) {
  drivers::simulated_hypervisor behind_our_back(x_world);
  ASSERT_TRUE(behind_our_back.connect());
  ASSERT_TRUE(behind_our_back.kill(vm_id{the_vm}, {1, log_epoch}));
  see(v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  x_asked.told.clear();
  x_vm.generation = generation_number{2};
  x_vm.job.emplace();
  x_vm.job->kind = v1::VM_START;
  x_vm.job->generation = 2;
  see(v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  EXPECT_EQ(x_asked.told, (std::vector<bool>{false, true})) << "its port first, then it runs";
  see(v1::VmObserved::STOPPED, v1::VmObserved::NEVER_RAN);
  see(v1::VmObserved::RUNNING, v1::VmObserved::CAUSE_UNSPECIFIED);
  EXPECT_EQ(x_asked.told.size(), 2U) << "the facts of what was done withdraw nothing";
}

/// A node that has just come back may not know yet that it runs: it is told of, to be sure.
TEST_F(driving_announces, a_word_of_before_undoes_no_start_that_is_under_way) {
  drivers::simulated_hypervisor behind_our_back(x_world);
  ASSERT_TRUE(behind_our_back.connect());
  ASSERT_TRUE(behind_our_back.kill(vm_id{the_vm}, {1, log_epoch}));
  x_hands.waiting.clear();
  x_vm.generation = generation_number{2};
  x_vm.job.emplace();
  x_vm.job->kind = v1::VM_START;
  x_vm.job->generation = 2;
  ++x_vm.version;
  x_vm.observed.state = v1::VmObserved::UNKNOWN;
  x_driving->on_changed(the_vm, std::make_shared<const domain::entity_state>(x_vm));
  ASSERT_FALSE(x_hands.waiting.empty()) << "the start is under way";
  see(v1::VmObserved::STOPPED, v1::VmObserved::HOST);
  ASSERT_FALSE(x_asked.told.empty());
  EXPECT_TRUE(x_asked.told.back());
}

TEST_F(driving_announces, a_guest_of_which_nothing_is_known_stays_as_it_is) {
  x_asked.told.clear();
  see(v1::VmObserved::UNKNOWN, v1::VmObserved::CAUSE_UNSPECIFIED);
  EXPECT_TRUE(x_asked.told.empty());
}

// What a guest's port passes and tells ------------------------------------------------------------

class driving_amends : public driving_announces {
protected:
  void set_rate(std::uint64_t bits_a_second_max) {
    x_vm.nic.bits_a_second_max = bits_a_second_max;
    ++x_vm.version;
    x_driving->on_changed(the_vm, std::make_shared<const domain::entity_state>(x_vm));
  }

  void set_further(std::vector<domain::further_addresses> further) {
    x_vm.nic.further = std::move(further);
    ++x_vm.version;
    x_driving->on_changed(the_vm, std::make_shared<const domain::entity_state>(x_vm));
  }

  [[nodiscard]] std::vector<v1::VmCommand::NotePort> ports_noted() const {
    std::vector<v1::VmCommand::NotePort> noted;
    for (const auto& command : x_hands.sent)
      if (command.vm().has_note_port())
        noted.push_back(command.vm().note_port());
    return noted;
  }

  void set_mtu(std::uint32_t mtu) {
    v1::GuestSettings settings;
    settings.set_mtu(mtu);
    domain::network_state network;
    network.guests = std::make_shared<const v1::GuestSettings>(settings);
    x_driving->on_changed(the_network,
                          std::make_shared<const domain::entity_state>(std::move(network)));
  }
};

TEST_F(driving_amends, a_port_whose_rate_or_network_changes_once_each) {
  set_rate(5'000'000);
  set_rate(5'000'000);
  x_hands.run_all();
  ASSERT_EQ(x_asked.amended.size(), 1U);
  EXPECT_EQ(x_asked.amended.back().bits_a_second_max, 5'000'000U);
  set_mtu(1'400);
  set_mtu(1'400);
  x_hands.run_all();
  ASSERT_EQ(x_asked.amended.size(), 2U);
  EXPECT_EQ(x_asked.amended.back().mtu, 1'400U);
  EXPECT_EQ(x_asked.amended.back().bits_a_second_max, 5'000'000U);
}

TEST_F(driving_amends, a_port_by_addresses_beside_the_first_and_says_when_they_are_gone) {
  const uuid claims[] = {{7, 1}, {7, 2}};
  const auto twin = [](std::uint8_t last, std::uint8_t length) {
    ipv6_prefix made;
    made.base.bytes = {0xfd, 0, 0, 0x99};
    made.base.bytes[15] = last;
    made.length = length;
    return made;
  };
  set_further({{.claim = claims[0], .prefix = {{0x0a630014U}, 32}, .prefix6 = twin(0x14, 128)},
               {.claim = claims[1], .prefix = {{0x0a630040U}, 28}, .prefix6 = twin(0x40, 124)}});
  x_hands.run_all();
  ASSERT_EQ(x_asked.amended.size(), 1U);
  EXPECT_EQ(x_asked.amended.back().more_addresses,
            (std::vector<ip_address>{ipv4{0x0a630014U}, twin(0x14, 128).base}));
  EXPECT_EQ(x_asked.amended.back().routed_prefixes,
            (std::vector<ip_prefix>{{ipv4{0x0a630040U}, 28}, {twin(0x40, 124).base, 124}}));
  EXPECT_TRUE(ports_noted().empty());
  auto leaving = x_vm.nic.further;
  leaving.front().is_leaving = true;
  set_further(leaving);
  x_hands.run_all();
  EXPECT_TRUE(x_asked.amended.back().more_addresses.empty());
  ASSERT_EQ(ports_noted().size(), 1U);
  EXPECT_EQ(domain::from_proto(ports_noted().front().node()), the_node);
  ASSERT_EQ(ports_noted().front().without_size(), 1);
  EXPECT_EQ(domain::from_proto(ports_noted().front().without(0)), claims[0]);
}

TEST_F(driving_amends, an_address_that_shall_go_is_said_to_be_gone_when_the_port_is_without_it) {
  x_asked.is_amending_broken = true;
  set_further({{.claim = {7, 1}, .prefix = {{0x0a630014U}, 32}, .is_leaving = true}});
  x_hands.run_all();
  EXPECT_TRUE(ports_noted().empty()) << "the guest may still have it";
  x_asked.is_amending_broken = false;
  (void)said_by_a_sweep();
  EXPECT_EQ(ports_noted().size(), 1U);
}

TEST_F(driving_amends, what_changes_while_the_node_is_prepared_is_not_lost) {
  x_hands.sent.clear();
  make_driving();
  x_driving->on_world({{the_node, node(0)}, {the_vm, vm_at_rest()}}, log_epoch);
  x_hands.run_all();
  x_driving->on_changed(the_node, node(x_hands.sent.front().node().hello().nonce()));
  ASSERT_FALSE(x_hands.waiting.empty()) << "its network is being prepared";
  set_rate(5'000'000);
  EXPECT_TRUE(x_asked.amended.empty());
  x_hands.run_all();
  ASSERT_FALSE(x_asked.amended.empty());
  EXPECT_EQ(x_asked.amended.back().bits_a_second_max, 5'000'000U);
}

TEST_F(driving_amends, what_is_still_under_way_when_the_node_comes_back_undoes_no_change) {
  set_mtu(1'400);
  ASSERT_EQ(x_hands.waiting.size(), 1U);
  const auto slow = std::move(x_hands.waiting.front());
  x_hands.waiting.pop_front();
  x_world->lose_connections();
  x_hands.run_all();
  set_mtu(1'300);
  x_hands.sent.clear();
  x_now += std::chrono::minutes(1);
  x_driving->on_tick();
  x_hands.run_all();
  ASSERT_EQ(x_hands.sent.size(), 1U);
  x_driving->on_changed(the_node, node(x_hands.sent.front().node().hello().nonce()));
  ASSERT_EQ(x_hands.waiting.size(), 1U) << "its network is being prepared";
  const auto prepare = std::move(x_hands.waiting.front());
  x_hands.waiting.pop_front();
  prepare();
  slow();
  x_hands.run_all();
  ASSERT_EQ(x_asked.amended.size(), 2U);
  EXPECT_EQ(x_asked.amended.back().mtu, 1'300U);
}

TEST_F(driving_announces, what_failed_is_tried_again_with_the_next_sweep) {
  x_asked.told.clear();
  x_asked.is_announcing_broken = true;
  see(v1::VmObserved::STOPPED, v1::VmObserved::CRASHED);
  x_asked.is_announcing_broken = false;
  EXPECT_TRUE(x_asked.told.empty());
  (void)said_by_a_sweep();
  EXPECT_EQ(x_asked.told, std::vector<bool>{false});
}

TEST_F(driving_announces, the_port_of_a_vm_whose_guest_went_by_itself_goes_with_the_vm) {
  x_driving->on_changed(the_vm, nullptr);
  x_hands.run_all();
  EXPECT_EQ(x_asked.removed, std::vector<std::string>{domain::link_of(x_vm.nic.nic)});
}

// Routers -----------------------------------------------------------------------------------------

class driving_speaks : public driving_at_rest {
protected:
  static v1::Upstream bgp(const std::string& secret) {
    v1::Upstream said;
    said.set_uplink("up0");
    said.mutable_bgp()->set_as(64601);
    said.mutable_bgp()->set_hold_seconds(9);
    auto* router = said.mutable_bgp()->add_routers();
    router->set_address("192.0.2.1");
    router->set_as(64512);
    router->set_secret(secret);
    return said;
  }

  void wish(const v1::Upstream& said) {
    domain::cluster_state cluster;
    cluster.upstream = std::make_shared<const v1::Upstream>(said);
    cluster.version = ++x_cluster_version;
    x_driving->on_changed(the_cluster, std::make_shared<const domain::entity_state>(cluster));
    x_hands.run_all();
  }

  void stands(bool established, std::string info) {
    x_asked.standing = {
        .neighbours = {
            {.address = ipv4{0xc0000201U}, .established = established, .info = std::move(info)}}};
  }

  /// What is noted at the next look.
  std::optional<v1::NodeCommand::NoteUpstream> noted() {
    x_hands.sent.clear();
    x_now += std::chrono::seconds(6);
    x_driving->on_tick();
    x_hands.run_all();
    for (const auto& one : x_hands.sent)
      if (one.node().has_note_upstream())
        return one.node().note_upstream();
    return std::nullopt;
  }

  /// That it was accepted.
  void accept(const v1::NodeCommand::NoteUpstream& said) {
    domain::node_state state;
    for (const auto& one : said.sessions())
      state.upstream.push_back({one.router(), one.established(), one.reason()});
    state.upstream_problem = said.problem();
    state.version = ++x_node_version;
    x_driving->on_changed(the_node, node(x_nonce, std::move(state)));
    x_hands.run_all();
  }

  static constexpr uuid the_cluster{3, 3};
  std::uint64_t x_cluster_version = 0;
  std::uint64_t x_node_version = 2;
};

TEST_F(driving_speaks, no_routing_daemon_is_left_from_a_former_life) {
  ASSERT_EQ(x_asked.spoken.size(), 1U);
  EXPECT_FALSE(x_asked.spoken.front().second);
  EXPECT_FALSE(noted());
  EXPECT_EQ(x_asked.spoken.size(), 1U) << "nobody asks again where nothing is wished";
}

TEST_F(driving_speaks, a_wish_is_done_at_once_and_looked_after) {
  x_asked.spoken.clear();
  stands(true, "Established");
  wish(bgp("rack-7"));
  ASSERT_EQ(x_asked.spoken.size(), 1U);
  EXPECT_EQ(x_asked.spoken.front(), std::pair(std::string("up0"), true));
  wish(bgp("rack-7"));
  EXPECT_EQ(x_asked.spoken.size(), 1U) << "the same wish";
  const auto said = noted();
  EXPECT_EQ(x_asked.spoken.size(), 2U) << "a daemon that died would be started again";
  ASSERT_TRUE(said);
  ASSERT_EQ(said->sessions_size(), 1);
  EXPECT_EQ(said->sessions(0).router(), "192.0.2.1");
  EXPECT_TRUE(said->sessions(0).established());
  EXPECT_EQ(said->nonce(), x_nonce);
  accept(*said);
  EXPECT_FALSE(noted()) << "as it stands in the log";
}

TEST_F(driving_speaks, a_router_is_down_when_it_was_so_twice) {
  stands(true, "Established");
  wish(bgp("rack-7"));
  accept(*noted());
  stands(false, "Connect");
  EXPECT_FALSE(noted());
  stands(false, "Active Socket: Connection refused");
  const auto said = noted();
  ASSERT_TRUE(said);
  EXPECT_FALSE(said->sessions(0).established());
  EXPECT_EQ(said->sessions(0).reason(), "Active Socket: Connection refused");
  accept(*said);
  stands(false, "Connect");
  EXPECT_FALSE(noted()) << "other words of the same thing";
  stands(true, "Established");
  EXPECT_TRUE(noted()) << "and it is up when it is up";
}

TEST_F(driving_speaks, a_password_that_is_not_there_is_told_and_looked_for_again) {
  wish(bgp("rack-8"));
  auto said = noted();
  ASSERT_TRUE(said);
  EXPECT_EQ(said->problem(), "there is no file rack-8");
  EXPECT_EQ(said->sessions_size(), 0);
  accept(*said);
  EXPECT_FALSE(noted());
  stands(true, "Established");
  wish(bgp("rack-7"));
  said = noted();
  ASSERT_TRUE(said);
  EXPECT_EQ(said->problem(), "");
}

TEST_F(driving_speaks, sessions_that_go_on_are_told_beside_the_problem) {
  stands(true, "Established");
  wish(bgp("rack-8"));
  const auto said = noted();
  ASSERT_TRUE(said);
  EXPECT_EQ(said->problem(), "there is no file rack-8");
  ASSERT_EQ(said->sessions_size(), 1);
  EXPECT_TRUE(said->sessions(0).established());
}

TEST_F(driving_speaks, silence_is_a_problem_when_it_was_there_twice) {
  x_asked.standing = {.neighbours = {}, .problem = "nobody speaks OSPF", .is_silence = true};
  wish(bgp("rack-7"));
  auto said = noted(); // the second look
  ASSERT_TRUE(said);
  EXPECT_EQ(said->problem(), "nobody speaks OSPF");
  accept(*said);
  EXPECT_FALSE(noted());
  stands(true, "Full/DR");
  said = noted();
  ASSERT_TRUE(said);
  EXPECT_EQ(said->problem(), "");
  accept(*said);
  x_asked.standing = {.neighbours = {}, .problem = "nobody speaks OSPF", .is_silence = true};
  EXPECT_FALSE(noted()) << "it may begin again at once";
  EXPECT_TRUE(noted());
}

TEST_F(driving_speaks, arp_is_answered_on_the_uplink_while_that_is_wished) {
  v1::Upstream arp;
  arp.set_uplink("up0");
  arp.mutable_arp();
  wish(arp);
  EXPECT_EQ(x_asked.arp_uplink, "up0");
  wish({});
  EXPECT_EQ(x_asked.arp_uplink, "");
  EXPECT_FALSE(x_asked.spoken.back().second);
}

} // namespace
} // namespace orrery::actors
