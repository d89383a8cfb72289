#pragma once

#include "drivers/hypervisor.hpp"
#include "drivers/libvirt/domain_xml.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace orrery::drivers {

/// Drives the KVM guests of one node through its libvirtd. The node's qemu.conf decides user,
/// seccomp and name spaces of guests (Debian's defaults: `libvirt-qemu`, on); cgroup limits stand
/// in each domain. Every verb ends within its limit, whatever libvirtd does; a call that outlives
/// its caller is never repeated beside itself: later changes of that guest, `fence` above all, wait
/// for its end (also after this object is gone, in the same process).
class libvirt_hypervisor final : public hypervisor {
public:
  struct options {
    /// libvirtd's read-write unix socket as seen from this process: absolute, at most 107 bytes of
    /// letters, digits and `/._-`.
    std::string socket_path;
    /// What a probe found out: KVM, or full emulation.
    libvirt::acceleration acceleration = libvirt::acceleration::tcg;
    /// Each boot image is a folder in it with `vmlinuz`, `initrd` and maybe `cmdline` (more kernel
    /// arguments). Readable by the guests' user. The same path here and in libvirtd's view.
    std::filesystem::path image_directory;
    /// Console logs; exists, and is writable by virtlogd. The same path here and there.
    std::filesystem::path console_directory;
    /// What QEMU may use beyond the guest's memory before the kernel ends it. 0: 512 MiB for KVM,
    /// 1,536 MiB for emulation, whose translated code alone may take 1 GiB.
    mib memory_overhead{0};
    /// `connect`, `list`, `inspect`: a loaded node answers within a second.
    std::chrono::milliseconds question_limit{20'000};
    /// Verbs that change a guest: a start under load took 2 s.
    std::chrono::milliseconds change_limit{60'000};
    /// `fence`, which waits for a predecessor's last call: after 60 s the node counts as busy.
    std::chrono::milliseconds fence_limit{60'000};
    /// A libvirtd that does not answer is given up after (count + 1) intervals.
    std::chrono::seconds keepalive_interval{5};
    unsigned keepalive_count = 3;
  };

  /// Checks the settings; does not connect. Errors: `invalid_argument`.
  [[nodiscard]] static result<std::unique_ptr<libvirt_hypervisor>> make(options settings);

  ~libvirt_hypervisor() override;

  [[nodiscard]] result<node_facts> connect() override;
  void listen(guest_listener listener) override;
  [[nodiscard]] result<std::vector<guest_seen>> list(const uuid& installation) override;
  [[nodiscard]] result<guest_seen> inspect(vm_id vm) override;
  [[nodiscard]] result<guest_seen> fence(vm_id vm, fencing_token token) override;
  [[nodiscard]] result<void> define(const guest_spec& spec, generation_number generation,
                                    fencing_token token) override;
  [[nodiscard]] result<void> start(vm_id vm, generation_number generation,
                                   fencing_token token) override;
  [[nodiscard]] result<void> shutdown(vm_id vm, fencing_token token) override;
  [[nodiscard]] result<void> kill(vm_id vm, fencing_token token) override;
  [[nodiscard]] result<void> undefine(vm_id vm, fencing_token token) override;
  [[nodiscard]] result<std::string> console(vm_id vm, std::size_t bytes_max) override;

private:
  struct state;

  explicit libvirt_hypervisor(options settings);

  std::unique_ptr<state> x_state;
};

} // namespace orrery::drivers
