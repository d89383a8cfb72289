#include "drivers/libvirt/connection.hpp"

#include "drivers/libvirt/domain_xml.hpp"
#include "events/core/check.hpp"
#include "events/core/text.hpp"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <array>
#include <thread>

namespace orrery::drivers::libvirt {

namespace {

// Long enough for libvirt's longest sentences, short enough for an event.
constexpr std::size_t error_text_size_max = 500;

void print_nothing(void* /*user_data*/, virErrorPtr /*failure*/) {
  // libvirt prints every error to standard error unless somebody takes it; we return them.
}

/// libvirt wants one event loop a process, registered before the first connection.
result<void> run_event_loop() {
  static const bool is_running = [] {
    virSetErrorFunc(nullptr, &print_nothing);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
      return false;
    // Detached: it serves every connection until the process ends.
    std::thread([] {
      for (;;)
        if (virEventRunDefaultImpl() < 0)
          std::this_thread::yield();
    }).detach();
    return true;
  }();
  if (is_running)
    return {};
  return error{.code = error_code::driver_failed,
               .text = "libvirt's client library cannot be initialised",
               .retryable = false};
}

int on_lifecycle(virConnectPtr /*conn*/, virDomainPtr domain, int /*event*/, int /*detail*/,
                 void* opaque) {
  const char* name = virDomainGetName(domain);
  if (name != nullptr && std::string_view(name).starts_with(domain_name_prefix))
    (*static_cast<std::shared_ptr<ear>*>(opaque))->tell(vm_of(domain));
  return 0;
}

void free_ear(void* opaque) { delete static_cast<std::shared_ptr<ear>*>(opaque); }

struct close_watch {
  std::shared_ptr<std::atomic<bool>> is_lost;
  std::shared_ptr<ear> listener;
};

void on_close(virConnectPtr /*conn*/, int /*reason*/, void* opaque) {
  const auto* watch = static_cast<close_watch*>(opaque);
  if (!watch->is_lost->exchange(true))
    watch->listener->tell(vm_id{});
}

void free_close_watch(void* opaque) { delete static_cast<close_watch*>(opaque); }

std::string version_text(unsigned long version) {
  constexpr unsigned long major_unit = 1'000'000; // libvirt's coding of versions
  constexpr unsigned long minor_unit = 1'000;
  return std::to_string(version / major_unit) + "." +
         std::to_string(version % major_unit / minor_unit) + "." +
         std::to_string(version % minor_unit);
}

stop_cause cause_of(int reason) {
  switch (reason) {
  case VIR_DOMAIN_SHUTOFF_SHUTDOWN:
    return stop_cause::guest;
  case VIR_DOMAIN_SHUTOFF_DESTROYED:
    return stop_cause::host;
  case VIR_DOMAIN_SHUTOFF_CRASHED:
  case VIR_DOMAIN_SHUTOFF_FAILED:
    return stop_cause::crashed;
  default:
    // Migrated, saved, from a snapshot, lost while libvirtd was down, or never ran.
    return stop_cause::unknown;
  }
}

bool is_about_connection(const virError& failure) {
  switch (failure.code) {
  case VIR_ERR_NO_CONNECT:
  case VIR_ERR_INVALID_CONN:
  case VIR_ERR_RPC:
  case VIR_ERR_OPERATION_TIMEOUT:
  case VIR_ERR_AUTH_UNAVAILABLE:
    return true;
  default:
    // "client socket is closed", "Connection reset by peer": errors of the client's own side.
    return failure.domain == VIR_FROM_RPC || failure.domain == VIR_FROM_REMOTE;
  }
}

result<void> done(int status, const std::string& what) {
  if (status < 0)
    return last_error(what);
  return {};
}

bool last_code_is(int code) {
  const auto* failure = virGetLastError();
  return failure != nullptr && failure->code == code;
}

} // namespace

void ear::tell(vm_id vm) {
  const std::lock_guard lock(guard);
  if (listener)
    listener(vm);
}

void domain_deleter::operator()(_virDomain* domain) const { virDomainFree(domain); }

error last_error(const std::string& what) {
  const auto* failure = virGetLastError();
  if (failure == nullptr)
    return {.code = error_code::driver_failed,
            .text = what + ": libvirt gave no reason",
            .retryable = true};
  const auto words =
      printable(failure->message != nullptr ? failure->message : "no message", error_text_size_max);
  if (is_about_connection(*failure))
    return {.code = error_code::unavailable, .text = what + ": " + words, .retryable = true};
  const bool is_lasting =
      failure->code == VIR_ERR_XML_ERROR || failure->code == VIR_ERR_XML_DETAIL ||
      failure->code == VIR_ERR_CONFIG_UNSUPPORTED || failure->code == VIR_ERR_INVALID_ARG;
  return {.code = error_code::driver_failed, .text = what + ": " + words, .retryable = !is_lasting};
}

// --- connection ----------------------------------------------------------------------------------

connection::connection(_virConnect* handle, int lifecycle_id,
                       std::shared_ptr<std::atomic<bool>> is_lost)
    : x_handle(handle), x_lifecycle_id(lifecycle_id), x_is_lost(std::move(is_lost)) {}

connection::~connection() {
  virConnectDomainEventDeregisterAny(x_handle, x_lifecycle_id);
  virConnectUnregisterCloseCallback(x_handle, &on_close);
  virConnectClose(x_handle);
}

result<std::shared_ptr<connection>> connection::open(const settings& wanted,
                                                     std::shared_ptr<ear> listener) {
  if (auto running = run_event_loop(); !running)
    return running.error();
  // The path was checked: no character of it means anything in a URI. Never a URI from outside,
  // since some of libvirt's transports run commands.
  const auto uri = "qemu+unix:///system?socket=" + wanted.socket_path;
  auto* handle = virConnectOpen(uri.c_str());
  if (handle == nullptr) {
    auto failure = last_error("cannot connect to " + wanted.socket_path);
    failure.code = error_code::unavailable;
    failure.retryable = true;
    return failure;
  }
  auto is_lost = std::make_shared<std::atomic<bool>>(false);
  auto* watch = new close_watch{.is_lost = is_lost, .listener = listener};
  if (virConnectRegisterCloseCallback(handle, &on_close, watch, &free_close_watch) < 0) {
    auto failure = last_error("cannot watch the connection to " + wanted.socket_path);
    delete watch;
    virConnectClose(handle);
    return failure;
  }
  auto* heard = new std::shared_ptr<ear>(std::move(listener));
  const int id =
      virConnectDomainEventRegisterAny(handle, nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                       VIR_DOMAIN_EVENT_CALLBACK(&on_lifecycle), heard, &free_ear);
  if (id < 0 ||
      virConnectSetKeepAlive(handle, wanted.keepalive_interval_s, wanted.keepalive_count) < 0) {
    auto failure = last_error("cannot subscribe to events of " + wanted.socket_path);
    if (id < 0)
      delete heard;
    else
      virConnectDomainEventDeregisterAny(handle, id);
    virConnectUnregisterCloseCallback(handle, &on_close);
    virConnectClose(handle);
    return failure;
  }
  // The constructor is private: make_shared cannot reach it.
  return std::shared_ptr<connection>(new connection(handle, id, std::move(is_lost)));
}

result<node_facts> connection::facts() const {
  virNodeInfo info{};
  unsigned long hypervisor_version = 0;
  unsigned long library_version = 0;
  if (virNodeGetInfo(x_handle, &info) < 0 ||
      virConnectGetVersion(x_handle, &hypervisor_version) < 0 ||
      virConnectGetLibVersion(x_handle, &library_version) < 0)
    return last_error("cannot ask the node what it is");
  const char* type = virConnectGetType(x_handle);
  constexpr std::uint64_t kib_per_mib = 1024;
  node_facts facts;
  facts.hypervisor = std::string(type != nullptr ? type : "?") + " " +
                     version_text(hypervisor_version) + ", libvirt " +
                     version_text(library_version);
  facts.vcpus.count = info.cpus;
  facts.memory.count = info.memory / kib_per_mib;
  return facts;
}

result<domain_handle> connection::find(vm_id vm) const {
  std::array<unsigned char, VIR_UUID_BUFLEN> raw{};
  constexpr unsigned half = 8;
  for (unsigned i = 0; i < half; ++i) {
    const unsigned shift = 8 * (half - 1 - i);
    raw[i] = static_cast<unsigned char>(vm.value.a >> shift);
    raw[half + i] = static_cast<unsigned char>(vm.value.b >> shift);
  }
  domain_handle domain(virDomainLookupByUUID(x_handle, raw.data()));
  if (!domain && !last_code_is(VIR_ERR_NO_DOMAIN))
    return last_error("cannot look for guest " + to_text(vm));
  return domain;
}

result<std::vector<domain_handle>> connection::find_all() const {
  virDomainPtr* raw = nullptr;
  const int count = virConnectListAllDomains(x_handle, &raw, 0);
  if (count < 0)
    return last_error("cannot list the guests");
  std::vector<domain_handle> found;
  for (int i = 0; i < count; ++i) {
    domain_handle domain(raw[i]);
    const char* name = virDomainGetName(domain.get());
    if (name != nullptr && std::string_view(name).starts_with(domain_name_prefix))
      found.push_back(std::move(domain));
  }
  std::free(raw); // NOLINT: libvirt allocates the list with malloc
  return found;
}

result<domain_handle> connection::define(const std::string& xml) const {
  domain_handle domain(virDomainDefineXMLFlags(x_handle, xml.c_str(), VIR_DOMAIN_DEFINE_VALIDATE));
  if (!domain)
    return last_error("cannot define the guest");
  return domain;
}

// --- domains -------------------------------------------------------------------------------------

vm_id vm_of(_virDomain* domain) {
  std::array<unsigned char, VIR_UUID_BUFLEN> raw{};
  vm_id vm;
  if (virDomainGetUUID(domain, raw.data()) < 0)
    return vm;
  constexpr unsigned half = 8;
  for (unsigned i = 0; i < half; ++i) {
    vm.value.a = (vm.value.a << 8) | raw[i];
    vm.value.b = (vm.value.b << 8) | raw[half + i];
  }
  return vm;
}

result<domain_condition> condition_of(_virDomain* domain) {
  int state = 0;
  int reason = 0;
  if (virDomainGetState(domain, &state, &reason, 0) < 0)
    return last_error("cannot ask how the guest is");
  switch (state) {
  case VIR_DOMAIN_SHUTOFF:
    return domain_condition{.is_active = false, .cause = cause_of(reason)};
  case VIR_DOMAIN_CRASHED:
    // Crashed may mean stopped, or kept in memory for its dump.
    return domain_condition{.is_active = virDomainIsActive(domain) == 1,
                            .cause = stop_cause::crashed};
  default:
    // Running, paused, blocked, shutting down: it holds its memory and its address.
    return domain_condition{.is_active = true, .cause = stop_cause::none};
  }
}

result<std::optional<std::string>> read_metadata(_virDomain* domain, const char* xml_namespace) {
  char* raw = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml_namespace,
                                   VIR_DOMAIN_AFFECT_CURRENT);
  if (raw == nullptr) {
    if (last_code_is(VIR_ERR_NO_DOMAIN_METADATA))
      return std::optional<std::string>();
    return last_error("cannot read the guest's metadata");
  }
  std::optional<std::string> text(raw);
  std::free(raw); // NOLINT: libvirt allocates the text with malloc
  return text;
}

result<void> write_metadata(_virDomain* domain, const char* xml_namespace, const char* prefix,
                            const std::string& xml) {
  // The guest may start or stop between the question and the write, then the flags do not fit.
  constexpr int tries = 3;
  for (int i = 0; i < tries; ++i) {
    const int is_active = virDomainIsActive(domain);
    if (is_active < 0)
      return last_error("cannot write the guest's metadata");
    unsigned flags = VIR_DOMAIN_AFFECT_CONFIG;
    if (is_active == 1)
      flags |= VIR_DOMAIN_AFFECT_LIVE;
    if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml.c_str(), prefix,
                             xml_namespace, flags) == 0)
      return {};
    if (!last_code_is(VIR_ERR_OPERATION_INVALID))
      break;
  }
  return last_error("cannot write the guest's metadata");
}

result<mib> memory_of(_virDomain* domain) {
  constexpr std::uint64_t kib_per_mib = 1024;
  const auto kib = virDomainGetMaxMemory(domain);
  if (kib == 0)
    return last_error("cannot ask for the guest's memory");
  return mib{kib / kib_per_mib};
}

result<void> limit_memory(_virDomain* domain, mib limit) {
  constexpr std::uint64_t kib_per_mib = 1024;
  virTypedParameterPtr parameters = nullptr;
  int count = 0;
  int room = 0;
  if (virTypedParamsAddULLong(&parameters, &count, &room, VIR_DOMAIN_MEMORY_HARD_LIMIT,
                              limit.count * kib_per_mib) < 0)
    return last_error("cannot limit the guest's memory");
  const int status =
      virDomainSetMemoryParameters(domain, parameters, count, VIR_DOMAIN_AFFECT_LIVE);
  auto outcome = done(status, "cannot limit the guest's memory");
  virTypedParamsFree(parameters, count);
  return outcome;
}

result<void> create(_virDomain* domain) {
  return done(virDomainCreateWithFlags(domain, VIR_DOMAIN_NONE), "cannot start the guest");
}

result<void> shut_down(_virDomain* domain) {
  return done(virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN),
              "cannot ask the guest to shut down");
}

result<void> destroy(_virDomain* domain) {
  return done(virDomainDestroyFlags(domain, VIR_DOMAIN_DESTROY_DEFAULT), "cannot stop the guest");
}

result<void> undefine(_virDomain* domain) {
  return done(virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
                                                 VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                                 VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA |
                                                 VIR_DOMAIN_UNDEFINE_NVRAM),
              "cannot undefine the guest");
}

} // namespace orrery::drivers::libvirt
