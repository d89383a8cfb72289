#include "actors/hypervisors/guest_work.hpp"

#include "events/core/crash_point.hpp"
#include "events/domain/guest_settings.hpp"
#include "events/domain/nic.hpp"

#include <algorithm>

namespace orrery::actors {

namespace {

using domain::wanted_verb;

/// The image or the wish itself is wrong: no second attempt will end better.
bool is_hopeless(const error& why) { return !why.retryable && why.code != error_code::conflict; }

work_report failed(work_report report, std::string step, const error& why, bool may_be_final) {
  report.failure = work_failure{std::move(step), why, may_be_final && is_hopeless(why)};
  return report;
}

/// A verb between its two crash points.
template <class Verb> auto between(std::string_view before, std::string_view after, Verb verb) {
  crash_point(before);
  auto done = verb();
  crash_point(after);
  return done;
}

result<drivers::guest_seen> fence(node_link& link, const guest_task& task) {
  return between("driver.fence.before", "driver.fence.after",
                 [&] { return link.hypervisor->fence(vm_id{task.vm}, task.token); });
}

work_report run(node_link& link, const guest_task& task, const domain::vm_state& state) {
  work_report report;
  const auto fenced = fence(link, task);
  if (!fenced)
    return failed(std::move(report), "fence", fenced.error(), false);
  auto port = port_of(state, *task.settings, link.guest_uid);
  port.announced = fenced->condition == drivers::guest_condition::running;
  if (auto done = between("port.ensure.before", "port.ensure.after",
                          [&] { return link.network->ensure(port); });
      !done)
    return failed(std::move(report), "port", done.error(), true);
  report.announced = port.announced;
  const auto spec = spec_of(task.installation, task.vm, state);
  if (auto done = between(
          "driver.define.before", "driver.define.after",
          [&] { return link.hypervisor->define(spec, task.wanted.generation, task.token); });
      !done)
    return failed(std::move(report), "define", done.error(), true);
  if (fenced->condition == drivers::guest_condition::absent)
    report.seen.push_back(
        {v1::VmObserved::STOPPED, v1::VmObserved::NEVER_RAN, task.wanted.generation});
  if (auto done = between("driver.start.before", "driver.start.after",
                          [&] {
                            return link.hypervisor->start(vm_id{task.vm}, task.wanted.generation,
                                                          task.token);
                          });
      !done)
    return failed(std::move(report), "start", done.error(), true);
  // Nobody is told of an address that no guest answers on.
  if (auto done = between("port.announce.before", "port.announce.after",
                          [&] { return link.network->announce(port.link, true); });
      !done)
    return failed(std::move(report), "announce", done.error(), false);
  report.announced = true;
  report.seen.push_back(
      {v1::VmObserved::RUNNING, v1::VmObserved::CAUSE_UNSPECIFIED, task.wanted.generation});
  report.is_pursued = true;
  return report;
}

work_report reach(node_link& link, const guest_task& task, const domain::vm_state& state,
                  std::chrono::milliseconds patience) {
  work_report report;
  const auto answered =
      link.network->answers_arp(port_of(state, *task.settings, link.guest_uid), patience);
  if (!answered)
    return failed(std::move(report), "reach", answered.error(), false);
  if (*answered)
    report.seen.push_back({v1::VmObserved::REACHABLE, v1::VmObserved::CAUSE_UNSPECIFIED,
                           generation_number{state.observed.generation}});
  report.is_pursued = *answered;
  return report;
}

work_report shut_down(node_link& link, const guest_task& task) {
  work_report report;
  if (auto fenced = fence(link, task); !fenced)
    return failed(std::move(report), "fence", fenced.error(), false);
  if (auto done = between("driver.shutdown.before", "driver.shutdown.after",
                          [&] { return link.hypervisor->shutdown(vm_id{task.vm}, task.token); });
      !done)
    return failed(std::move(report), "shutdown", done.error(), false);
  return ask(link, task.vm);
}

work_report power_off(node_link& link, const guest_task& task) {
  work_report report;
  if (auto fenced = fence(link, task); !fenced)
    return failed(std::move(report), "fence", fenced.error(), false);
  if (auto done = between("driver.kill.before", "driver.kill.after",
                          [&] { return link.hypervisor->kill(vm_id{task.vm}, task.token); });
      !done)
    return failed(std::move(report), "stop", done.error(), false);
  return ask(link, task.vm);
}

work_report remove(node_link& link, const guest_task& task, const domain::vm_state& state) {
  auto report = power_off(link, task);
  if (report.failure)
    return report;
  if (auto done = between("driver.undefine.before", "driver.undefine.after",
                          [&] { return link.hypervisor->undefine(vm_id{task.vm}, task.token); });
      !done)
    return failed(std::move(report), "undefine", done.error(), false);
  if (auto done = between("port.remove.before", "port.remove.after",
                          [&] { return link.network->remove(domain::link_of(state.nic.nic)); });
      !done)
    return failed(std::move(report), "port", done.error(), false);
  return ask(link, task.vm); // gone is a fact only when it was seen gone
}

} // namespace

drivers::guest_spec spec_of(const uuid& installation, const uuid& vm,
                            const domain::vm_state& state) {
  drivers::guest_spec spec;
  spec.installation = installation;
  spec.vm = vm_id{vm};
  spec.name = state.name;
  spec.vcpus = state.vcpus;
  spec.memory = state.memory;
  spec.image = state.image;
  spec.port.link = domain::link_of(state.nic.nic);
  spec.port.mac = state.nic.mac;
  spec.port.address = state.nic.address;
  spec.port.prefix_length = state.nic.prefix_length;
  spec.port.gateway = state.nic.gateway;
  spec.port.address6 = state.nic.address6;
  return spec;
}

namespace {

void add_to(pvip::port& port, const domain::further_addresses& one) {
  for (const auto& prefix : domain::prefixes_of(one)) {
    if (one.is_address())
      port.more_addresses.push_back(prefix.base);
    else
      port.routed_prefixes.push_back(prefix);
  }
}

} // namespace

pvip::port port_of(const domain::vm_state& state, const v1::GuestSettings& settings,
                   std::uint32_t guest_uid) {
  pvip::port port;
  port.link = domain::link_of(state.nic.nic);
  port.mac = state.nic.mac;
  port.address = state.nic.address;
  port.gateway = state.nic.gateway;
  port.tap_owner_uid = guest_uid;
  port.prefix_length = state.nic.prefix_length;
  port.announced = false;
  if (state.nic.has_address6())
    port.address6 = state.nic.address6;
  if (state.nic.bits_a_second_max != 0)
    port.bits_a_second_max = state.nic.bits_a_second_max;
  for (const auto& one : state.nic.further)
    if (!one.is_leaving)
      add_to(port, one);
  port.mtu = domain::mtu_of(settings);
  port.name_servers = domain::name_servers_of(settings);
  port.name_servers6 = domain::name_servers6_of(settings);
  port.classless_routes = settings.classless_routes();
  return port;
}

std::optional<std::string> newer_owner(const std::vector<drivers::guest_seen>& guests,
                                       drivers::fencing_token ours) {
  const auto newest = std::ranges::max_element(guests, {}, &drivers::guest_seen::token);
  if (newest == guests.end() || newest->token <= ours)
    return std::nullopt;
  return "a newer owner (incarnation " + std::to_string(newest->token.incarnation) + ", epoch " +
         std::to_string(newest->token.epoch) + ") has its guests: end the orreryd that runs on " +
         (newest->token.incarnation > ours.incarnation ? "a log from before a restore"
                                                       : "a log that it does not own any more");
}

sighting sighting_of(const drivers::guest_seen& seen) {
  sighting made;
  made.generation = seen.generation;
  switch (seen.condition) {
  case drivers::guest_condition::absent:
    made.state = v1::VmObserved::ABSENT;
    break;
  case drivers::guest_condition::running:
    made.state = v1::VmObserved::RUNNING;
    break;
  case drivers::guest_condition::stopped:
    made.state = v1::VmObserved::STOPPED;
    break;
  }
  if (seen.condition != drivers::guest_condition::stopped)
    return made;
  switch (seen.cause) {
  case drivers::stop_cause::none:
    made.cause = v1::VmObserved::NEVER_RAN;
    break;
  case drivers::stop_cause::unknown:
    made.cause = v1::VmObserved::UNKNOWN_CAUSE;
    break;
  case drivers::stop_cause::guest:
    made.cause = v1::VmObserved::GUEST;
    break;
  case drivers::stop_cause::host:
    made.cause = v1::VmObserved::HOST;
    break;
  case drivers::stop_cause::crashed:
    made.cause = v1::VmObserved::CRASHED;
    break;
  }
  return made;
}

work_report pursue(node_link& link, const guest_task& task, std::chrono::milliseconds patience) {
  const auto& state = std::get<domain::vm_state>(*task.state);
  switch (task.wanted.verb) {
  case wanted_verb::nothing:
    return {};
  case wanted_verb::run:
    return run(link, task, state);
  case wanted_verb::reach:
    return reach(link, task, state, patience);
  case wanted_verb::shut_down:
    return shut_down(link, task);
  case wanted_verb::power_off:
    return power_off(link, task);
  case wanted_verb::remove:
    return remove(link, task, state);
  }
  return {};
}

upstream_report speak(node_link& link, const upstream_wish& wish) {
  upstream_report report;
  const auto seen = link.speaker->ensure(wish.said->uplink(), upstream_of(wish, link.secret));
  report.problem = seen.problem;
  report.is_silence = seen.is_silence;
  for (const auto& one : seen.neighbours)
    report.sessions.push_back({to_text(one.address), one.established, one.info});
  if (report.sessions.size() > domain::upstream_sessions_max)
    report.sessions.resize(domain::upstream_sessions_max);
  return report;
}

work_report ask_fenced(node_link& link, const uuid& vm, drivers::fencing_token token) {
  work_report report;
  const auto seen = link.hypervisor->fence(vm_id{vm}, token);
  if (!seen)
    return failed(std::move(report), "fence", seen.error(), false);
  report.seen.push_back(sighting_of(*seen));
  return report;
}

work_report ask(node_link& link, const uuid& vm) {
  work_report report;
  const auto seen = link.hypervisor->inspect(vm_id{vm});
  if (!seen)
    return failed(std::move(report), "inspect", seen.error(), false);
  report.seen.push_back(sighting_of(*seen));
  return report;
}

} // namespace orrery::actors
