#include "tests/sim/simulation.hpp"

#include "actors/hypervisors/guest_work.hpp"
#include "events/core/crash_point.hpp"
#include "events/domain/nic.hpp"

#include <algorithm>

namespace orrery::sim {

namespace {

using std::chrono::seconds;

constexpr partition_number first_partition{0};

constexpr micros restart_min{100'000};
constexpr micros restart_max{5'000'000};
constexpr micros look_interval{500'000};

/// When the faults have ended, so long may it take until all is as it should be: longer than the
/// longest deadline of a job, the longest pause of an engine, and a start in vain.
constexpr micros settle_max = seconds(600);

/// Mean times between faults of a kind, all processes together.
constexpr micros crash_mean = seconds(25);
constexpr micros arm_mean = seconds(12);
constexpr micros pause_mean = seconds(25);
constexpr micros cut_mean = seconds(30);
constexpr micros clock_mean = seconds(45);
constexpr micros board_mean = seconds(40);
constexpr micros leave_mean = seconds(60);
constexpr micros host_mean = seconds(45);
constexpr micros guest_mean = seconds(8);

/// Nobody's clock jumps for so long after an operator said that all are right.
constexpr micros trust_time = seconds(20);

void die_suddenly() { throw sudden_death{}; }

bool distrusts_clock(surroundings& around, process& one) {
  for (const auto& [where, truth] : around.referees)
    if (one.part(where).core().status().alarm.find("clock") != std::string::npos)
      return true;
  return false;
}

} // namespace

simulation::simulation(const settings& wanted)
    : x_around(wanted), x_hosts(x_around), x_bus(x_around),
      x_clients(x_around, [this] { return any_process(); }),
      x_log_faults(draw_log_faults(x_around.random)) {
  constexpr std::uint32_t processes_max = 4;
  constexpr std::uint64_t alone_percent = 20;
  const auto drawn = 1 + static_cast<std::uint32_t>(x_around.random.below(processes_max));
  x_process_count = wanted.processes != 0 ? wanted.processes : drawn;
  // Alone on a log that nobody shares, as with the embedded one.
  x_is_shared = x_process_count > 1 || !x_around.random.chance(alone_percent * 3);
  x_around.stored = [this](partition_number where) {
    for (const auto& one : x_processes)
      one->on_stored(where);
  };
  set_crash(die_suddenly);
  disarm_crash_points();
}

simulation::~simulation() {
  disarm_crash_points();
  x_around.store->forget_witness();
  for (const auto& one : x_processes)
    one->die();
}

outcome simulation::run() {
  for (std::uint32_t i = 0; i < x_process_count; ++i)
    start_process();
  x_clients.begin();
  every(crash_mean, &simulation::lose_process);
  every(arm_mean, &simulation::arm_crash);
  every(pause_mean, &simulation::pause_process);
  every(cut_mean, &simulation::cut_process);
  every(clock_mean, &simulation::jump_clock);
  every(board_mean, &simulation::break_board);
  every(leave_mean, &simulation::let_leave);
  every(host_mean, &simulation::lose_host);
  every(guest_mean, &simulation::disturb_guest);
  x_around.time.in(look_interval, [this] { replace_dead(); });
  x_around.time.in(look_interval, [this] { look_after_clocks(); });
  run_until(seconds(x_around.given.seconds));
  calm();
  std::string why = "it did not begin to settle";
  while (x_around.broken() == nullptr && x_around.time.now() - x_calm_at < settle_max) {
    run_until(x_around.time.now() + seconds(1));
    why = unsettled();
    if (why.empty())
      break;
  }
  if (x_around.broken() == nullptr && !why.empty())
    x_around.truth(first_partition).fail("settles", why);
  if (x_around.broken() == nullptr)
    check_end();
  return told();
}

void simulation::run_until(micros end) {
  while (x_around.broken() == nullptr && x_around.time.step(end)) {
  }
}

/// `what` happens again and again while there are faults, at any time within twice the mean.
void simulation::every(micros mean, happening what) {
  x_around.time.in(x_around.between(micros(0), mean * 2), [this, mean, what] {
    if (x_around.is_calm)
      return;
    (this->*what)();
    every(mean, what);
  });
}

// Processes ---------------------------------------------------------------------------------------

void simulation::start_process() {
  auto made = std::make_shared<process>(x_around, x_bus, x_hosts,
                                        process_birth{++x_lives, x_is_shared, x_log_faults});
  x_processes.push_back(made);
  x_bus.join(made);
  made->begin();
}

std::shared_ptr<process> simulation::any_process() {
  const auto dice = x_around.random.next();
  std::vector<std::shared_ptr<process>> there;
  for (const auto& one : x_processes)
    if (one->is_alive() && !one->is_leaving())
      there.push_back(one);
  return there.empty() ? nullptr : there[dice % there.size()];
}

void simulation::replace_dead() {
  std::erase_if(x_processes, [](const auto& one) { return !one->is_alive(); });
  for (auto missing = x_process_count; missing > x_processes.size(); --missing)
    start_process();
  x_around.time.in(x_around.is_calm ? look_interval : x_around.between(restart_min, restart_max),
                   [this] { replace_dead(); });
}

void simulation::lose_process() {
  if (const auto one = any_process(); one && x_around.has(fault::crash)) {
    x_around.count(fault::crash);
    one->die();
  }
}

/// Whoever passes that place next dies there.
void simulation::arm_crash() {
  const auto places = all_crash_points();
  const auto place = places[x_around.random.below(places.size())];
  const auto passes = 1 + x_around.random.below(3);
  if (x_around.has(fault::crash))
    static_cast<void>(arm_crash_point(place, passes));
}

void simulation::pause_process() {
  const auto one = any_process();
  const auto duration = x_around.between(micros(100'000), micros(9'000'000));
  if (!one || !x_around.has(fault::pause))
    return;
  x_around.count(fault::pause);
  one->stand_still(duration);
  if (x_is_shared)
    return;
  // Somebody takes it for dead and starts another one on the same log.
  start_process();
  one->later(x_around.between(micros(0), micros(3'000'000)), [one = one.get()] { one->die(); });
}

void simulation::cut_process() {
  const auto one = any_process();
  const auto duration = x_around.between(micros(100'000), micros(9'000'000));
  if (!one || !x_around.has(fault::cut))
    return;
  x_around.count(fault::cut);
  one->cut_off(duration);
}

void simulation::jump_clock() {
  const auto one = any_process();
  const auto far = x_around.between(seconds(7), seconds(4000));
  const auto near = x_around.between(micros(0), micros(500'000));
  const bool is_far = x_around.random.chance(50);
  const bool is_back = x_around.random.chance(50);
  // An operator who has just said that all clocks are right would be wrong, and his word reaches
  // who stands still only later.
  if (x_clients.is_trusting())
    x_trusted_at = x_around.time.now();
  if (!one || !x_around.has(fault::clock) || x_around.time.now() - x_trusted_at < trust_time)
    return;
  x_around.count(fault::clock);
  const auto by = is_far ? far : near;
  one->jump_clock(is_back ? -by : by);
}

void simulation::break_board() {
  const auto one = any_process();
  if (!one || !x_around.has(fault::board))
    return;
  x_around.count(fault::board);
  one->break_board();
}

void simulation::let_leave() {
  const auto one = any_process();
  if (!one || !x_around.has(fault::leave))
    return;
  x_around.count(fault::leave);
  one->later(micros(0), [one = one.get()] { one->leave(); });
}

void simulation::lose_host() {
  const auto duration = x_around.between(micros(500'000), micros(60'000'000));
  if (x_around.has(fault::host))
    x_hosts.lose_host(duration);
}

void simulation::disturb_guest() {
  if (x_around.has(fault::guest))
    x_hosts.disturb_guest();
}

/// An operator who sees the alarm sets the clock right and starts orreryd again; or sets all clocks
/// right, since any process may be the next owner, and says so.
void simulation::look_after_clocks() {
  constexpr micros interval{5'000'000};
  x_around.time.in(interval, [this] { look_after_clocks(); });
  for (const auto& one : x_processes) {
    if (!one->is_alive() || one->is_standing_still() || !distrusts_clock(x_around, *one))
      continue;
    if (x_around.random.chance(50)) {
      one->die();
      continue;
    }
    for (const auto& other : x_processes)
      other->set_clock_right();
    x_trusted_at = x_around.time.now();
    x_clients.trust_clock();
  }
}

// The end -----------------------------------------------------------------------------------------

void simulation::calm() {
  x_around.is_calm = true;
  x_calm_at = x_around.time.now();
  disarm_crash_points();
  x_hosts.calm();
  for (const auto& one : x_processes) {
    one->calm();
    one->set_clock_right();
  }
  if (!x_is_shared) // whoever was taken for dead is ended
    for (std::size_t at = 0; at + 1 < x_processes.size(); ++at)
      x_processes[at]->die();
  x_clients.settle();
}

/// What is not yet as it should be; empty: all is well.
std::string simulation::unsettled() {
  if (!x_clients.is_quiet())
    return "somebody waits for an answer";
  for (const auto& [where, truth] : x_around.referees) {
    std::size_t owners = 0;
    for (const auto& one : x_processes) {
      if (!one->is_alive())
        return "a process is not replaced";
      const auto status = one->part(where).core().status();
      if (status.seq + 1 != truth.head().next)
        return "process " + std::to_string(one->number()) + " has read up to record " +
               std::to_string(status.seq) + ", not to the end at " +
               std::to_string(truth.head().next - 1) + "; it is " + std::string(status.standing) +
               " " + status.alarm;
      owners += one->part(where).core().is_owning() ? 1 : 0;
    }
    if (owners != 1)
      return std::to_string(owners) + " processes own the partition";
    if (auto why = unsettled_vms(where); !why.empty())
      return why;
  }
  if (auto why = x_around.broken_streams(true); !why.empty())
    return why;
  if (auto why = support::to_text(x_around.broken_space(true)); !why.empty())
    return why;
  return x_hosts.told_wrong();
}

/// Whether what the VM's port passes and tells is as was accepted, when it has one.
bool simulation::is_port_right(const domain::partition_state& state,
                               const domain::vm_state& vm) const {
  const auto* port = x_hosts.port_on(vm.node, domain::link_of(vm.nic.nic));
  const auto network = state.find(vm.network);
  if (port == nullptr || network == nullptr)
    return true;
  const auto& settings = *std::get<domain::network_state>(*network).guests;
  return *port == pvip::standing_as(actors::port_of(vm, settings, port->tap_owner_uid), *port);
}

std::string simulation::unsettled_vms(partition_number where) {
  std::string why;
  const auto& state = x_around.truth(where).state();
  state.for_each([&, this](const uuid& entity, const domain::entity_ptr& one) {
    if (const auto* node = std::get_if<domain::node_state>(one.get()); node && !node->connected)
      why = "node '" + node->name + "' is out of sight";
    if (domain::job_of(*one) != nullptr)
      why = std::string(domain::noun_of(*one)) + " " + to_text(entity) + " is busy with a job";
    const auto* vm = std::get_if<domain::vm_state>(one.get());
    if (vm == nullptr || vm->job)
      return;
    const bool is_on = domain::is_on(vm->observed.state);
    if (vm->desired == domain::desired_state::deleted)
      why = "VM " + to_text(entity) + " is not gone";
    else if (vm->observed.state == v1::VmObserved::UNKNOWN ||
             is_on != (vm->desired == domain::desired_state::running))
      why = "VM " + to_text(entity) + " is not what it should be";
    else if (std::ranges::any_of(vm->nic.further, &domain::further_addresses::is_leaving))
      why = "VM " + to_text(entity) + " still has an address that shall go";
    else if (!is_port_right(state, *vm))
      why = "the port of VM " + to_text(entity) + " is not what it should be";
  });
  if (!why.empty())
    return why;
  auto guests = x_hosts.guests();
  std::erase_if(guests, [where](const auto& one) { return one.vm.partition() != where; });
  return support::to_text(support::check_guests(state, guests));
}

void simulation::check_end() {
  for (auto& [where, truth] : x_around.referees) {
    for (const auto& one : x_processes)
      truth.compare(one->number(), one->part(where).core().status().seq,
                    one->part(where).core().state());
    truth.check_all();
  }
  if (const auto why = x_around.broken_streams(true); !why.empty())
    x_around.truth(first_partition).fail("streams", why);
}

outcome simulation::told() const {
  outcome made;
  if (const auto* broken = x_around.broken())
    made.broken = *broken;
  made.hash = x_around.seen.hash();
  made.simulated = x_around.time.now();
  made.settled_after = x_around.is_calm ? x_around.time.now() - x_calm_at : micros(0);
  made.steps = x_around.time.steps();
  made.lives = x_lives;
  for (const auto& [where, truth] : x_around.referees) {
    made.checks += truth.checks();
    made.claims += truth.claims();
    made.commits += truth.commits();
    made.decisions += truth.decisions();
    made.voids += truth.voids();
  }
  made.answered = x_clients.answered();
  made.refused = x_clients.refused();
  made.unheard = x_clients.unheard();
  made.counts = x_around.counts;
  made.log_counts = x_around.log_counts;
  for (const auto& one : x_processes)
    sim::add(made.log_counts, one->way().log().counts());
  return made;
}

void outcome::add(const outcome& other) {
  simulated += other.simulated;
  settled_after = std::max(settled_after, other.settled_after);
  for (const auto number : {&outcome::steps, &outcome::checks, &outcome::lives, &outcome::claims,
                            &outcome::commits, &outcome::decisions, &outcome::voids,
                            &outcome::answered, &outcome::refused, &outcome::unheard})
    this->*number += other.*number;
  for (std::size_t at = 0; at < fault_count; ++at)
    counts[at] += other.counts[at];
  sim::add(log_counts, other.log_counts);
}

} // namespace orrery::sim
