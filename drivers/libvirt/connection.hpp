#pragma once

#include "drivers/hypervisor.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

// libvirt's own headers stay in the .cpp files.
struct _virConnect;
struct _virDomain;

namespace orrery::drivers::libvirt {

/// Where a driver's listener sits. Shared with libvirt's callbacks, which may come late.
struct ear {
  std::mutex guard; ///< held while `listener` runs, so that replacing it waits
  guest_listener listener;

  void tell(vm_id vm);
};

struct domain_deleter {
  void operator()(_virDomain* domain) const;
};

using domain_handle = std::unique_ptr<_virDomain, domain_deleter>;

/// libvirt's last error in this thread, as ours: `unavailable` when it is about the connection or a
/// timeout, else `driver_failed` with libvirt's words.
[[nodiscard]] error last_error(const std::string& what);

/// How a domain stands, beside its metadata.
struct domain_condition {
  bool is_active = false;
  stop_cause cause = stop_cause::none; ///< of an inactive one; `unknown` also if it never ran
};

/// One connection to a libvirtd, with its events. Every member but `is_lost` blocks for libvirtd
/// without any limit: call them from a `call_book` only. A lost connection never comes back.
class connection {
public:
  struct settings {
    std::string socket_path;
    int keepalive_interval_s = 5; ///< a silent libvirtd is asked every so many seconds
    unsigned keepalive_count = 3; ///< and given up after so many unanswered questions
  };

  /// Connects and subscribes. Errors: `unavailable`.
  [[nodiscard]] static result<std::shared_ptr<connection>> open(const settings& wanted,
                                                                std::shared_ptr<ear> listener);

  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection();

  [[nodiscard]] bool is_lost() const { return x_is_lost->load(); }

  /// "QEMU 7.2.22, libvirt 9.0.0", processors and memory; no images. Errors: `unavailable`,
  /// `driver_failed`.
  [[nodiscard]] result<node_facts> facts() const;

  /// The domain with this UUID; an empty handle when there is none.
  [[nodiscard]] result<domain_handle> find(vm_id vm) const;

  /// Every domain whose name begins like ours.
  [[nodiscard]] result<std::vector<domain_handle>> find_all() const;

  [[nodiscard]] result<domain_handle> define(const std::string& xml) const;

private:
  connection(_virConnect* handle, int lifecycle_id, std::shared_ptr<std::atomic<bool>> is_lost);

  _virConnect* x_handle;
  int x_lifecycle_id;
  std::shared_ptr<std::atomic<bool>> x_is_lost; ///< shared with the close callback
};

/// The id of a domain of ours.
[[nodiscard]] vm_id vm_of(_virDomain* domain);

[[nodiscard]] result<domain_condition> condition_of(_virDomain* domain);

/// One metadata element; none when the domain has no such.
[[nodiscard]] result<std::optional<std::string>> read_metadata(_virDomain* domain,
                                                               const char* xml_namespace);

/// Writes a metadata element, into the running domain and its stored definition. Waits behind every
/// job of the domain. Errors: `unavailable` (also when a job outlasted libvirt's own 30 s: repeat).
[[nodiscard]] result<void> write_metadata(_virDomain* domain, const char* xml_namespace,
                                          const char* prefix, const std::string& xml);

/// The guest's own memory.
[[nodiscard]] result<mib> memory_of(_virDomain* domain);

/// The most memory that the running guest's whole process may use, by its cgroup.
[[nodiscard]] result<void> limit_memory(_virDomain* domain, mib limit);

/// These say `driver_failed` also when the domain was in the wanted state already: look before.
[[nodiscard]] result<void> create(_virDomain* domain);
[[nodiscard]] result<void> shut_down(_virDomain* domain);
[[nodiscard]] result<void> destroy(_virDomain* domain);
[[nodiscard]] result<void> undefine(_virDomain* domain);

} // namespace orrery::drivers::libvirt
