#pragma once

#include "events/core/error.hpp"
#include "events/core/id.hpp"
#include "events/core/net.hpp"
#include "events/core/units.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace orrery::drivers {

/// Who speaks: a guest remembers the highest token that touched it, and an older one is refused.
/// `incarnation` rises with a restore from backup, `epoch` with each claim of the log's partition.
struct fencing_token {
  std::uint64_t incarnation = 0;
  std::uint64_t epoch = 0;

  friend auto operator<=>(const fencing_token&, const fencing_token&) = default;
};

/// One network port of a guest, as the hypervisor sees it. The link exists before the guest starts
/// (pvip makes it).
struct guest_port {
  std::string link{}; ///< name of the tap device on the node, at most 15 bytes
  mac_address mac{};
  std::uint8_t prefix_length = 24;
  ipv4 address{}; ///< told to the guest on its kernel command line
  ipv4 gateway{};
  ipv6 address6{}; ///< told as the other, its gateway by a router advertisement; none: ::

  [[nodiscard]] bool has_address6() const { return address6 != ipv6{}; }
};

/// Everything that is needed to make a guest. A pure function of the VM's state.
struct guest_spec {
  uuid installation{};
  vm_id vm{};
  std::string name{};  ///< checked by `check_name`
  vcpu_count vcpus{};  ///< 1 to 256
  mib memory{};        ///< 16 or more
  std::string image{}; ///< name of a boot image of the node (kernel and initial file system)
  guest_port port{};
};

/// What a hypervisor says of a guest. `absent` is an answer ("there is none"), never a failure to
/// ask.
enum class guest_condition : std::uint8_t { absent, stopped, running };

/// Why a guest is stopped.
enum class stop_cause : std::uint8_t {
  none,    ///< it is not stopped, or it never ran
  unknown, ///< the hypervisor does not know (for one, after its own restart)
  guest,   ///< the guest shut itself down
  host,    ///< it was switched off from outside (destroyed)
  crashed, ///< the guest or its process died
};

struct guest_seen {
  vm_id vm{};
  guest_condition condition = guest_condition::absent;
  stop_cause cause = stop_cause::none;
  generation_number generation{}; ///< the last one written into the guest's metadata, 0 for none
  fencing_token token{};          ///< the highest that touched it
};

/// What a node's hypervisor says of itself.
struct node_facts {
  std::string hypervisor{};          ///< "QEMU 7.2.22, libvirt 9.0.0 (tcg)"
  vcpu_count vcpus{};                ///< physical threads
  mib memory{};                      ///< physical
  std::vector<std::string> images{}; ///< names of the boot images found, sorted
};

/// Called from a thread of the driver when a guest's condition may have changed (a hint: ask
/// `inspect`), or with a VM id of none when the connection was lost (then every guest is unknown
/// until `connect` succeeds again). Must not block. A hypervisor that has just come back may be
/// silent about a guest until it was fenced: who must know of every end also asks now and then.
using guest_listener = std::function<void(vm_id)>;

/// How one node's hypervisor is driven. Every verb blocks until it is done or failed, so none may
/// be called on a scheduler thread; different guests may be driven from several threads at once,
/// one guest only from one at a time. Every verb is idempotent: repeated after a crash of the
/// caller it ends in the same world. Errors everywhere: `unavailable` (retryable; the outcome is
/// unknown, inspect first), `driver_failed` (the hypervisor's own words in the text), `conflict` (a
/// higher fencing token was seen). All drivers pass `tests/contract/driver_contract.hpp`.
class hypervisor {
public:
  hypervisor() = default;
  hypervisor(const hypervisor&) = delete;
  hypervisor& operator=(const hypervisor&) = delete;
  virtual ~hypervisor() = default;

  /// Connects, or finds the connection alive, and says what is there. Safe to repeat.
  [[nodiscard]] virtual result<node_facts> connect() = 0;

  /// Replaces the listener. An empty one silences; after return the old one is not called any more.
  virtual void listen(guest_listener listener) = 0;

  /// Every guest of `installation` on this node, by its metadata; guests that are not ours are
  /// never listed or touched.
  [[nodiscard]] virtual result<std::vector<guest_seen>> list(const uuid& installation) = 0;

  /// One guest; `absent` when there is none.
  [[nodiscard]] virtual result<guest_seen> inspect(vm_id vm) = 0;

  /// Writes `token` into the guest's metadata, behind whatever the hypervisor still does for a dead
  /// predecessor: when this returns, no earlier call can change the guest any more. A barrier;
  /// `absent` guests pass at once. Also waits for calls of this process that outlived their
  /// caller's patience.
  [[nodiscard]] virtual result<guest_seen> fence(vm_id vm, fencing_token token) = 0;

  /// Makes the guest known, stopped. Defined already with the same spec: done. Errors also:
  /// `image_unknown`.
  [[nodiscard]] virtual result<void> define(const guest_spec& spec, generation_number generation,
                                            fencing_token token) = 0;

  /// Starts a defined guest, writing `generation` first. Running already: done. `not_found` when it
  /// is not defined.
  [[nodiscard]] virtual result<void> start(vm_id vm, generation_number generation,
                                           fencing_token token) = 0;

  /// Asks the guest to shut down (ACPI); returns when it was asked, not when it is off. Stopped
  /// already: done.
  [[nodiscard]] virtual result<void> shutdown(vm_id vm, fencing_token token) = 0;

  /// Pulls the plug; the guest is off on return. Stopped or absent already: done.
  [[nodiscard]] virtual result<void> kill(vm_id vm, fencing_token token) = 0;

  /// Forgets a stopped guest and removes its files on the node (console log too). Absent already:
  /// done. Running: `conflict`.
  [[nodiscard]] virtual result<void> undefine(vm_id vm, fencing_token token) = 0;

  /// The last bytes (at most `bytes_max`) of the serial console's log; empty when there is none
  /// yet.
  [[nodiscard]] virtual result<std::string> console(vm_id vm, std::size_t bytes_max) = 0;
};

} // namespace orrery::drivers
