#include "drivers/simulated/simulated_world.hpp"

#include <algorithm>

namespace orrery::drivers {

namespace {

using std::chrono::microseconds;

/// How long after its due time a job of another process is ended for it: longer than the process
/// needs to do so itself.
constexpr microseconds job_grace{50'000};

/// How often a process looks whether another one's job has ended, since nobody wakes it.
constexpr std::chrono::milliseconds job_look{5};

error refusal(error_code code, std::string text) {
  return {.code = code, .text = std::move(text), .retryable = false};
}

error stale(vm_id vm, fencing_token seen) {
  return refusal(error_code::conflict, "guest " + to_text(vm) +
                                           " was touched by a newer owner (incarnation " +
                                           std::to_string(seen.incarnation) + ", epoch " +
                                           std::to_string(seen.epoch) + ")");
}

bool same_spec(const guest_spec& left, const guest_spec& right) {
  const auto port = [](const guest_port& p) {
    return std::tie(p.link, p.mac, p.address, p.prefix_length, p.gateway, p.address6);
  };
  return std::tie(left.installation, left.vm, left.name, left.vcpus, left.memory, left.image) ==
             std::tie(right.installation, right.vm, right.name, right.vcpus, right.memory,
                      right.image) &&
         port(left.port) == port(right.port);
}

void stop(simulated_guest& guest, stop_cause cause) {
  guest.condition = guest_condition::stopped;
  guest.cause = cause;
  guest.fate = simulated_fate::none;
}

} // namespace

guest_seen seen_of(vm_id vm, const std::optional<simulated_guest>& guest) {
  if (!guest || !guest->defined)
    return {.vm = vm};
  return {.vm = vm,
          .condition = guest->condition,
          .cause = guest->cause,
          .generation = guest->generation,
          .token = guest->token};
}

result<std::shared_ptr<simulated_world>> simulated_world::open(options settings) {
  // The constructor is private: make_shared cannot reach it.
  std::shared_ptr<simulated_world> world(new simulated_world(std::move(settings)));
  if (!world->x_store)
    return world;
  auto guests = world->x_store->load();
  if (!guests)
    return guests.error();
  world->resume(*guests, microseconds(0));
  return world;
}

simulated_world::simulated_world(options settings) : x_options(std::move(settings)) {
  if (!x_options.directory.empty())
    x_store.emplace(x_options.directory);
}

simulated_world::~simulated_world() {
  {
    const std::lock_guard lock(x_alarms_guard);
    x_is_closing = true;
  }
  x_alarms_changed.notify_all();
  if (x_alarm_thread.joinable())
    x_alarm_thread.join();
}

void simulated_world::resume(const std::vector<std::pair<vm_id, simulated_guest>>& guests,
                             microseconds patience) {
  const auto now = std::chrono::system_clock::now();
  const auto left = [now, patience](std::chrono::system_clock::time_point due) {
    return patience +
           std::max(microseconds(0), std::chrono::duration_cast<microseconds>(due - now));
  };
  for (const auto& [vm, guest] : guests) {
    shard_of(vm).guests.emplace(vm.value, guest);
    if (guest.defined)
      plug(vm, guest.spec.port.link);
  }
  for (const auto& [vm, guest] : guests) {
    if (guest.pending)
      set_alarm(left(guest.pending->due),
                {.vm = vm, .kind = alarm_kind::job, .due = guest.pending->due});
    if (guest.fate != simulated_fate::none)
      set_alarm(left(guest.fate_due), {.vm = vm, .kind = alarm_kind::fate});
  }
}

simulated_world::shard& simulated_world::shard_of(vm_id vm) {
  return x_shards[x_store ? 0 : std::hash<uuid>{}(vm.value) % shard_count];
}

std::span<simulated_world::shard> simulated_world::shards() {
  return std::span(x_shards).first(x_store ? 1 : shard_count);
}

// --- processes that share it ---------------------------------------------------------------------

simulated_world::turn::turn(simulated_world& world, shard& where)
    : x_world(world), x_where(where), x_lock(where.guard) {
  begin();
}

simulated_world::turn::~turn() { end(); }

void simulated_world::turn::begin() {
  if (!x_world.x_store)
    return;
  const auto now = x_world.x_store->begin_turn();
  if (std::exchange(x_world.x_changes, now) == now)
    return;
  const auto guests = x_world.x_store->load();
  if (!guests)
    return; // what cannot be read is seen by the next one who opens it
  for (const auto& [vm, guest] : x_where.guests)
    x_world.unplug(guest.spec.port.link);
  x_where.guests.clear();
  // Who began a job ends it himself, unless he is dead or stands still.
  x_world.resume(*guests, job_grace);
}

void simulated_world::turn::end() {
  if (x_world.x_store)
    x_world.x_store->end_turn();
}

bool simulated_world::turn::wait(steady_time deadline) {
  end();
  const auto now = std::chrono::steady_clock::now();
  const auto until = x_world.x_store ? std::min(deadline, now + job_look) : deadline;
  x_where.job_ended.wait_until(x_lock, until);
  begin();
  return std::chrono::steady_clock::now() < deadline;
}

// --- what it is told -----------------------------------------------------------------------------

void simulated_world::set_silent(vm_id vm, bool is_silent) {
  const std::lock_guard lock(x_told_guard);
  if (is_silent)
    x_silent.insert(vm);
  else
    x_silent.erase(vm);
  x_has_told = !x_silent.empty() || !x_deaf.empty();
}

void simulated_world::set_deaf(vm_id vm, bool is_deaf) {
  const std::lock_guard lock(x_told_guard);
  if (is_deaf)
    x_deaf.insert(vm);
  else
    x_deaf.erase(vm);
  x_has_told = !x_silent.empty() || !x_deaf.empty();
}

void simulated_world::plan(simulated_fault fault) {
  const std::lock_guard lock(x_told_guard);
  const auto calls_left = std::max<std::uint32_t>(fault.nth, 1);
  x_faults.push_back({.fault = std::move(fault), .calls_left = calls_left});
  x_has_faults = true;
}

void simulated_world::forget_faults() {
  const std::lock_guard lock(x_told_guard);
  x_faults.clear();
  x_has_faults = false;
}

std::optional<simulated_fault> simulated_world::begin(simulated_verb verb,
                                                      std::optional<vm_id> vm) {
  x_verb_counts[static_cast<std::size_t>(verb)].fetch_add(1, std::memory_order_relaxed);
  if (!x_has_faults.load(std::memory_order_relaxed))
    return std::nullopt;
  const std::lock_guard lock(x_told_guard);
  std::optional<simulated_fault> striking;
  for (auto at = x_faults.begin(); at != x_faults.end();) {
    const bool is_meant = (!at->fault.verb || *at->fault.verb == verb) &&
                          (!at->fault.vm || (vm && *at->fault.vm == *vm));
    if (is_meant && --at->calls_left == 0 && !striking) {
      striking = std::move(at->fault);
      at = x_faults.erase(at);
      continue;
    }
    // Two faults for the same call: the second strikes at the next one.
    if (at->calls_left == 0)
      at->calls_left = 1;
    ++at;
  }
  x_has_faults = !x_faults.empty();
  return striking;
}

void simulated_world::plug(vm_id vm, const std::string& link) {
  const std::lock_guard lock(x_links_guard);
  x_links.insert_or_assign(link, vm);
}

void simulated_world::unplug(const std::string& link) {
  const std::lock_guard lock(x_links_guard);
  x_links.erase(link);
}

std::optional<vm_id> simulated_world::guest_on(const std::string& link) {
  const std::lock_guard lock(x_links_guard);
  const auto found = x_links.find(link);
  return found == x_links.end() ? std::nullopt : std::optional(found->second);
}

bool simulated_world::answers_on(const std::string& link) {
  const auto vm = guest_on(link);
  return vm && answers(*vm);
}

bool simulated_world::answers(vm_id vm) {
  auto& where = shard_of(vm);
  {
    const turn mine(*this, where);
    const auto found = where.guests.find(vm.value);
    if (found == where.guests.end() || found->second.condition != guest_condition::running ||
        found->second.spec.image.ends_with("-silent"))
      return false;
  }
  if (!x_has_told)
    return true;
  const std::lock_guard lock(x_told_guard);
  return !x_silent.contains(vm);
}

bool simulated_world::obeys_shutdown(vm_id vm, const simulated_guest& guest) const {
  if (guest.spec.image.ends_with("-deaf"))
    return false;
  if (!x_has_told)
    return true;
  const std::lock_guard lock(x_told_guard);
  return !x_deaf.contains(vm);
}

// --- who hears of it -----------------------------------------------------------------------------

void simulated_world::attach(const std::shared_ptr<observer>& ear) {
  const std::unique_lock lock(x_observers_guard);
  std::erase_if(x_observers, [](const auto& known) { return known.expired(); });
  x_observers.push_back(ear);
}

void simulated_world::notify(vm_id vm) {
  const std::shared_lock lock(x_observers_guard);
  for (const auto& known : x_observers) {
    const auto ear = known.lock();
    if (!ear || !ear->is_connected)
      continue;
    const std::shared_lock hearing(ear->guard);
    if (ear->listener)
      ear->listener(vm);
  }
}

void simulated_world::disconnect(observer& ear) {
  if (!ear.is_connected.exchange(false))
    return;
  const std::shared_lock hearing(ear.guard);
  if (ear.listener)
    ear.listener(vm_id{});
}

void simulated_world::lose_connections() {
  const std::shared_lock lock(x_observers_guard);
  for (const auto& known : x_observers)
    if (const auto ear = known.lock())
      disconnect(*ear);
}

// --- what happens to a guest ---------------------------------------------------------------------

void simulated_world::stop_guest(vm_id vm, stop_cause cause) {
  auto& where = shard_of(vm);
  {
    const turn mine(*this, where);
    const auto found = where.guests.find(vm.value);
    if (found == where.guests.end() || found->second.condition != guest_condition::running)
      return;
    stop(found->second, cause);
    // A guest's own end cannot be refused; a world that cannot be written is seen by the next verb.
    const auto kept = keep(vm, found->second);
    static_cast<void>(kept);
  }
  notify(vm);
}

void simulated_world::crash_guest(vm_id vm) { stop_guest(vm, stop_cause::crashed); }

void simulated_world::destroy_guest(vm_id vm) { stop_guest(vm, stop_cause::host); }

void simulated_world::power_off_guest(vm_id vm) { stop_guest(vm, stop_cause::guest); }

void simulated_world::lose_guest(vm_id vm) {
  auto& where = shard_of(vm);
  {
    const turn mine(*this, where);
    if (where.guests.erase(vm.value) == 0)
      return;
    const auto kept = keep(vm, std::nullopt);
    static_cast<void>(kept);
  }
  where.job_ended.notify_all();
  notify(vm);
}

std::optional<simulated_guest> simulated_world::guest(vm_id vm) {
  auto& where = shard_of(vm);
  const turn mine(*this, where);
  const auto found = where.guests.find(vm.value);
  if (found == where.guests.end() || !found->second.defined)
    return std::nullopt;
  return found->second;
}

std::size_t simulated_world::guest_count() {
  std::size_t count = 0;
  for (auto& where : shards()) {
    const turn mine(*this, where);
    for (const auto& [id, guest] : where.guests)
      count += guest.defined ? 1 : 0;
  }
  return count;
}

std::uint64_t simulated_world::verb_count(simulated_verb verb) const {
  return x_verb_counts[static_cast<std::size_t>(verb)].load(std::memory_order_relaxed);
}

result<void> simulated_world::keep(vm_id vm, const std::optional<simulated_guest>& guest) {
  if (!x_store)
    return {};
  if (auto noted = x_store->note(++x_changes); !noted)
    return noted;
  return guest ? x_store->write(vm, *guest) : x_store->remove(vm);
}

// --- changes -------------------------------------------------------------------------------------
//
//   change --(guest busy: wait)--> pending, kept --(duration)--> apply --> answer, notify
//                                        \--(patience over)--> `unavailable`; an alarm applies
//                                        later

result<guest_seen> simulated_world::change(vm_id vm, simulated_operation operation,
                                           microseconds duration, microseconds patience) {
  auto& where = shard_of(vm);
  std::chrono::system_clock::time_point due;
  {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    std::optional<turn> mine(std::in_place, *this, where);
    const auto is_busy = [&where, vm] {
      const auto found = where.guests.find(vm.value);
      return found != where.guests.end() && found->second.pending;
    };
    for (bool is_early = true; is_busy(); is_early = mine->wait(deadline))
      if (!is_early)
        return error{.code = error_code::unavailable,
                     .text = "guest " + to_text(vm) + " is busy with an earlier operation",
                     .retryable = true};
    if (duration.count() <= 0) {
      auto done = apply(where, vm, operation);
      mine.reset();
      if (done.is_visible)
        notify(vm);
      return std::move(done.seen);
    }
    // In microseconds, as it is kept.
    due = operation.due =
        std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now() + duration);
    auto& slot = where.guests[vm.value];
    slot.pending = std::make_shared<const simulated_operation>(std::move(operation));
    if (auto kept = keep(vm, slot); !kept) {
      slot.pending.reset();
      if (!slot.defined)
        where.guests.erase(vm.value);
      return kept.error();
    }
  }
  if (duration <= patience) {
    std::this_thread::sleep_for(duration);
    return finish_job(vm, due);
  }
  set_alarm(duration, {.vm = vm, .kind = alarm_kind::job, .due = due});
  std::this_thread::sleep_for(patience);
  return error{.code = error_code::unavailable,
               .text = "the simulated hypervisor did not answer in time",
               .retryable = true};
}

result<guest_seen> simulated_world::finish_job(vm_id vm,
                                               std::chrono::system_clock::time_point due) {
  auto& where = shard_of(vm);
  outcome done{.seen = guest_seen{.vm = vm}};
  {
    const turn mine(*this, where);
    const auto found = where.guests.find(vm.value);
    const auto is_there =
        found != where.guests.end() && found->second.pending && found->second.pending->due == due;
    if (!is_there && x_store)
      return error{.code = error_code::unavailable,
                   .text = "another process ended what was begun with guest " + to_text(vm),
                   .retryable = true};
    // The guest was lost under the hands of the job.
    if (!is_there)
      return refusal(error_code::driver_failed, "guest " + to_text(vm) + " vanished meanwhile");
    const auto operation = std::exchange(found->second.pending, nullptr);
    done = apply(where, vm, *operation);
  }
  where.job_ended.notify_all();
  if (done.is_visible)
    notify(vm);
  return std::move(done.seen);
}

void simulated_world::finish_fate(vm_id vm) {
  auto fate = simulated_fate::none;
  {
    auto& where = shard_of(vm);
    const turn mine(*this, where);
    const auto found = where.guests.find(vm.value);
    if (found == where.guests.end() || found->second.fate == simulated_fate::none)
      return;
    // Killed and started again meanwhile: that life has its own alarm.
    if (found->second.fate_due > std::chrono::system_clock::now())
      return;
    fate = found->second.fate;
  }
  stop_guest(vm, fate == simulated_fate::crash ? stop_cause::crashed : stop_cause::guest);
}

simulated_world::outcome simulated_world::apply(shard& where, vm_id vm,
                                                const simulated_operation& operation) {
  const auto found = where.guests.find(vm.value);
  const auto before = found == where.guests.end() ? simulated_guest{} : found->second;
  auto guest = before.defined ? std::optional(before) : std::nullopt;
  outcome done{.seen = stale(vm, before.token)};
  if (operation.token >= before.token)
    done = operation.what == simulated_change::define ? apply_define(guest, operation)
                                                      : apply_known(vm, guest, operation);
  const bool is_remembered = x_store && !guest;
  const simulated_guest gone{.token = std::max(before.token, operation.token)};
  // Also after a refusal: the job that the file speaks of has ended.
  if (auto kept = keep(vm, is_remembered ? gone : guest); !kept)
    return {.seen = kept.error()};
  if (done.seen && guest && guest->fate != simulated_fate::none &&
      operation.what != simulated_change::fence)
    set_alarm(x_options.verb_time, {.vm = vm, .kind = alarm_kind::fate});
  if (before.defined && !guest)
    unplug(before.spec.port.link);
  if (guest)
    plug(vm, guest->spec.port.link);
  if (guest || is_remembered)
    where.guests.insert_or_assign(vm.value, guest ? *guest : gone);
  else if (found != where.guests.end())
    where.guests.erase(found);
  return done;
}

simulated_world::outcome simulated_world::apply_define(std::optional<simulated_guest>& guest,
                                                       const simulated_operation& operation) const {
  const auto& spec = operation.spec;
  if (std::ranges::find(x_options.images, spec.image) == x_options.images.end())
    return {.seen = refusal(error_code::image_unknown,
                            "the simulated node has no image '" + spec.image + "'")};
  bool is_changed = true;
  if (!guest) {
    guest = simulated_guest{.defined = true, .condition = guest_condition::stopped, .spec = spec};
  } else if (guest->spec.installation != spec.installation) {
    return {.seen = refusal(error_code::conflict,
                            "guest " + to_text(spec.vm) + " belongs to another installation")};
  } else if (same_spec(guest->spec, spec)) {
    is_changed = false;
  } else if (guest->condition == guest_condition::running) {
    return {.seen = refusal(error_code::conflict, "guest " + to_text(spec.vm) +
                                                      " runs with another spec; stop it first")};
  } else {
    guest->spec = spec;
  }
  guest->generation = operation.generation;
  guest->token = operation.token;
  return {.seen = seen_of(spec.vm, guest), .is_visible = is_changed};
}

simulated_world::outcome simulated_world::apply_known(vm_id vm,
                                                      std::optional<simulated_guest>& guest,
                                                      const simulated_operation& operation) const {
  if (!guest) {
    if (operation.what == simulated_change::start)
      return {.seen = refusal(error_code::not_found, "guest " + to_text(vm) + " is not defined")};
    return {.seen = seen_of(vm, guest)};
  }
  const bool was_running = guest->condition == guest_condition::running;
  if (operation.what == simulated_change::undefine && was_running)
    return {.seen =
                refusal(error_code::conflict,
                        "guest " + to_text(vm) + " is running; stop it before it is undefined")};
  guest->token = operation.token;
  switch (operation.what) {
  case simulated_change::none:
  case simulated_change::define:
  case simulated_change::fence:
    break;
  case simulated_change::start:
    guest->generation = operation.generation;
    if (was_running)
      break;
    guest->condition = guest_condition::running;
    guest->cause = stop_cause::none;
    ++guest->boot_count;
    if (guest->spec.image.ends_with("-crash"))
      guest->fate = simulated_fate::crash;
    break;
  case simulated_change::shutdown:
    if (was_running && obeys_shutdown(vm, *guest))
      guest->fate = simulated_fate::power_off;
    break;
  case simulated_change::kill:
    if (was_running)
      stop(*guest, stop_cause::host);
    break;
  case simulated_change::undefine:
    guest.reset();
    return {.seen = seen_of(vm, guest), .is_visible = true};
  }
  if (guest->fate != simulated_fate::none && x_options.verb_time.count() == 0)
    stop(*guest, guest->fate == simulated_fate::crash ? stop_cause::crashed : stop_cause::guest);
  else if (guest->fate != simulated_fate::none && operation.what != simulated_change::fence)
    guest->fate_due = std::chrono::system_clock::now() + x_options.verb_time;
  return {.seen = seen_of(vm, guest),
          .is_visible = was_running != (guest->condition == guest_condition::running)};
}

// --- alarms --------------------------------------------------------------------------------------

void simulated_world::set_alarm(microseconds from_now, alarm what) {
  const std::lock_guard lock(x_alarms_guard);
  if (x_is_closing)
    return;
  x_alarms.emplace(std::chrono::steady_clock::now() + from_now, what);
  if (!x_alarm_thread.joinable())
    x_alarm_thread = std::thread([this] { ring_alarms(); });
  x_alarms_changed.notify_all();
}

void simulated_world::ring_alarms() {
  std::unique_lock lock(x_alarms_guard);
  while (!x_is_closing) {
    if (x_alarms.empty()) {
      x_alarms_changed.wait(lock);
      continue;
    }
    const auto due = x_alarms.begin()->first;
    if (std::chrono::steady_clock::now() < due) {
      x_alarms_changed.wait_until(lock, due);
      continue;
    }
    const auto what = x_alarms.begin()->second;
    x_alarms.erase(x_alarms.begin());
    lock.unlock();
    switch (what.kind) {
    case alarm_kind::job: {
      // The caller's patience is over: nobody waits for the answer.
      const auto unheard = finish_job(what.vm, what.due);
      static_cast<void>(unheard);
      break;
    }
    case alarm_kind::fate:
      finish_fate(what.vm);
      break;
    }
    lock.lock();
  }
}

} // namespace orrery::drivers
