#include "actors/hypervisors/driving.hpp"
#include "drivers/simulated/simulated_hypervisor.hpp"
#include "pvip/apply/simulated_host_network.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <utility>
#include <vector>

namespace orrery::actors {
namespace {

constexpr uuid the_installation{7, 7};
constexpr uuid the_node{1, 1};
constexpr uuid the_vm{2, 2};
constexpr std::uint64_t log_epoch = 3;

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

    void add(const uuid&, work todo) override { x_of.waiting.push_back(std::move(todo)); }

  private:
    hands& x_of;
  };
};

/// Counts how often it is looked at again.
class counting_network final : public pvip::host_network {
public:
  explicit counting_network(int& looks)
      : x_on(pvip::make_simulated_host_network("vp", [](const pvip::port&, auto) { return true; })),
        x_looks(looks) {}

  result<pvip::apply_report> reconcile(std::vector<pvip::port> ports) override {
    return x_on->reconcile(std::move(ports));
  }

  result<void> ensure(const pvip::port& wanted) override { return x_on->ensure(wanted); }

  result<void> announce(const std::string& link, bool announced) override {
    return x_on->announce(link, announced);
  }

  result<void> amend(const pvip::port& wanted) override { return x_on->amend(wanted); }

  std::unordered_set<std::string> announced() override { return x_on->announced(); }

  result<pvip::apply_report> answer_on(const std::string& uplink) override {
    return x_on->answer_on(uplink);
  }

  result<void> remove(const std::string& link) override { return x_on->remove(link); }

  result<pvip::apply_report> recheck() override {
    ++x_looks;
    return x_on->recheck();
  }

  result<bool> answers_arp(const pvip::port& wanted, std::chrono::milliseconds patience) override {
    return x_on->answers_arp(wanted, patience);
  }

private:
  std::unique_ptr<pvip::host_network> x_on;
  int& x_looks;
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
    x_driving->on_changed(the_node, node(x_hands.sent.front().node().hello().nonce()));
    x_hands.run_all();
    x_hands.sent.clear();
  }

  void make_driving() {
    driving_birth birth;
    birth.traits.kind = v1::SIMULATED;
    birth.traits.make_link = [this](const uuid&, const domain::node_state&) -> result<node_link> {
      node_link link;
      link.hypervisor = std::make_unique<drivers::simulated_hypervisor>(x_world);
      link.network = std::make_unique<counting_network>(x_looks);
      return link;
    };
    birth.installation = the_installation;
    birth.wall_clock = [] { return utc_time{}; };
    birth.steady_clock = [this] { return x_now; };
    birth.random = [this] { return ++x_random; };
    x_driving.emplace(std::move(birth), x_hands);
  }

  /// Accepted with a hello of that nonce; 0: never connected.
  static domain::entity_ptr node(std::uint64_t nonce) {
    domain::node_state state;
    state.name = "node-1";
    state.connected = state.ever_connected = nonce != 0;
    state.epoch = nonce == 0 ? 0 : 1;
    state.nonce = nonce;
    state.version = nonce == 0 ? 1 : 2;
    return std::make_shared<const domain::entity_state>(std::move(state));
  }

  static domain::entity_ptr vm_at_rest() {
    domain::vm_state state;
    state.node = the_node;
    state.name = "web-1";
    state.image = "tiny";
    state.vcpus = vcpu_count{1};
    state.memory = mib{64};
    state.nic = {.nic = {5, 5},
                 .network = {6, 6},
                 .address = {0x0a630005U},
                 .prefix_length = 24,
                 .gateway = {0x0a630001U},
                 .mac = domain::mac_of({5, 5})};
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
  int x_looks = 0;
  std::optional<cluster_driving> x_driving;
};

TEST_F(driving_at_rest, a_guest_that_is_as_it_was_seen_is_not_asked) {
  const auto asked = x_world->verb_count(drivers::simulated_verb::inspect);
  EXPECT_TRUE(said_by_a_sweep().empty());
  EXPECT_EQ(x_world->verb_count(drivers::simulated_verb::inspect), asked);
  EXPECT_GT(x_world->verb_count(drivers::simulated_verb::list), 1U);
}

TEST_F(driving_at_rest, the_network_is_looked_at_with_each_sweep_and_not_before) {
  x_driving->on_tick();
  x_hands.run_all();
  EXPECT_EQ(x_looks, 0);
  EXPECT_TRUE(said_by_a_sweep().empty());
  EXPECT_EQ(x_looks, 1);
}

TEST_F(driving_at_rest, a_guest_whose_end_nobody_told_is_found) {
  const auto said = said_of([this] { x_world->crash_guest(vm_id{the_vm}); });
  EXPECT_EQ(said.state(), v1::VmObserved::STOPPED);
  EXPECT_EQ(said.cause(), v1::VmObserved::CRASHED);
}

TEST_F(driving_at_rest, a_guest_that_vanished_is_found) {
  const auto said = said_of([this] { x_world->lose_guest(vm_id{the_vm}); });
  EXPECT_EQ(said.state(), v1::VmObserved::ABSENT);
}

TEST_F(driving_at_rest, a_guest_of_an_older_wish_is_asked) {
  auto state = std::get<domain::vm_state>(*vm_at_rest());
  state.generation = generation_number{2};
  state.observed.generation = 2;
  state.version = 1;
  x_driving->on_changed(the_vm, std::make_shared<const domain::entity_state>(std::move(state)));
  const auto said = said_by_a_sweep();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said.front().generation(), 1U);
}

/// The facts of a start come through the log one by one.
TEST_F(driving_at_rest, what_was_done_is_not_done_again_on_its_first_fact) {
  drivers::simulated_hypervisor behind_our_back(x_world);
  ASSERT_TRUE(behind_our_back.connect());
  ASSERT_TRUE(behind_our_back.kill(vm_id{the_vm}, {1, log_epoch}));
  x_hands.run_all();
  auto state = std::get<domain::vm_state>(*vm_at_rest());
  const auto tell = [&] {
    ++state.version;
    x_driving->on_changed(the_vm, std::make_shared<const domain::entity_state>(state));
    x_hands.run_all();
    return x_world->verb_count(drivers::simulated_verb::start);
  };
  state.observed.state = v1::VmObserved::STOPPED;
  const auto before = tell();
  state.generation = generation_number{2};
  state.job.emplace();
  state.job->kind = v1::VM_START;
  state.job->generation = 2;
  EXPECT_EQ(tell(), before + 1) << "wanted";
  state.observed.generation = 2; // it is defined, so far
  EXPECT_EQ(tell(), before + 1) << "done";
  x_now += std::chrono::seconds(6);
  x_driving->on_tick();
  x_hands.run_all();
  EXPECT_EQ(x_world->verb_count(drivers::simulated_verb::start), before + 2)
      << "looked at again when its facts do not show";
  state.generation = generation_number{3};
  state.job->generation = 3;
  EXPECT_EQ(tell(), before + 3) << "another wish does not wait";
}

} // namespace
} // namespace orrery::actors
