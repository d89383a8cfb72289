#pragma once

#include "actors/hypervisors/driving.hpp"
#include "drivers/simulated/simulated_hypervisor.hpp"
#include "events/domain/nic.hpp"
#include "pvip/apply/simulated_host_network.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

// A driving whose work is done in turn, on a simulated hypervisor.

namespace orrery::actors {

inline constexpr uuid the_installation{7, 7};
inline constexpr uuid the_node{1, 1};
inline constexpr uuid the_network{6, 6};
inline constexpr uuid the_vm{2, 2};
inline constexpr std::uint64_t log_epoch = 3;

/// Does in turn what a driving hands out; what a hypervisor tells by itself may get lost.
class hands final : public driving_hands {
public:
  std::unique_ptr<bench> make_bench(std::size_t) override {
    return std::make_unique<queue_bench>(*this);
  }

  std::function<void(std::function<void()>)> poster() override {
    return [this](std::function<void()> run) {
      if (!is_deaf)
        waiting.push_back(std::move(run));
    };
  }

  void send(v1::Command command) override { sent.push_back(std::move(command)); }

  void run_all() {
    while (!waiting.empty()) {
      const auto run = std::move(waiting.front());
      waiting.pop_front();
      run();
    }
  }

  std::deque<std::function<void()>> waiting;
  std::vector<v1::Command> sent;
  bool is_deaf = false;

private:
  class queue_bench final : public bench {
  public:
    explicit queue_bench(hands& of) : x_of(of) {}

    void add(const uuid& key, work todo) override {
      x_busy->insert(key);
      x_of.waiting.push_back([busy = x_busy, key, todo = std::move(todo)] {
        todo();
        busy->extract(key);
      });
    }

    std::unordered_set<uuid> busy() override { return {x_busy->begin(), x_busy->end()}; }

  private:
    hands& x_of;
    std::shared_ptr<std::unordered_multiset<uuid>> x_busy =
        std::make_shared<std::unordered_multiset<uuid>>();
  };
};

/// What was asked of a node's network, and with whom it spoke.
struct asked_of_node {
  int looks = 0;                    ///< how often it was looked at again
  std::vector<bool> told;           ///< of its one port, each time: whether others are told of it
  std::vector<std::string> removed; ///< links
  std::vector<pvip::port> amended;
  std::string arp_uplink;
  bool is_announcing_broken = false;
  bool is_amending_broken = false;

  std::vector<std::pair<std::string, bool>> spoken; ///< over which uplink, and whether with anybody
  pvip::router_standing standing;
};

class recorded_network final : public pvip::host_network {
public:
  explicit recorded_network(asked_of_node& asked)
      : x_on(pvip::make_simulated_host_network("vp", [](const pvip::port&, auto) { return true; })),
        x_asked(asked) {}

  result<pvip::apply_report> reconcile(std::vector<pvip::port> ports) override {
    for (const auto& port : ports)
      x_asked.told.push_back(port.announced);
    return x_on->reconcile(std::move(ports));
  }

  result<void> ensure(const pvip::port& wanted) override {
    x_asked.told.push_back(wanted.announced);
    return x_on->ensure(wanted);
  }

  result<void> announce(const std::string& link, bool announced) override {
    if (x_asked.is_announcing_broken)
      return error{error_code::io_failed, "the kernel is out of order", true};
    x_asked.told.push_back(announced);
    return x_on->announce(link, announced);
  }

  result<void> amend(const pvip::port& wanted) override {
    if (x_asked.is_amending_broken)
      return error{error_code::internal, "broken by the test"};
    x_asked.amended.push_back(wanted);
    return x_on->amend(wanted);
  }

  std::unordered_set<std::string> announced() override { return x_on->announced(); }

  result<pvip::apply_report> answer_on(const std::string& uplink) override {
    x_asked.arp_uplink = uplink;
    return x_on->answer_on(uplink);
  }

  result<void> remove(const std::string& link) override {
    x_asked.removed.push_back(link);
    return x_on->remove(link);
  }

  result<pvip::apply_report> recheck() override {
    ++x_asked.looks;
    return x_on->recheck();
  }

  result<bool> answers_arp(const pvip::port& wanted, std::chrono::milliseconds patience) override {
    return x_on->answers_arp(wanted, patience);
  }

private:
  std::unique_ptr<pvip::host_network> x_on;
  asked_of_node& x_asked;
};

class recorded_speaker final : public pvip::upstream_speaker {
public:
  explicit recorded_speaker(asked_of_node& asked) : x_asked(asked) {}

  pvip::router_standing ensure(const std::string& uplink,
                               result<std::optional<pvip::upstream>> wanted) override {
    x_asked.spoken.emplace_back(uplink, wanted && wanted->has_value());
    pvip::router_standing made = x_asked.standing;
    if (!wanted)
      made.problem = wanted.error().text;
    return made;
  }

private:
  asked_of_node& x_asked;
};

/// A cluster of one node that is served, and one VM that answers there and of which nothing is
/// wanted.
class driving_at_rest : public testing::Test {
protected:
  void SetUp() override {
    drivers::simulated_world::options wanted;
    wanted.verb_time = std::chrono::microseconds(0);
    auto world = drivers::simulated_world::open(wanted);
    ASSERT_TRUE(world);
    x_world = *world;
    make_driving();
    const auto vm = vm_at_rest();
    drivers::simulated_hypervisor before(x_world);
    ASSERT_TRUE(before.connect());
    ASSERT_TRUE(before.define(spec_of(the_installation, the_vm, std::get<domain::vm_state>(*vm)),
                              generation_number{1}, {1, 1}));
    ASSERT_TRUE(before.start(vm_id{the_vm}, generation_number{1}, {1, 1}));
    x_driving->on_world({{the_node, node(0)}, {the_vm, vm}}, log_epoch);
    x_hands.run_all();
    ASSERT_EQ(x_hands.sent.size(), 1U);
    x_nonce = x_hands.sent.front().node().hello().nonce();
    x_driving->on_changed(the_node, node(x_nonce));
    x_hands.run_all();
    x_hands.sent.clear();
  }

  void make_driving() {
    driving_birth birth;
    birth.traits.kind = v1::SIMULATED;
    birth.traits.make_link = [this](const uuid&, const domain::node_state&) -> result<node_link> {
      node_link link;
      link.hypervisor = std::make_unique<drivers::simulated_hypervisor>(x_world);
      link.network = std::make_unique<recorded_network>(x_asked);
      link.speaker = std::make_unique<recorded_speaker>(x_asked);
      link.secret = [](const std::string& name) -> result<std::string> {
        if (name == "rack-7")
          return std::string("a password");
        return error{error_code::not_found, "there is no file " + name, true};
      };
      return link;
    };
    birth.installation = the_installation;
    birth.wall_clock = [] { return utc_time{}; };
    birth.steady_clock = [this] { return x_now; };
    birth.random = [this] { return ++x_random; };
    x_driving.emplace(std::move(birth), x_hands);
  }

  /// Accepted with a hello of that nonce; 0: never connected.
  static domain::entity_ptr node(std::uint64_t nonce, domain::node_state state = {}) {
    state.name = "node-1";
    state.connected = state.ever_connected = nonce != 0;
    state.epoch = nonce == 0 ? 0 : 1;
    state.nonce = nonce;
    state.version += nonce == 0 ? 1 : 2;
    return std::make_shared<const domain::entity_state>(std::move(state));
  }

  static domain::entity_ptr vm_at_rest() {
    domain::vm_state state;
    state.node = the_node;
    state.name = "web-1";
    state.image = "tiny";
    state.vcpus = vcpu_count{1};
    state.memory = mib{64};
    state.nic.nic = {5, 5};
    state.nic.address = {0x0a630005U};
    state.nic.gateway = {0x0a630001U};
    state.nic.mac = domain::mac_of({5, 5});
    state.nic.prefix_length = 24;
    state.network = the_network;
    state.generation = generation_number{1};
    state.observed.state = v1::VmObserved::REACHABLE;
    state.observed.generation = 1;
    return std::make_shared<const domain::entity_state>(std::move(state));
  }

  /// What is said of the VM when every guest is due to be looked at.
  std::vector<v1::VmCommand::Observe> said_by_a_sweep() {
    x_hands.sent.clear();
    x_now += std::chrono::minutes(2);
    x_driving->on_tick();
    x_hands.run_all();
    std::vector<v1::VmCommand::Observe> said;
    for (const auto& one : x_hands.sent)
      if (one.vm().has_observe())
        said.push_back(one.vm().observe());
    return said;
  }

  /// The one thing that a sweep says of what happens while no event comes through.
  template <class What> v1::VmCommand::Observe said_of(What happens) {
    x_hands.is_deaf = true;
    happens();
    x_hands.is_deaf = false;
    const auto said = said_by_a_sweep();
    EXPECT_EQ(said.size(), 1U);
    return said.empty() ? v1::VmCommand::Observe() : said.front();
  }

  std::shared_ptr<drivers::simulated_world> x_world;
  hands x_hands;
  std::chrono::steady_clock::time_point x_now{std::chrono::hours(1)};
  std::uint64_t x_random = 0;
  std::uint64_t x_nonce = 0; ///< of the node's connection
  asked_of_node x_asked;
  std::optional<cluster_driving> x_driving;
};

} // namespace orrery::actors
