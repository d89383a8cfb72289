#include "tests/sim/host_driver.hpp"

namespace orrery::sim {

namespace {

// Odds in a thousand, for each verb.
constexpr std::uint32_t fails = 15;
constexpr std::uint32_t fails_for_good = 2;
constexpr std::uint32_t fails_after = 15;
constexpr std::uint32_t is_late = 50;
constexpr std::uint32_t hint_is_lost = 100;

/// When a verb that was given up on is done: around how long the product waits for one, and longer.
constexpr micros late_min{200'000};
constexpr micros late_max{40'000'000};

error failed(bool is_retryable) {
  return {is_retryable ? error_code::unavailable : error_code::driver_failed,
          "the simulated host fails", is_retryable};
}

/// No two guests run with one address, and none that was told to be stopped.
void check_started(surroundings& around, host& on, vm_id vm, generation_number generation) {
  auto& truth = around.truth(vm.value.partition());
  truth.on_started(vm.value, generation);
  const auto own = on.world->guest(vm);
  static_cast<void>(on.hands->connect());
  const auto listed = on.hands->list(around.identity.installation.value);
  if (!own || !listed)
    return;
  for (const auto& other : *listed) {
    const auto guest = on.world->guest(other.vm);
    if (other.vm != vm && guest && guest->condition == drivers::guest_condition::running &&
        guest->spec.port.address == own->spec.port.address)
      truth.fail("address_once",
                 "guests " + to_text(vm) + " and " + to_text(other.vm) + " run with one address");
  }
}

} // namespace

host_driver::host_driver(surroundings& around, std::shared_ptr<host> on, std::uint32_t process)
    : x_around(around), x_host(std::move(on)), x_inner(x_host->world), x_process(process) {}

std::optional<error> host_driver::unreachable() {
  if (x_host->is_away)
    return error{error_code::unavailable, "the simulated host is away", true};
  if (x_around.strikes(fault::verb, fails))
    return failed(true);
  if (x_around.strikes(fault::verb, fails_for_good))
    return failed(false);
  return std::nullopt;
}

/// The first contact of a newer owner ends all that older ones began; then they are refused.
std::optional<error> host_driver::barred(const drivers::fencing_token& token) {
  if (!x_around.given.has_barrier)
    return std::nullopt;
  if (token < x_host->highest)
    return error{error_code::conflict, "a newer owner was here", false};
  if (x_host->highest < token)
    end_late(std::nullopt);
  x_host->highest = token;
  return std::nullopt;
}

void host_driver::end_late(std::optional<vm_id> of) {
  for (auto at = x_host->late.begin(); at != x_host->late.end();) {
    const auto now = at++;
    if (of && now->vm != *of)
      continue;
    const auto act = std::move(now->act);
    x_host->late.erase(now);
    act();
  }
}

result<drivers::node_facts> host_driver::connect() {
  if (auto why = unreachable())
    return *why;
  return x_inner.connect();
}

void host_driver::listen(drivers::guest_listener listener) {
  if (!listener)
    return x_inner.listen({});
  x_inner.listen([this, tell = std::move(listener)](vm_id vm) {
    if (!x_around.strikes(fault::guest, hint_is_lost))
      tell(vm);
  });
}

result<std::vector<drivers::guest_seen>> host_driver::list(const uuid& installation) {
  if (auto why = unreachable())
    return *why;
  return x_inner.list(installation);
}

result<drivers::guest_seen> host_driver::inspect(vm_id vm) {
  if (auto why = unreachable())
    return *why;
  return x_inner.inspect(vm);
}

result<drivers::guest_seen> host_driver::fence(vm_id vm, drivers::fencing_token token) {
  if (auto why = unreachable())
    return *why;
  if (auto why = barred(token))
    return *why;
  x_around.truth(vm.value.partition())
      .on_deed(x_process, x_host->node, deed::fence, vm.value, {}, token);
  // What the hypervisor still does to this guest ends first. One that is not there has none.
  if (x_host->world->guest(vm))
    end_late(vm);
  return x_inner.fence(vm, token);
}

result<void> host_driver::change(deed what, vm_id vm, generation_number generation,
                                 drivers::fencing_token token, verb act) {
  if (auto why = unreachable())
    return *why;
  if (auto why = barred(token))
    return *why;
  // What a newer owner's token keeps from happening is no deed.
  const auto guest = x_host->world->guest(vm);
  if (!guest || guest->token <= token)
    x_around.truth(vm.value.partition())
        .on_deed(x_process, x_host->node, what, vm.value, generation, token);
  x_around.seen.tell(name_of(what), vm.value.b, [&] {
    return to_text(vm) + " by process " + std::to_string(x_process) + " in epoch " +
           std::to_string(token.epoch);
  });
  if (x_around.strikes(fault::verb, is_late)) {
    do_late(vm, std::move(act));
    return error{error_code::unavailable, "the simulated host did not answer in time", true};
  }
  auto done = act(x_inner);
  if (x_around.strikes(fault::verb, fails_after))
    return failed(true);
  return done;
}

void host_driver::do_late(vm_id vm, verb act) {
  const auto number = ++x_host->late_number;
  x_host->late.push_back({number, vm, [&around = x_around, on = x_host.get(), vm, act] {
                            static_cast<void>(on->hands->connect());
                            const auto done = act(*on->hands);
                            around.seen.tell("late", vm.value.b, [&] {
                              return to_text(vm) + (done ? " is done now" : " fails now");
                            });
                          }});
  x_around.time.in(x_around.between(late_min, late_max), [on = x_host, number] {
    for (auto at = on->late.begin(); at != on->late.end(); ++at)
      if (at->number == number) {
        const auto run = std::move(at->act);
        on->late.erase(at);
        return run();
      }
  });
}

result<void> host_driver::define(const drivers::guest_spec& spec, generation_number generation,
                                 drivers::fencing_token token) {
  return change(deed::define, spec.vm, generation, token,
                [spec, generation, token](auto& on) { return on.define(spec, generation, token); });
}

result<void> host_driver::start(vm_id vm, generation_number generation,
                                drivers::fencing_token token) {
  return change(deed::start, vm, generation, token,
                [&around = x_around, machine = x_host.get(), vm, generation, token](auto& on) {
                  auto done = on.start(vm, generation, token);
                  if (done)
                    check_started(around, *machine, vm, generation);
                  return done;
                });
}

result<void> host_driver::shutdown(vm_id vm, drivers::fencing_token token) {
  return change(deed::shutdown, vm, {}, token,
                [vm, token](auto& on) { return on.shutdown(vm, token); });
}

result<void> host_driver::kill(vm_id vm, drivers::fencing_token token) {
  return change(deed::kill, vm, {}, token, [vm, token](auto& on) { return on.kill(vm, token); });
}

result<void> host_driver::undefine(vm_id vm, drivers::fencing_token token) {
  return change(deed::undefine, vm, {}, token,
                [vm, token](auto& on) { return on.undefine(vm, token); });
}

result<std::string> host_driver::console(vm_id vm, std::size_t bytes_max) {
  return x_inner.console(vm, bytes_max);
}

result<pvip::apply_report> host_ports::reconcile(std::vector<pvip::port> ports) {
  x_wanted.emplace();
  for (auto& port : ports)
    x_wanted->emplace(port.link, port);
  return recheck();
}

result<pvip::apply_report> host_ports::recheck() {
  if (x_wanted)
    x_host->ports = *x_wanted;
  return pvip::apply_report{};
}

result<void> host_ports::ensure(const pvip::port& wanted) {
  put(wanted);
  return {};
}

result<void> host_ports::announce(const std::string& link, bool announced) {
  if (const auto* found = known(link)) {
    auto changed = *found;
    changed.announced = announced;
    put(changed);
  }
  return {};
}

result<void> host_ports::amend(const pvip::port& wanted) {
  if (const auto* found = known(wanted.link))
    put(pvip::standing_as(wanted, *found));
  return {};
}

std::unordered_set<std::string> host_ports::announced() {
  std::unordered_set<std::string> found;
  if (x_wanted)
    for (const auto& [link, port] : *x_wanted)
      if (port.announced)
        found.insert(link);
  return found;
}

result<pvip::apply_report> host_ports::answer_on(const std::string& /*uplink*/) {
  return pvip::apply_report{};
}

result<void> host_ports::remove(const std::string& link) {
  x_host->ports.erase(link);
  if (x_wanted)
    x_wanted->erase(link);
  return {};
}

const pvip::port* host_ports::known(const std::string& link) const {
  if (!x_wanted)
    return nullptr;
  const auto found = x_wanted->find(link);
  return found == x_wanted->end() ? nullptr : &found->second;
}

void host_ports::put(const pvip::port& one) {
  x_host->ports.insert_or_assign(one.link, one);
  if (x_wanted)
    x_wanted->insert_or_assign(one.link, one);
}

result<bool> host_ports::answers_arp(const pvip::port& wanted,
                                     std::chrono::milliseconds /*patience*/) {
  if (!x_host->ports.contains(wanted.link))
    return error{error_code::not_found, "link " + wanted.link + " does not exist", true};
  return x_host->world->answers_on(wanted.link);
}

} // namespace orrery::sim
