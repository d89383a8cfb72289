#include "drivers/libvirt/libvirt_hypervisor.hpp"

#include "drivers/guest_spec_check.hpp"
#include "drivers/libvirt/call_book.hpp"
#include "drivers/libvirt/connection.hpp"
#include "drivers/libvirt/guest_files.hpp"
#include "events/core/text.hpp"

#include <algorithm>
#include <thread>

namespace orrery::drivers {

using libvirt::call_book;
using libvirt::connection;
using libvirt::domain_handle;
using libvirt::guest_record;

namespace {

// sun_path of a unix socket's address holds 107 characters and a zero.
constexpr std::size_t socket_path_size_max = 107;

constexpr mib kvm_overhead{512};
// QEMU 7.2 gives its translated code up to 1 GiB.
constexpr mib tcg_overhead{1536};

// Above what virtlogd keeps in one file by default (2 MiB): a console's end is for people.
constexpr std::size_t console_size_max = 4UL * 1024 * 1024;

error refusal(error_code code, std::string text) {
  return {.code = code, .text = std::move(text), .retryable = false};
}

error abandoned() {
  return {.code = error_code::unavailable,
          .text = "given up before its next step, since the caller had gone",
          .retryable = true};
}

result<void> check_path(std::string_view what, const std::string& path) {
  if (!path.starts_with('/') || !std::ranges::all_of(path, is_plain_in_path))
    return refusal(error_code::invalid_argument,
                   "the " + std::string(what) + " '" + path +
                       "' is not an absolute path of letters, digits and /._-");
  return {};
}

/// A domain of ours with all that it says of itself.
struct known_guest {
  domain_handle domain;
  guest_record record;
  fencing_token token;
  libvirt::domain_condition condition;
};

guest_seen seen_of(vm_id vm, const std::optional<known_guest>& guest) {
  guest_seen seen;
  seen.vm = vm;
  if (!guest)
    return seen;
  seen.condition = guest->condition.is_active ? guest_condition::running : guest_condition::stopped;
  seen.cause = guest->condition.cause;
  // libvirt says "unknown" of a guest that never ran, and of one that ran before libvirtd began.
  if (seen.cause == stop_cause::unknown && !guest->record.was_started)
    seen.cause = stop_cause::none;
  seen.generation = guest->record.generation;
  seen.token = guest->token;
  return seen;
}

/// Reads a domain; none when it is not ours (no metadata element) or vanished meanwhile.
result<std::optional<known_guest>> read_guest(domain_handle domain) {
  const auto record_xml = libvirt::read_metadata(domain.get(), libvirt::guest_namespace);
  if (!record_xml)
    return record_xml.error();
  if (!*record_xml)
    return std::optional<known_guest>();
  auto record = libvirt::parse_guest_record(**record_xml);
  if (!record)
    return record.error();
  const auto fence_xml = libvirt::read_metadata(domain.get(), libvirt::fence_namespace);
  if (!fence_xml)
    return fence_xml.error();
  fencing_token token;
  if (*fence_xml) {
    const auto parsed = libvirt::parse_fence(**fence_xml);
    if (!parsed)
      return parsed.error();
    token = *parsed;
  }
  const auto condition = libvirt::condition_of(domain.get());
  if (!condition)
    return condition.error();
  return std::optional<known_guest>(known_guest{
      .domain = std::move(domain), .record = *record, .token = token, .condition = *condition});
}

/// The guest of ours with this id; none when there is no such domain. Errors also: `conflict` when
/// the domain is somebody else's.
result<std::optional<known_guest>> find_guest(const connection& libvirtd, vm_id vm) {
  auto domain = libvirtd.find(vm);
  if (!domain)
    return domain.error();
  if (!*domain)
    return std::optional<known_guest>();
  auto guest = read_guest(std::move(*domain));
  if (guest && !*guest)
    return refusal(error_code::conflict,
                   "the domain with the UUID of " + to_text(vm) + " is not one of ours");
  if (guest)
    return guest;
  // Undefined between the two questions: then it is absent.
  const auto again = libvirtd.find(vm);
  if (again && !*again)
    return std::optional<known_guest>();
  return guest;
}

result<void> check_token(vm_id vm, const known_guest& guest, fencing_token token) {
  if (token < guest.token)
    return refusal(error_code::conflict, "guest " + to_text(vm) +
                                             " was touched by a newer owner (incarnation " +
                                             std::to_string(guest.token.incarnation) + ", epoch " +
                                             std::to_string(guest.token.epoch) + ")");
  return {};
}

result<void> write_token(const known_guest& guest, fencing_token token) {
  return libvirt::write_metadata(guest.domain.get(), libvirt::fence_namespace,
                                 libvirt::fence_prefix, libvirt::to_xml(token));
}

/// Finds a guest for a change: with a token that may touch it, and written into it if it is new.
result<std::optional<known_guest>> find_to_change(const connection& libvirtd, vm_id vm,
                                                  fencing_token token) {
  auto guest = find_guest(libvirtd, vm);
  if (!guest || !*guest)
    return guest;
  if (auto checked = check_token(vm, **guest, token); !checked)
    return checked.error();
  if ((*guest)->token < token) {
    if (auto written = write_token(**guest, token); !written)
      return written.error();
    (*guest)->token = token;
  }
  return guest;
}

result<void> write_record(known_guest& guest, const guest_record& record) {
  if (guest.record == record)
    return {};
  if (auto written = libvirt::write_metadata(guest.domain.get(), libvirt::guest_namespace,
                                             libvirt::guest_prefix, libvirt::to_xml(record));
      !written)
    return written;
  guest.record = record;
  return {};
}

/// After a change that libvirt refused: is the guest where it should be all the same?
result<void> unless_active_is(bool wanted, const known_guest& guest, const result<void>& tried) {
  if (tried)
    return tried;
  const auto condition = libvirt::condition_of(guest.domain.get());
  if (condition && condition->is_active == wanted)
    return {};
  return tried;
}

// --- the bodies of the verbs: run inside a call_book ---------------------------------------------

result<guest_seen> fence_guest(const connection& libvirtd, vm_id vm, fencing_token token,
                               const call_book::call& call) {
  for (;;) {
    auto guest = find_guest(libvirtd, vm);
    if (!guest)
      return guest.error();
    if (!*guest)
      return seen_of(vm, *guest);
    if (auto checked = check_token(vm, **guest, token); !checked)
      return checked.error();
    // Written even when it is there already: the write is a job of the domain, so libvirtd does it
    // only after whatever job it still runs for a dead predecessor.
    const auto written = write_token(**guest, token);
    if (written) {
      // What was read before the barrier is old.
      guest = find_guest(libvirtd, vm);
      if (!guest)
        return guest.error();
      return seen_of(vm, *guest);
    }
    // libvirt itself waits 30 s for a job and then says so; a guest may also vanish meanwhile.
    if (written.error().code != error_code::unavailable || libvirtd.is_lost() ||
        call.is_abandoned())
      return written.error();
  }
}

result<void> define_guest(const connection& libvirtd, const guest_spec& spec,
                          generation_number generation, fencing_token token,
                          const libvirt::domain_surroundings& around, const call_book::call& call) {
  guest_record record{.installation = spec.installation,
                      .vm = spec.vm,
                      .generation = generation,
                      .spec_hash = libvirt::hash_of(spec),
                      .was_started = false};
  auto guest = find_guest(libvirtd, spec.vm);
  if (!guest)
    return guest.error();
  if (*guest) {
    auto& known = **guest;
    if (known.record.installation != spec.installation)
      return refusal(error_code::conflict,
                     "guest " + to_text(spec.vm) + " belongs to another installation");
    if (auto checked = check_token(spec.vm, known, token); !checked)
      return checked;
    record.was_started = known.record.was_started;
    if (known.record.spec_hash == record.spec_hash) {
      if (known.token < token)
        if (auto written = write_token(known, token); !written)
          return written;
      if (call.is_abandoned())
        return abandoned();
      return write_record(known, record);
    }
    if (known.condition.is_active)
      return refusal(error_code::conflict, "guest " + to_text(spec.vm) +
                                               " runs with another spec; stop it before it is "
                                               "changed");
  }
  if (call.is_abandoned())
    return abandoned();
  const auto defined = libvirtd.define(libvirt::domain_xml(spec, record, token, around));
  if (!defined)
    return defined.error();
  return {};
}

/// Limits a running guest's memory to its own and `overhead`. Said at each start, also of a guest
/// that runs already: a predecessor may have died in between.
result<void> confine_memory(const known_guest& guest, mib overhead) {
  const auto memory = libvirt::memory_of(guest.domain.get());
  if (!memory)
    return memory.error();
  return libvirt::limit_memory(guest.domain.get(), *memory + overhead);
}

result<void> start_guest(const connection& libvirtd, vm_id vm, generation_number generation,
                         fencing_token token, mib overhead, const call_book::call& call) {
  auto guest = find_to_change(libvirtd, vm, token);
  if (!guest)
    return guest.error();
  if (!*guest)
    return refusal(error_code::not_found, "guest " + to_text(vm) + " is not defined");
  if (call.is_abandoned())
    return abandoned();
  auto record = (*guest)->record;
  record.generation = generation;
  record.was_started = true;
  if (auto written = write_record(**guest, record); !written)
    return written;
  if (call.is_abandoned())
    return abandoned();
  const bool was_active = (*guest)->condition.is_active;
  if (!was_active)
    if (auto started = unless_active_is(true, **guest, libvirt::create((*guest)->domain.get()));
        !started)
      return started;
  auto confined = confine_memory(**guest, overhead);
  if (!confined && !was_active && confined.error().code == error_code::driver_failed) {
    // No guest of ours runs without its limit; what it is told as a failure must not run on.
    const auto stopped = libvirt::destroy((*guest)->domain.get());
    static_cast<void>(stopped);
    return confined;
  }
  // A guest that ended meanwhile has been started all the same.
  return unless_active_is(false, **guest, confined);
}

result<void> shut_down_guest(const connection& libvirtd, vm_id vm, fencing_token token,
                             const call_book::call& call) {
  const auto guest = find_to_change(libvirtd, vm, token);
  if (!guest)
    return guest.error();
  if (!*guest || !(*guest)->condition.is_active)
    return {};
  if (call.is_abandoned())
    return abandoned();
  return unless_active_is(false, **guest, libvirt::shut_down((*guest)->domain.get()));
}

result<void> kill_guest(const connection& libvirtd, vm_id vm, fencing_token token,
                        const call_book::call& call) {
  const auto guest = find_to_change(libvirtd, vm, token);
  if (!guest)
    return guest.error();
  if (!*guest || !(*guest)->condition.is_active)
    return {};
  if (call.is_abandoned())
    return abandoned();
  return unless_active_is(false, **guest, libvirt::destroy((*guest)->domain.get()));
}

result<void> undefine_guest(const connection& libvirtd, vm_id vm, fencing_token token,
                            const std::filesystem::path& consoles, const call_book::call& call) {
  const auto guest = find_to_change(libvirtd, vm, token);
  if (!guest)
    return guest.error();
  if (*guest && (*guest)->condition.is_active)
    return refusal(error_code::conflict,
                   "guest " + to_text(vm) + " is running; stop it before it is undefined");
  if (call.is_abandoned())
    return abandoned();
  if (*guest) {
    if (auto gone = libvirt::undefine((*guest)->domain.get()); !gone) {
      const auto again = libvirtd.find(vm);
      if (!again || *again)
        return gone;
    }
  }
  // Also when it is absent: a predecessor may have died between the two.
  return libvirt::remove_console(consoles, vm);
}

result<std::vector<guest_seen>> list_guests(const connection& libvirtd, const uuid& installation) {
  auto domains = libvirtd.find_all();
  if (!domains)
    return domains.error();
  std::vector<guest_seen> found;
  for (auto& domain : *domains) {
    const auto vm = libvirt::vm_of(domain.get());
    auto guest = read_guest(std::move(domain));
    if (!guest) {
      // Undefined since it was listed, or really unreadable: a second look tells.
      auto again = find_guest(libvirtd, vm);
      if (!again)
        return again.error();
      guest = std::move(again);
    }
    if (*guest && (*guest)->record.installation == installation)
      found.push_back(seen_of(vm, *guest));
  }
  std::ranges::sort(found, {}, &guest_seen::vm);
  return found;
}

/// Closing asks libvirtd once more and may hang with it, so it never happens in a caller's thread.
void close_aside(std::shared_ptr<connection> old) {
  if (old)
    std::thread([old = std::move(old)]() mutable { old.reset(); }).detach();
}

} // namespace

struct libvirt_hypervisor::state {
  options settings;
  std::shared_ptr<call_book> book;
  std::shared_ptr<libvirt::ear> ear = std::make_shared<libvirt::ear>();
  std::mutex guard;
  std::shared_ptr<connection> current; ///< under `guard`; none before `connect`

  /// The connection to use now.
  result<std::shared_ptr<connection>> libvirtd() {
    const std::lock_guard lock(guard);
    if (!current || current->is_lost())
      return error{.code = error_code::unavailable,
                   .text =
                       "there is no connection to " + settings.socket_path + "; it is tried again",
                   .retryable = true};
    return current;
  }

  template <class T, class Body>
  result<T> change(vm_id vm, std::chrono::milliseconds limit, Body body) {
    auto found = libvirtd();
    if (!found)
      return found.error();
    return book->change<T>(
        vm, limit, [libvirtd = *found, body = std::move(body)](const call_book::call& call) {
          return body(*libvirtd, call);
        });
  }
};

libvirt_hypervisor::libvirt_hypervisor(options settings) : x_state(std::make_unique<state>()) {
  x_state->book = call_book::of(settings.socket_path);
  x_state->settings = std::move(settings);
}

libvirt_hypervisor::~libvirt_hypervisor() {
  listen({});
  const std::lock_guard lock(x_state->guard);
  close_aside(std::move(x_state->current));
}

result<std::unique_ptr<libvirt_hypervisor>> libvirt_hypervisor::make(options settings) {
  if (auto checked = check_path("libvirt socket", settings.socket_path); !checked)
    return checked.error();
  if (settings.socket_path.size() > socket_path_size_max)
    return refusal(error_code::invalid_argument,
                   "the libvirt socket's path is longer than 107 bytes: " + settings.socket_path);
  if (auto checked = check_path("image directory", settings.image_directory.string()); !checked)
    return checked.error();
  if (auto checked = check_path("console directory", settings.console_directory.string()); !checked)
    return checked.error();
  if (settings.memory_overhead.count == 0)
    settings.memory_overhead =
        settings.acceleration == libvirt::acceleration::kvm ? kvm_overhead : tcg_overhead;
  // The constructor is private: make_unique cannot reach it.
  return std::unique_ptr<libvirt_hypervisor>(new libvirt_hypervisor(std::move(settings)));
}

void libvirt_hypervisor::listen(guest_listener listener) {
  const std::lock_guard lock(x_state->ear->guard);
  x_state->ear->listener = std::move(listener);
}

result<node_facts> libvirt_hypervisor::connect() {
  std::shared_ptr<connection> found;
  {
    const std::lock_guard lock(x_state->guard);
    if (x_state->current && x_state->current->is_lost())
      close_aside(std::exchange(x_state->current, nullptr));
    found = x_state->current;
  }

  struct opened {
    std::shared_ptr<connection> libvirtd;
    node_facts facts;
  };

  const connection::settings wanted{
      .socket_path = x_state->settings.socket_path,
      .keepalive_interval_s = static_cast<int>(x_state->settings.keepalive_interval.count()),
      .keepalive_count = x_state->settings.keepalive_count};
  const auto how = x_state->settings.acceleration;
  const auto images = x_state->settings.image_directory;
  auto answer = x_state->book->ask<opened>(
      x_state->settings.question_limit,
      [found, wanted, how, images, ear = x_state->ear](const call_book::call&) -> result<opened> {
        auto libvirtd = found;
        if (!libvirtd) {
          auto fresh = connection::open(wanted, ear);
          if (!fresh)
            return fresh.error();
          libvirtd = std::move(*fresh);
        }
        auto facts = libvirtd->facts();
        if (!facts)
          return facts.error();
        auto names = libvirt::find_images(images);
        if (!names)
          return names.error();
        facts->images = std::move(*names);
        facts->hypervisor += how == libvirt::acceleration::kvm ? " (kvm)" : " (tcg)";
        return opened{.libvirtd = std::move(libvirtd), .facts = std::move(*facts)};
      });
  if (!answer)
    return answer.error();
  const std::lock_guard lock(x_state->guard);
  // Two threads may have connected at once: the last one stays.
  if (x_state->current != answer->libvirtd)
    close_aside(std::exchange(x_state->current, answer->libvirtd));
  return answer->facts;
}

result<std::vector<guest_seen>> libvirt_hypervisor::list(const uuid& installation) {
  const auto found = x_state->libvirtd();
  if (!found)
    return found.error();
  return x_state->book->ask<std::vector<guest_seen>>(
      x_state->settings.question_limit, [libvirtd = *found, installation](const call_book::call&) {
        return list_guests(*libvirtd, installation);
      });
}

result<guest_seen> libvirt_hypervisor::inspect(vm_id vm) {
  const auto found = x_state->libvirtd();
  if (!found)
    return found.error();
  return x_state->book->ask<guest_seen>(
      x_state->settings.question_limit,
      [libvirtd = *found, vm](const call_book::call&) -> result<guest_seen> {
        const auto guest = find_guest(*libvirtd, vm);
        if (!guest)
          return guest.error();
        return seen_of(vm, *guest);
      });
}

result<guest_seen> libvirt_hypervisor::fence(vm_id vm, fencing_token token) {
  return x_state->change<guest_seen>(
      vm, x_state->settings.fence_limit,
      [vm, token](const connection& libvirtd, const call_book::call& call) {
        return fence_guest(libvirtd, vm, token, call);
      });
}

result<void> libvirt_hypervisor::define(const guest_spec& spec, generation_number generation,
                                        fencing_token token) {
  if (auto checked = check_spec(spec); !checked)
    return checked;
  auto boot = libvirt::find_image(x_state->settings.image_directory, spec.image);
  if (!boot)
    return boot.error();
  const libvirt::domain_surroundings around{
      .how = x_state->settings.acceleration,
      .boot = std::move(*boot),
      .console = libvirt::console_path(x_state->settings.console_directory, spec.vm)};
  return x_state->change<void>(
      spec.vm, x_state->settings.change_limit,
      [spec, generation, token, around](const connection& libvirtd, const call_book::call& call) {
        return define_guest(libvirtd, spec, generation, token, around, call);
      });
}

result<void> libvirt_hypervisor::start(vm_id vm, generation_number generation,
                                       fencing_token token) {
  return x_state->change<void>(
      vm, x_state->settings.change_limit,
      [vm, generation, token, overhead = x_state->settings.memory_overhead](
          const connection& libvirtd, const call_book::call& call) {
        return start_guest(libvirtd, vm, generation, token, overhead, call);
      });
}

result<void> libvirt_hypervisor::shutdown(vm_id vm, fencing_token token) {
  return x_state->change<void>(
      vm, x_state->settings.change_limit,
      [vm, token](const connection& libvirtd, const call_book::call& call) {
        return shut_down_guest(libvirtd, vm, token, call);
      });
}

result<void> libvirt_hypervisor::kill(vm_id vm, fencing_token token) {
  return x_state->change<void>(
      vm, x_state->settings.change_limit,
      [vm, token](const connection& libvirtd, const call_book::call& call) {
        return kill_guest(libvirtd, vm, token, call);
      });
}

result<void> libvirt_hypervisor::undefine(vm_id vm, fencing_token token) {
  return x_state->change<void>(vm, x_state->settings.change_limit,
                               [vm, token, consoles = x_state->settings.console_directory](
                                   const connection& libvirtd, const call_book::call& call) {
                                 return undefine_guest(libvirtd, vm, token, consoles, call);
                               });
}

result<std::string> libvirt_hypervisor::console(vm_id vm, std::size_t bytes_max) {
  return libvirt::read_console(x_state->settings.console_directory, vm,
                               std::min(bytes_max, console_size_max));
}

} // namespace orrery::drivers
